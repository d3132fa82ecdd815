import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandEntries } from "../src/cli/completion/entries.ts";
import { buildProgram } from "../src/cli/program.ts";
import { commandPage, configPage, type Release } from "./man-pages.ts";

/*
 * `npm run man` runs this in the root of the project: it writes the manual pages into the
 * directory that is named, dated as the variable SOURCE_DATE_EPOCH says.
 */

const [directory = "build/man"] = process.argv.slice(2);
const program = await buildProgram();
const seconds = Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000);
const release: Release = {
  version: program.version() ?? "",
  date: new Date(seconds * 1000).toISOString().slice(0, 10),
};

function template(name: string): string {
  return readFileSync(join("packaging/man", name), "utf8");
}

mkdirSync(directory, { recursive: true });
const commands = commandPage(template("l3shim.8"), commandEntries(program), release);
writeFileSync(join(directory, "l3shim.8"), commands);
const config = readFileSync("packaging/config.toml", "utf8");
const keys = configPage(template("l3shim.toml.5"), config, release);
writeFileSync(join(directory, "l3shim.toml.5"), keys);
