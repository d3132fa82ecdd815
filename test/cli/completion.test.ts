import { execFileSync } from "node:child_process";
import { beforeAll, expect, test } from "vitest";
import { type CommandEntry, commandEntries } from "../../src/cli/completion/entries.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { l3shim } from "./capture.ts";

let entries: CommandEntry[];
let bash: string;

beforeAll(async () => {
  entries = commandEntries(await buildProgram());
  bash = (await l3shim("completion", "bash")).stdout;
});

/** What bash offers for the last of these words. */
function offers(...words: string[]): string[] {
  const script = `${bash}
    COMP_WORDS=(l3shim "$@") COMP_CWORD=$#
    _l3shim
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync("bash", ["-c", script, "test", ...words], { encoding: "utf8" });
  return output.split("\n").filter((line) => line !== "");
}

test("bash completes every command and every option", () => {
  for (const { path, options, subcommands } of entries) {
    const names = [...subcommands.map(({ name }) => name), ...options.flatMap((o) => o.names)];
    expect(offers(...path.slice(1), "").toSorted()).toEqual(names.toSorted());
  }
});

test.each([
  [["dae"], ["daemon"]],
  [
    ["hba", ""],
    ["generate", "verify", "-h", "--help"],
  ],
  [["lab", "paper", "--security", "un"], ["unverified"]],
  [["daemon", "--config", ""], []],
  [["daemon", "--json", "--fl"], ["--flush"]],
  [["no-such-command", "dae"], ["daemon"]],
])("after l3shim %j bash offers %j", (words, offered) => {
  expect(offers(...words)).toEqual(offered);
});

test.each([
  ["zsh", (name: string) => `'${name}:`],
  ["fish", (name: string) => (name.startsWith("--") ? `-l ${name.slice(2)} ` : `'${name}'`)],
])("the script for %s has every command and long option", async (shell, written) => {
  const { stdout } = await l3shim("completion", shell);
  for (const { options, subcommands } of entries) {
    for (const { name } of subcommands) expect(stdout).toContain(written(name));
    const long = options.flatMap(({ names }) => names).filter((name) => name.startsWith("--"));
    for (const name of long) expect(stdout).toContain(written(name));
  }
});

test("another shell is wrong usage", async () => {
  const run = await l3shim("completion", "tcsh");
  expect(run.status).toBe(2);
  expect(run.stderr).toContain("Allowed choices are bash, zsh, fish");
});

test.each(["bash", "zsh", "fish"])("the script for %s", async (shell) => {
  expect((await l3shim("completion", shell)).stdout).toMatchSnapshot();
});
