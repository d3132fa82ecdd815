import type { Measurement, Setup } from "./nfqueue.ts";
import { describeMachine, type Section } from "./section.ts";

/** A row of the report: a figure under `setup`, as a share of what it was under `base`. */
interface Ratio {
  readonly name: string;
  readonly figure: "tcp" | "udp";
  readonly setup: Setup;
  readonly base: Setup;
  /** What the project holds itself to; `undefined` for no bound. */
  readonly floor: number | undefined;
}

const RATIOS: readonly Ratio[] = [
  { name: "TCP, null mapping", figure: "tcp", setup: "observed", base: "plain", floor: 0.9 },
  { name: "UDP, null mapping", figure: "udp", setup: "observed", base: "plain", floor: undefined },
  {
    name: "TCP, rewritten",
    figure: "tcp",
    setup: "rewritten",
    base: "plain-no-offload",
    floor: 0.22,
  },
  {
    name: "UDP, rewritten",
    figure: "udp",
    setup: "rewritten",
    base: "plain-no-offload",
    floor: 0.6,
  },
];

const DESCRIPTIONS: Readonly<Record<Setup, string>> = {
  plain: "no shim",
  "plain-no-offload": "no shim, segmentation offload off",
  observed: "shim, null mapping",
  rewritten: "shim, rewritten to other locators",
};

export const NFQUEUE_SECTION: Section = {
  name: "nfqueue",
  heading: "The user-space data plane (NFQUEUE)",
  command: "npm run bench -- --write",
};

/** The section on the user-space data plane, in Markdown. */
export function renderReport(rounds: readonly (readonly Measurement[])[], seconds: number): string {
  const setups = rounds[0]?.map(({ setup }) => setup) ?? [];
  return [
    `Machine: ${describeMachine()}; both hosts, both planes and the routers share it.`,
    "",
    `${rounds.length} interleaved rounds, ${seconds} s for each figure; medians, with the least and`,
    "the greatest round in brackets. A ratio is taken within each round, then the median of them.",
    "",
    "| | TCP, Gbit/s | UDP of 64 octets, packets/s | ping, µs |",
    "|---|---|---|---|",
    ...setups.map((setup) => figureRow(setup, measurementsOf(rounds, setup))),
    "",
    "| Ratio | median | bound |",
    "|---|---|---|",
    ...RATIOS.map((ratio) => ratioRow(ratio, rounds)),
  ].join("\n");
}

function figureRow(setup: Setup, measurements: readonly Measurement[]): string {
  const tcp = spread(
    measurements.map((each) => each.tcp),
    2,
  );
  const udp = spread(
    measurements.map((each) => each.udp),
    0,
  );
  const ping = spread(
    measurements.map((each) => each.ping),
    0,
  );
  return `| ${DESCRIPTIONS[setup]} | ${tcp} | ${udp} | ${ping} |`;
}

function ratioRow(ratio: Ratio, rounds: readonly (readonly Measurement[])[]): string {
  const own = measurementsOf(rounds, ratio.setup);
  const base = measurementsOf(rounds, ratio.base);
  const ratios = own.map((each, i) => each[ratio.figure] / (base[i]?.[ratio.figure] ?? Number.NaN));
  const floor = ratio.floor === undefined ? "" : `at least ${ratio.floor}`;
  const name = `${ratio.name} / ${DESCRIPTIONS[ratio.base]}`;
  return `| ${name} | ${spread(ratios, 2)} | ${floor} |`;
}

function measurementsOf(rounds: readonly (readonly Measurement[])[], setup: Setup): Measurement[] {
  return rounds.flatMap((round) => round.filter((each) => each.setup === setup));
}

function spread(values: readonly number[], digits: number): string {
  const text = (value: number): string => value.toFixed(digits);
  return `${text(median(values))} (${text(Math.min(...values))} .. ${text(Math.max(...values))})`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
