import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { commandPage, configPage } from "../../scripts/man-pages.ts";
import { commandEntries } from "../../src/cli/completion/entries.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { CONFIG_SCHEMA } from "../../src/daemon/config/schema.ts";

const RELEASE = { version: "1.2.3", date: "2026-01-02" };

function shipped(name: string): string {
  return readFileSync(new URL(`../../packaging/${name}`, import.meta.url), "utf8");
}

function roff(text: string): string {
  return text.replaceAll("-", "\\-");
}

test("l3shim(8) has every command with every option", async () => {
  const entries = commandEntries(await buildProgram());
  const page = commandPage(shipped("man/l3shim.8"), entries, RELEASE);
  const sections = page.split("\n.SS ");
  for (const { path, usage, options } of entries) {
    const title = roff(`${path.join(" ")} ${usage}`);
    const section = sections.find((text) => text.startsWith(`${title}\n`));
    for (const name of options.flatMap(({ names }) => names)) {
      expect(section).toContain(`\\fB${roff(name)}\\fR`);
    }
  }
  expect(sections).toHaveLength(entries.length + 1);
  expect(page).toMatch(/^\.TH L3SHIM 8 "2026-01-02" "l3shim 1\.2\.3"/);
});

test("l3shim.toml(5) has every table and key with what the shipped file says", () => {
  const page = configPage(shipped("man/l3shim.toml.5"), shipped("config.toml"), RELEASE);
  const tables = Object.entries(CONFIG_SCHEMA.entries).filter(
    ([, schema]) => keysOf(schema).length,
  );
  for (const [name, schema] of tables) {
    const section = new RegExp(`\n\\.SH \\[+${roff(name).replaceAll("\\", "\\\\")}\\]+\n.+\n`);
    expect(page).toMatch(section);
    const body = page.slice(page.search(section) + 1).split("\n.SH ")[0];
    for (const key of keysOf(schema)) expect(body).toContain(`\n\\fB${roff(key)} = `);
  }
  const top = page.split("\n.SH [")[0];
  const names = Object.keys(CONFIG_SCHEMA.entries);
  for (const name of names.filter((each) => !tables.some(([table]) => table === each))) {
    expect(top).toContain(`\n\\fB${roff(name)} = `);
  }
  expect(page).not.toContain("@");
});

/** Of a table, or of the elements of an array of tables. */
function keysOf(schema: object): string[] {
  const { wrapped, item, entries } = schema as {
    wrapped?: object;
    item?: object;
    entries?: Record<string, object>;
  };
  const inner = wrapped ?? item;
  return inner === undefined ? Object.keys(entries ?? {}) : keysOf(inner);
}

test("text that roff would take for requests or escapes stays text", () => {
  const page = configPage("@KEYS@", '# about the file\n\n# .so x\n# a\\b\n#key = "1"', RELEASE);
  expect(page).toBe('.TP\n\\fBkey = "1"\\fR\n\\&.so x\na\\eb');
});
