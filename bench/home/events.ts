import type { Failure } from "../../src/lab/failure.ts";
import { literal } from "../../src/lab/topology.ts";

/** Who is to keep the sessions alive. */
export const SYSTEMS = ["l3shim", "mptcp"] as const;
export type System = (typeof SYSTEMS)[number];

export const SYSTEM_NAMES: Readonly<Record<System, string>> = {
  l3shim: "L3SHIM",
  mptcp: "MPTCP",
};

/** What happens to the home's first ISP, or to both. */
export interface HomeEvent {
  readonly title: string;
  readonly failure: Failure;
  /** ms that sessions have for getting on again. */
  readonly patience: number;
  /** Whether it is undone then, and the sessions may come back. */
  readonly failBack: boolean;
}

/** ms without any working ISP. */
const GAP = 5_000;

const FIRST = { host: "a", isp: "isp1" };
const SILENT: Failure = { kind: "silent-loss", isp: "isp1", direction: "both" };
const RENUMBERED: Failure = {
  ...{ kind: "prefix-renumbered", ...FIRST, successor: literal("2001:db8:1:aa::1") },
};

export const EVENTS: readonly HomeEvent[] = [
  event("ISP 1 dead beyond its router", SILENT, { failBack: true }),
  event("ISP 1's router dead", { kind: "router-dead", isp: "isp1" }),
  event("cable out", { kind: "carrier-lost", ...FIRST }),
  event("prefix withdrawn", { kind: "prefix-withdrawn", ...FIRST }),
  event("prefix renumbered", RENUMBERED),
  event(
    `both ISPs dead, ISP 2 back after ${GAP / 1_000} s`,
    { kind: "blackout", isps: ["isp1", "isp2"], gap: GAP },
    { patience: 40_000 },
  ),
];

function event(
  title: string,
  failure: Failure,
  { patience = 15_000, failBack = false }: { patience?: number; failBack?: boolean } = {},
): HomeEvent {
  return { title, failure, patience, failBack };
}
