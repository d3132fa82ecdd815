/** How long a TCP transfer stands still when its path fails, beside Multipath TCP. */
import { parseArgs } from "node:util";
import { Results } from "../results.ts";
import { REPORT_FILE, writeSection } from "../section.ts";
import { INTERRUPTION_SECTION, renderInterruptions } from "./report.ts";
import { type Interruption, runVariant } from "./run.ts";
import { requireMptcp } from "./transfer.ts";
import { describeVariant, VARIANTS } from "./variants.ts";

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

await requireMptcp();
const results = await Results.open<Interruption>(values.results);
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const variant of VARIANTS) {
    const name = describeVariant(variant);
    if (!name.includes(values.only)) continue;
    const interruption = await runVariant(variant);
    process.stderr.write(`round ${round}: ${name}: ${JSON.stringify(interruption)}\n`);
    await results.add(name, interruption);
  }
}
const report = renderInterruptions(results);
process.stdout.write(`${report}\n`);
if (values.write) await writeSection(REPORT_FILE, INTERRUPTION_SECTION, report);
