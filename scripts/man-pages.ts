import type { CommandEntry, OptionEntry } from "../src/cli/completion/entries.ts";

/** What a page is made of beside its template in packaging/man. */
export interface Release {
  readonly version: string;
  /** YYYY-MM-DD */
  readonly date: string;
}

/** l3shim(8): the template with every command and option. */
export function commandPage(
  template: string,
  entries: readonly CommandEntry[],
  release: Release,
): string {
  const commands = entries.map(commandSection).join("\n");
  return fill(template, release).replace("@COMMANDS@", () => commands);
}

/** l3shim.toml(5): the template with every key of the commented configuration file. */
export function configPage(template: string, commentedConfig: string, release: Release): string {
  const keys = configItems(commentedConfig).map(itemSection).join("\n");
  return fill(template, release).replace("@KEYS@", () => keys);
}

function fill(template: string, { version, date }: Release): string {
  return template.replace("@VERSION@", version).replace("@DATE@", date);
}

function commandSection({ path, usage, description, options }: CommandEntry): string {
  return [
    `.SS ${roff(`${path.join(" ")} ${usage}`)}`,
    roff(description),
    ...options.flatMap(optionItem),
  ].join("\n");
}

function optionItem({ names, value, description, defaultValue }: OptionEntry): string[] {
  const shown = names.map((name) => `\\fB${roff(name)}\\fR`).join(", ");
  const argument = value === undefined ? "" : ` \\fI${roff(value.slice(1, -1))}\\fR`;
  const standard = typeof defaultValue === "string" ? ` (default: ${defaultValue})` : "";
  return [".TP", `${shown}${argument}`, roff(`${description}${standard}`)];
}

/** A key or a table of the configuration file, with the comment before it. */
interface ConfigItem {
  readonly kind: "key" | "table";
  readonly text: string;
  readonly comment: string;
}

const TABLE = /^#?(\[+[a-z-]+\]+)$/;
const KEY = /^#?([a-z-]+ = .+)$/;

/** What stands before the first blank line is about the file as such. */
function configItems(commentedConfig: string): ConfigItem[] {
  const items: ConfigItem[] = [];
  let comment: string[] = [];
  for (const line of commentedConfig.split("\n")) {
    const table = TABLE.exec(line)?.[1];
    const text = table ?? KEY.exec(line)?.[1];
    if (text !== undefined) {
      items.push({
        kind: table === undefined ? "key" : "table",
        text,
        comment: comment.join("\n"),
      });
    }
    if (text !== undefined || line === "") comment = [];
    else comment.push(line.replace(/^# ?/, "").trim());
  }
  return items;
}

function itemSection({ kind, text, comment }: ConfigItem): string {
  if (kind === "table") return `.SH ${roff(text)}\n${roff(comment)}`;
  // A request would take the quotes of a value for its own.
  return `.TP\n\\fB${roff(text)}\\fR\n${roff(comment)}`;
}

/** Plain text as roff: no dash becomes a hyphen, no line a request. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}
