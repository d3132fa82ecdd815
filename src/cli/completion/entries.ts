import type { Command, Option } from "commander";

/** What completions and the man page need to know of a command. */
export interface CommandEntry {
  /** The words that lead to it: ["l3shim", "hba", "generate"]. */
  readonly path: readonly string[];
  /** What follows the words, as help shows it. */
  readonly usage: string;
  readonly summary: string;
  readonly description: string;
  readonly options: readonly OptionEntry[];
  readonly subcommands: readonly { readonly name: string; readonly summary: string }[];
}

export interface OptionEntry {
  /** As typed, such as ["-V", "--version"]. */
  readonly names: readonly string[];
  /** What its value is called; `undefined` for a flag. */
  readonly value: string | undefined;
  readonly choices: readonly string[];
  readonly description: string;
  readonly defaultValue: unknown;
}

/** A command and all below it, each before its subcommands. */
export function commandEntries(command: Command, above: readonly string[] = []): CommandEntry[] {
  const path = [...above, command.name()];
  const help = command.createHelp();
  const entry: CommandEntry = {
    path,
    usage: command.usage(),
    summary: help.subcommandDescription(command),
    description: command.description(),
    options: help.visibleOptions(command).map(optionEntry),
    subcommands: command.commands.map((each) => ({
      name: each.name(),
      summary: help.subcommandDescription(each),
    })),
  };
  return [entry, ...command.commands.flatMap((each) => commandEntries(each, path))];
}

/** The values of options that take one, by the words before the value. */
export function valueOptions(
  entries: readonly CommandEntry[],
): readonly { readonly place: string; readonly choices: readonly string[] }[] {
  return entries.flatMap(({ path, options }) =>
    options
      .filter(({ value }) => value !== undefined)
      .flatMap(({ names, choices }) =>
        names.map((name) => ({ place: [...path, name].join(" "), choices })),
      ),
  );
}

/** The words of each command below the program itself. */
export function places(entries: readonly CommandEntry[]): string[] {
  return entries.slice(1).map(({ path }) => path.join(" "));
}

/** In single quotes, for bash and zsh. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}

function optionEntry(option: Option): OptionEntry {
  return {
    names: [option.short, option.long].filter((name) => name !== undefined && name !== null),
    value: /[<[].*[>\]]/.exec(option.flags)?.[0],
    choices: option.argChoices ?? [],
    description: option.description,
    defaultValue: option.defaultValue as unknown,
  };
}
