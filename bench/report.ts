import { LARGE_DATAGRAM, SMALL_DATAGRAM } from "./network.ts";
import { describeMachine, type Section } from "./section.ts";
import {
  FIGURES,
  type Figure,
  type Measurement,
  type MeasureOptions,
  type Setup,
} from "./setups.ts";
import { spread } from "./statistics.ts";

/** A row of the report: a figure under `setup`, as a share of what it was under `base`. */
interface Ratio {
  readonly name: string;
  readonly figure: Exclude<Figure, "ping">;
  readonly setup: Setup;
  readonly base: Setup;
  /** What the project holds itself to; `undefined` for no bound. */
  readonly floor: number | undefined;
}

const RATIOS: readonly Ratio[] = [
  ratio("TCP, null mapping", "tcp", "ebpf-observed", "plain", 0.97),
  ratio("UDP, null mapping", "udp", "ebpf-observed", "plain", 0.9),
  ratio("UDP between processors, null mapping", "pinnedUdp", "ebpf-observed", "plain", 0.9),
  ratio("large UDP, null mapping", "largeUdp", "ebpf-observed", "plain"),
  ratio("TCP, rewritten", "tcp", "ebpf-rewritten", "plain-no-offload", 0.75),
  ratio("TCP, rewritten", "tcp", "ebpf-rewritten", "plain"),
  ratio("UDP, rewritten", "udp", "ebpf-rewritten", "plain"),
  ratio("UDP between processors, rewritten", "pinnedUdp", "ebpf-rewritten", "plain"),
  ratio("large UDP, rewritten", "largeUdp", "ebpf-rewritten", "plain"),
  ratio("TCP, null mapping", "tcp", "nfqueue-observed", "plain", 0.9),
  ratio("UDP, null mapping", "udp", "nfqueue-observed", "plain"),
  ratio("UDP between processors, null mapping", "pinnedUdp", "nfqueue-observed", "plain"),
  ratio("large UDP, null mapping", "largeUdp", "nfqueue-observed", "plain"),
  ratio("TCP, rewritten", "tcp", "nfqueue-rewritten", "plain-no-offload", 0.22),
  ratio("TCP, rewritten", "tcp", "nfqueue-rewritten", "plain"),
  ratio("UDP, rewritten", "udp", "nfqueue-rewritten", "plain-no-offload", 0.6),
  ratio(
    "UDP between processors, rewritten",
    "pinnedUdp",
    "nfqueue-rewritten",
    "plain-no-offload",
    0.6,
  ),
  ratio("large UDP, rewritten", "largeUdp", "nfqueue-rewritten", "plain-no-offload"),
];

function ratio(
  name: string,
  figure: Ratio["figure"],
  setup: Setup,
  base: Setup,
  floor?: number,
): Ratio {
  return { name, figure, setup, base, floor };
}

const DESCRIPTIONS: Readonly<Record<Setup, string>> = {
  plain: "no shim",
  "plain-no-offload": "no shim, segmentation offload off",
  "nfqueue-observed": "NFQUEUE, null mapping",
  "nfqueue-rewritten": "NFQUEUE, rewritten to other locators",
  "ebpf-observed": "eBPF, null mapping",
  "ebpf-rewritten": "eBPF, rewritten to other locators",
};

export const PLANES_SECTION: Section = {
  name: "planes",
  heading: "The data planes",
  command: "npm run bench -- --write",
};

/** The section on both data planes, in Markdown. */
export function renderReport(
  rounds: readonly (readonly Measurement[])[],
  { seconds, congestionControl }: MeasureOptions,
): string {
  const setups = rounds[0]?.map(({ setup }) => setup) ?? [];
  return [
    `Machine: ${describeMachine()}; both hosts, both planes and the routers share it.`,
    "",
    `${rounds.length} interleaved rounds; in each every setup, on hosts of its own, runs for ${seconds} s in turn, figure by figure.`,
    "Medians, with the least and the greatest round in brackets. A ratio is taken within each round,",
    `then the median of them. TCP's congestion control is ${congestionControl}.`,
    "UDP between processors has iperf3's sender on one of them and its receiver on the other.",
    `Large UDP has datagrams of ${LARGE_DATAGRAM} octets, the other two of ${SMALL_DATAGRAM}.`,
    "",
    "| | TCP, Gbit/s | UDP, packets/s | UDP between processors | large UDP | ping, µs |",
    "|---|---|---|---|---|---|",
    ...setups.map((setup) => figureRow(setup, measurementsOf(rounds, setup))),
    "",
    "| Ratio | median | bound |",
    "|---|---|---|",
    ...RATIOS.filter(({ setup, base }) => setups.includes(setup) && setups.includes(base)).map(
      (ratio) => ratioRow(ratio, rounds),
    ),
  ].join("\n");
}

function figureRow(setup: Setup, measurements: readonly Measurement[]): string {
  const cells = FIGURES.map((figure) => {
    const values = measurements.map((each) => each[figure]);
    return spread(values, figure === "tcp" ? 2 : 0);
  });
  return `| ${[DESCRIPTIONS[setup], ...cells].join(" | ")} |`;
}

function ratioRow(ratio: Ratio, rounds: readonly (readonly Measurement[])[]): string {
  const own = measurementsOf(rounds, ratio.setup);
  const base = measurementsOf(rounds, ratio.base);
  const ratios = own.map((each, i) => each[ratio.figure] / (base[i]?.[ratio.figure] ?? Number.NaN));
  const floor = ratio.floor === undefined ? "" : `at least ${ratio.floor}`;
  const plane = ratio.setup.startsWith("ebpf") ? "eBPF" : "NFQUEUE";
  const name = `${plane}: ${ratio.name} / ${DESCRIPTIONS[ratio.base]}`;
  return `| ${name} | ${spread(ratios, 3)} | ${floor} |`;
}

function measurementsOf(rounds: readonly (readonly Measurement[])[], setup: Setup): Measurement[] {
  return rounds.flatMap((round) => round.filter((each) => each.setup === setup));
}
