/** How long a home's sessions stand still when its ISPs fail, beside Multipath TCP. */
import { parseArgs } from "node:util";
import { run } from "../../src/lab/shell.ts";
import { requireMptcp } from "../interruption/transfer.ts";
import { Results } from "../results.ts";
import { REPORT_FILE, writeSection } from "../section.ts";
import { EVENTS, SYSTEMS } from "./events.ts";
import { HOME_SECTION, nameOf, renderHome } from "./report.ts";
import { type HomeRun, runEvent } from "./run.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "10" },
    /** Keeps the runs in this file; goes on with those that are there already. */
    results: { type: "string" },
    /** Only events with this in their name. */
    only: { type: "string", default: "" },
    write: { type: "boolean", default: false },
  },
});

await requireMptcp();
await requireSsh();
const results = await Results.open<HomeRun>(values.results);
for (let round = 1; round <= Number(values.runs); round++) {
  for (const event of EVENTS.filter(({ title }) => title.includes(values.only))) {
    for (const system of SYSTEMS) {
      const name = nameOf(system, event);
      if (results.of(name).length >= round) continue;
      const outcome = await runEvent(system, event);
      process.stderr.write(`run ${round}: ${name}: ${JSON.stringify(outcome)}\n`);
      await results.add(name, outcome);
    }
  }
}
const report = renderHome(results);
process.stdout.write(`${report}\n`);
if (values.write) await writeSection(REPORT_FILE, HOME_SECTION, report);

async function requireSsh(): Promise<void> {
  await run(["sh", "-c", "command -v ssh mptcpize /usr/sbin/sshd"]).catch((cause: unknown) => {
    const needs = "the benchmark needs ssh, sshd and mptcpize";
    throw new Error(`${needs}: apt-get install openssh-client openssh-server mptcpize`, { cause });
  });
}
