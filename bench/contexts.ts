/** What a packet costs in the eBPF programs, and what many contexts add to it. */
import { parseArgs } from "node:util";
import { BenchNetwork } from "./network.ts";
import type { PlaneProcess, ProgramRuns } from "./plane-process.ts";
import { describeMachine, REPORT_FILE, type Section, writeSection } from "./section.ts";
import { median, spread } from "./statistics.ts";

const SECTION: Section = {
  name: "contexts",
  heading: "The eBPF programs, and the number of contexts",
  command: "npm run bench:contexts -- --write",
};

const COUNTS = [1, 1_000, 100_000, 1_000_000];
const MODES = ["null mapping", "rewritten"] as const;

/** One number of contexts in one round. */
interface Measurement {
  readonly contexts: number;
  readonly mode: (typeof MODES)[number];
  readonly tcp: number;
  readonly udp: number;
  readonly microsecondsPerContext: number;
  readonly programs: readonly ProgramCost[];
}

interface ProgramCost {
  readonly name: string;
  readonly traffic: "TCP" | "UDP";
  /** Of a run, on average. */
  readonly nanoseconds: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "1" },
    write: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const measured = await measureRounds(Number(values.rounds));
const report = render(measured);
process.stdout.write(`${report}\n`);
if (values.write) await writeSection(REPORT_FILE, SECTION, report);

async function measureRounds(rounds: number): Promise<Measurement[]> {
  const network = await BenchNetwork.create();
  const found: Measurement[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const contexts of COUNTS) {
        for (const mode of MODES) {
          process.stderr.write(`round ${round} of ${rounds}: ${contexts} contexts, ${mode}\n`);
          found.push(await measure(network, contexts, mode));
        }
      }
    }
  } finally {
    await network.destroy();
  }
  return found;
}

async function measure(
  network: BenchNetwork,
  contexts: number,
  mode: Measurement["mode"],
): Promise<Measurement> {
  const rewrite = mode === "rewritten";
  const planes = await network.startPlanes({ plane: "ebpf", rewrite, contexts });
  try {
    await network.warmUp();
    const tcp = await network.tcp(seconds);
    const udp = await network.udp(seconds);
    const programs = [
      ...(await runsOf(planes, "TCP", () => network.tcp(seconds))),
      ...(await runsOf(planes, "UDP", () => network.udp(seconds))),
    ];
    const microsecondsPerContext = median(planes.map(({ ready }) => ready.microsecondsPerContext));
    return { contexts, mode, tcp, udp, microsecondsPerContext, programs };
  } finally {
    await Promise.all(planes.map((plane) => plane.stop()));
  }
}

/** The programs' costs in a pass of its own: the statistics take time themselves. */
async function runsOf(
  planes: readonly PlaneProcess[],
  traffic: ProgramCost["traffic"],
  pass: () => Promise<unknown>,
): Promise<ProgramCost[]> {
  const before = await allRuns(planes, true);
  await pass();
  const after = await allRuns(planes, false);
  return [...after].flatMap(([name, { runs, nanoseconds }]) => {
    const known = before.get(name) ?? { runs: 0, nanoseconds: 0 };
    const count = runs - known.runs;
    // Programs that hardly ran saw control messages only.
    if (count < 1_000) return [];
    return { name, traffic, nanoseconds: (nanoseconds - known.nanoseconds) / count };
  });
}

/** Of both hosts together, by program. */
async function allRuns(
  planes: readonly PlaneProcess[],
  on: boolean,
): Promise<Map<string, ProgramRuns>> {
  const sums = new Map<string, ProgramRuns>();
  for (const plane of planes) {
    for (const { name, runs, nanoseconds } of await plane.statistics(on)) {
      const sum = sums.get(name) ?? { name, runs: 0, nanoseconds: 0 };
      sums.set(name, { name, runs: sum.runs + runs, nanoseconds: sum.nanoseconds + nanoseconds });
    }
  }
  return sums;
}

function render(found: readonly Measurement[]): string {
  return [
    `Machine: ${describeMachine()}; both hosts, both planes and the routers share it.`,
    "",
    `${found.length / COUNTS.length / MODES.length} rounds, ${seconds} s for each figure; medians, with the least and the greatest in brackets.`,
    "One flow, whose context was set in the middle of the others.",
    "",
    "| Contexts | mapping | TCP, Gbit/s | UDP of 64 octets, packets/s | µs to set one |",
    "|---|---|---|---|---|",
    ...eachKind((contexts, mode) => throughputRow(contexts, mode, found)),
    "",
    "Nanoseconds of a run, by the kernel's statistics of programs, which are switched on for that only",
    "(they take some 20 ns themselves). A run of `uplink_out` and `uplink_in` may be for a super-packet of TCP.",
    "",
    ...programTable(found),
  ].join("\n");
}

function eachKind(row: (contexts: number, mode: Measurement["mode"]) => string): string[] {
  return COUNTS.flatMap((contexts) => MODES.map((mode) => row(contexts, mode)));
}

function throughputRow(
  contexts: number,
  mode: Measurement["mode"],
  found: readonly Measurement[],
): string {
  const own = found.filter((each) => each.contexts === contexts && each.mode === mode);
  const of = (figure: "tcp" | "udp" | "microsecondsPerContext", digits: number): string =>
    spread(
      own.map((each) => each[figure]),
      digits,
    );
  const count = contexts.toLocaleString("en");
  const cells = [count, mode, of("tcp", 2), of("udp", 0), of("microsecondsPerContext", 1)];
  return `| ${cells.join(" | ")} |`;
}

function programTable(found: readonly Measurement[]): string[] {
  const rows = new Map<string, Map<number, number[]>>();
  for (const { contexts, mode, programs } of found) {
    for (const { name, traffic, nanoseconds } of programs) {
      const key = `| ${name} | ${traffic}, ${mode} |`;
      const row = rows.get(key) ?? new Map<number, number[]>();
      row.set(contexts, [...(row.get(contexts) ?? []), nanoseconds]);
      rows.set(key, row);
    }
  }
  const heads = COUNTS.map((count) => ` ${count.toLocaleString("en")} |`).join("");
  const cells = (row: Map<number, number[]>) =>
    COUNTS.map((count) => ` ${spread(row.get(count) ?? [], 0)} |`).join("");
  return [
    `| Program | traffic |${heads}`,
    `|---|---|${"---|".repeat(COUNTS.length)}`,
    ...[...rows].map(([key, row]) => key + cells(row)),
  ];
}
