import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { PLANES_SECTION, renderReport } from "./report.ts";
import { REPORT_FILE, writeSection } from "./section.ts";
import { Bench, FIGURES, type Measurement, type MeasureOptions, SETUPS } from "./setups.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "31" },
    /** Of each run. */
    seconds: { type: "string", default: "1" },
    /** Those to run, with commas between; all when it is left out. */
    setups: { type: "string", default: SETUPS.join(",") },
    /** TCP's; that of the machine when it is left out. */
    "congestion-control": { type: "string", default: congestionControlHere() },
    write: { type: "boolean", default: false },
  },
});

const options: MeasureOptions = {
  seconds: Number(values.seconds),
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
 * A round takes one figure after another, and each of every setup in turn, so that what is compared
 * is seconds apart: the machine's neighbours change its pace by half every ten seconds or so. Each
 * time the setups come in another order: what ran just before warms caches and uses up the machine's
 * turbo, and in a fixed order the same setup would always pay for it.
 */
async function measureRounds(count: number): Promise<Measurement[][]> {
  const benches: Bench[] = [];
  try {
    for (const setup of setups) {
      process.stderr.write(`preparing ${setup}\n`);
      benches.push(await Bench.create(setup, options));
    }
    const rounds: Measurement[][] = [];
    while (rounds.length < count) {
      process.stderr.write(`round ${rounds.length + 1} of ${count}\n`);
      rounds.push(await measureRound(benches));
    }
    return rounds;
  } finally {
    for (const bench of benches) await bench.destroy();
  }
}

async function measureRound(benches: readonly Bench[]): Promise<Measurement[]> {
  const nothing = { tcp: 0, udp: 0, pinnedUdp: 0, largeUdp: 0, ping: 0 };
  const round = benches.map(({ setup }) => ({ setup, ...nothing }));
  for (const figure of FIGURES) {
    for (const index of shuffled([...benches.keys()])) {
      const [bench, measurement] = [benches[index], round[index]];
      if (bench && measurement) measurement[figure] = await bench.measure(figure);
    }
  }
  return round;
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
