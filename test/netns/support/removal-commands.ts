import { readFile } from "node:fs/promises";

/** What docs/operations.md says to run for what a killed daemon left, and nothing else of it. */
export async function removalCommands(): Promise<string> {
  const page = await readFile(new URL("../../../docs/operations.md", import.meta.url), "utf8");
  const section = page.split("### Removing it by hand")[1]?.split("\n## ")[0];
  const commands = section?.match(/^ {4}.+$/gm);
  if (commands === undefined || commands === null) throw new Error("the page names no commands");
  return commands.join("\n");
}
