import { parseArgs } from "node:util";
import { BenchNetwork, type Measurement, SETUPS } from "./nfqueue.ts";
import { type PlaneTask, runPlaneHost } from "./plane-host.ts";
import { NFQUEUE_SECTION, renderReport } from "./report.ts";
import { REPORT_FILE, writeSection } from "./section.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "7" },
    seconds: { type: "string", default: "3" },
    write: { type: "boolean", default: false },
  },
});

if (positionals[0] === "plane-host") {
  await runPlaneHost(JSON.parse(positionals[1] ?? "") as PlaneTask);
} else {
  const seconds = Number(values.seconds);
  const rounds = await measureRounds(Number(values.rounds), seconds);
  const report = renderReport(rounds, seconds);
  process.stdout.write(`${report}\n`);
  if (values.write) await writeSection(REPORT_FILE, NFQUEUE_SECTION, report);
}

/** Each round runs every setup, in turn from another one on. */
async function measureRounds(count: number, seconds: number): Promise<Measurement[][]> {
  const network = await BenchNetwork.create();
  const rounds: Measurement[][] = [];
  try {
    for (let round = 0; round < count; round++) {
      const measured = new Map<string, Measurement>();
      for (let i = 0; i < SETUPS.length; i++) {
        const setup = SETUPS[(round + i) % SETUPS.length] ?? "plain";
        process.stderr.write(`round ${round + 1} of ${count}: ${setup}\n`);
        measured.set(setup, await network.measure(setup, seconds));
      }
      rounds.push(SETUPS.flatMap((setup) => measured.get(setup) ?? []));
    }
  } finally {
    await network.destroy();
  }
  return rounds;
}
