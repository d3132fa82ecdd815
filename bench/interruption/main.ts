/** How long a TCP transfer stands still when its path fails, beside Multipath TCP. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { run } from "../../src/lab/shell.ts";
import { REPORT_FILE, writeSection } from "../section.ts";
import { INTERRUPTION_SECTION, renderInterruptions } from "./report.ts";
import { type Interruption, runVariant } from "./run.ts";
import { describeVariant, VARIANTS } from "./variants.ts";

/** By variant, in the order of the runs. */
type Results = Record<string, Interruption[]>;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "10" },
    /** Keeps the runs in this file and adds to those that are there already. */
    results: { type: "string" },
    /** Only variants with this in their name. */
    only: { type: "string", default: "" },
    write: { type: "boolean", default: false },
  },
});

await requireCommands();
const results = await earlierResults(values.results);
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const variant of VARIANTS) {
    const name = describeVariant(variant);
    if (!name.includes(values.only)) continue;
    const interruption = await runVariant(variant);
    process.stderr.write(`round ${round}: ${name}: ${JSON.stringify(interruption)}\n`);
    results[name] = [...(results[name] ?? []), interruption];
  }
  if (values.results !== undefined) await writeFile(values.results, JSON.stringify(results));
}
const report = renderInterruptions(results);
process.stdout.write(`${report}\n`);
if (values.write) await writeSection(REPORT_FILE, INTERRUPTION_SECTION, report);

/** JSON writes what is infinite as null. */
async function earlierResults(file: string | undefined): Promise<Results> {
  if (file === undefined || !existsSync(file)) return {};
  const revive = (key: string, value: unknown) =>
    value === null && key !== "" ? Number.POSITIVE_INFINITY : value;
  return JSON.parse(await readFile(file, "utf8"), revive) as Results;
}

async function requireCommands(): Promise<void> {
  const check = "import socket; socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)";
  await run(["python3", "-c", check]).catch((cause: unknown) => {
    const needs = "the benchmark needs python3 and Multipath TCP in the kernel";
    throw new Error(`${needs}: apt-get install python3; sysctl net.mptcp.enabled=1`, { cause });
  });
}
