import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { BenchNetwork, type Measurement, type MeasureOptions, SETUPS } from "./network.ts";
import { PLANES_SECTION, renderReport } from "./report.ts";
import { REPORT_FILE, writeSection } from "./section.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "21" },
    /** Of each run, and how many runs a figure is the mean of. */
    seconds: { type: "string", default: "1" },
    repeats: { type: "string", default: "1" },
    /** Those to run, with commas between; all when it is left out. */
    setups: { type: "string", default: SETUPS.join(",") },
    /** TCP's; that of the machine when it is left out. */
    "congestion-control": { type: "string", default: congestionControlHere() },
    write: { type: "boolean", default: false },
  },
});

const options: MeasureOptions = {
  seconds: Number(values.seconds),
  repeats: Number(values.repeats),
  congestionControl: values["congestion-control"],
};
const wanted = values.setups.split(",");
const unknown = wanted.filter((name) => !SETUPS.some((setup) => setup === name));
if (unknown.length > 0)
  throw new Error(`no such setups: ${unknown.join(", ")}; there are ${SETUPS.join(", ")}`);
const setups = SETUPS.filter((setup) => wanted.includes(setup));
if (values.write && setups.length < SETUPS.length)
  throw new Error("the report has all setups: leave out --setups or --write");
const rounds = await measureRounds(Number(values.rounds));
const report = renderReport(rounds, options);
process.stdout.write(`${report}\n`);
if (values.write) await writeSection(REPORT_FILE, PLANES_SECTION, report);

/**
 * Each round runs every setup, in an order of its own: what ran just before warms caches and uses
 * up the machine's turbo, and in a fixed order the same setup would always pay for it.
 */
async function measureRounds(count: number): Promise<Measurement[][]> {
  const network = await BenchNetwork.create();
  const rounds: Measurement[][] = [];
  try {
    for (let round = 0; round < count; round++) {
      const measured = new Map<string, Measurement>();
      for (const setup of shuffled(setups)) {
        process.stderr.write(`round ${round + 1} of ${count}: ${setup}\n`);
        measured.set(setup, await network.measure(setup, options));
      }
      rounds.push(setups.flatMap((setup) => measured.get(setup) ?? []));
    }
  } finally {
    await network.destroy();
  }
  return rounds;
}

function congestionControlHere(): string {
  return readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "utf8").trim();
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .sort((one, other) => one.key - other.key)
    .map(({ item }) => item);
}
