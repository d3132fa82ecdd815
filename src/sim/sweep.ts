import { PROBE_JITTER, SEND_TIMEOUT_JITTER } from "../core/defaults.ts";
import {
  INITIAL_PROBE_TIMEOUT,
  MAX_PROBE_TIMEOUT,
  NUMBER_OF_INITIAL_PROBES,
} from "../core/rfc5534.ts";
import { SimRandom } from "./random.ts";
import type { Failure, Scenario } from "./scenario.ts";
import { simulate } from "./simulation.ts";

/** What is swept, and how often each cell is drawn. */
export interface SweepSize {
  /** In seconds. */
  readonly sendTimeouts: readonly number[];
  /** Shares of packets lost, end to end. */
  readonly losses: readonly number[];
  /** Locators at each end. */
  readonly locators: readonly number[];
  /** Runs for each cell; 1 or more. */
  readonly seeds: number;
}

/** One cell: recovery time in seconds, from the failure to the first answer. */
export interface SweepCell {
  readonly sendTimeout: number;
  readonly loss: number;
  readonly locators: number;
  readonly seeds: number;
  readonly median: number;
  readonly maximum: number;
  /** Without loss. */
  readonly worstCase: number;
}

/** A run of the sweep that broke an invariant or did not recover. */
export interface SweepFailure {
  readonly scenario: Scenario;
  readonly seed: number;
}

export interface SweepResult {
  readonly cells: readonly SweepCell[];
  readonly failed: readonly SweepFailure[];
}

export const FULL_SWEEP: SweepSize = {
  sendTimeouts: [3, 5, 10, 15, 30],
  losses: [0, 0.05, 0.2],
  locators: [2, 3, 4],
  seeds: 25,
};

/** When the pairs die, plus up to a second drawn from the seed. */
const FAILS_AT = 60;
/** Seconds that a run goes on after the worst case; the next one where that was too short. */
const PATIENCE = [60, 1800, 36_000];
/** Of the flow: a request, and the answer to it. */
const INTERVAL = 0.2;
const ONE_WAY_DELAY = 0.01;

/** Measures recovery time in every cell. The same size gives the same result. */
export function sweep(size: SweepSize): SweepResult {
  const failed: SweepFailure[] = [];
  const cells = size.locators.flatMap((locators) =>
    size.losses.flatMap((loss) =>
      size.sendTimeouts.map((sendTimeout) =>
        measureCell({ sendTimeout, loss, locators }, size.seeds, failed),
      ),
    ),
  );
  return { cells, failed };
}

type Cell = Pick<SweepCell, "sendTimeout" | "loss" | "locators">;

function measureCell(cell: Cell, seeds: number, failed: SweepFailure[]): SweepCell {
  const times: number[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const time = measureRecovery(cell, seed);
    if (typeof time === "number") times.push(time);
    else failed.push(time);
  }
  times.sort((a, b) => a - b);
  return {
    ...{ ...cell, seeds, worstCase: worstCase(cell.sendTimeout, cell.locators) },
    median: times[Math.floor(times.length / 2)] ?? Number.NaN,
    maximum: times.at(-1) ?? Number.NaN,
  };
}

/** Runs longer only where losses make it necessary: most runs recover soon. */
function measureRecovery(cell: Cell, seed: number): number | SweepFailure {
  const shortest = FAILS_AT + worstCase(cell.sendTimeout, cell.locators);
  for (const patience of PATIENCE) {
    const { scenario, failsAt } = sweepScenario(cell, seed, shortest + patience);
    const { violation, interruptions } = simulate(scenario, { seed });
    if (violation !== undefined) return { scenario, seed };
    const outage = interruptions[0]?.find(({ to }) => to > failsAt);
    if (outage !== undefined && outage.to < scenario.duration) return outage.to - failsAt;
  }
  return { scenario: sweepScenario(cell, seed, shortest).scenario, seed };
}

/** Two hosts whose pairs all die silently, both ways, but one that the seed draws. */
function sweepScenario(
  { sendTimeout, loss, locators }: Cell,
  seed: number,
  duration: number,
): { scenario: Scenario; failsAt: number } {
  const random = new SimRandom(seed, "sweep");
  const failsAt = FAILS_AT + random.unit();
  const left = 1 + random.index(locators * locators - 1);
  const failures: Failure[] = [];
  for (let pair = 0; pair < locators * locators; pair++) {
    if (pair === left) continue;
    const a = { host: "a", uplink: Math.floor(pair / locators) };
    const b = { host: "b", uplink: pair % locators };
    failures.push({ type: "path", from: a, to: b, at: failsAt });
    failures.push({ type: "path", from: b, to: a, at: failsAt });
  }
  const scenario: Scenario = {
    name: `sweep ${locators}x${locators} ${loss * 100} % ${sendTimeout} s`,
    summary: "all pairs die but one",
    hosts: ["a", "b"].map((name) => ({ name, uplinks: locators })),
    // Each packet passes two uplinks.
    link: { delay: ONE_WAY_DELAY / 2, loss: 1 - Math.sqrt(1 - loss) },
    flows: [{ kind: "udp", from: "a", to: "b", interval: INTERVAL }],
    failures,
    duration: Math.ceil(duration),
    sendTimeout,
    contextIdleTimeout: 300,
    trigger: 20,
  };
  return { scenario, failsAt };
}

/**
 * The longest recovery without loss, in seconds. The Send Timeout runs from the first request
 * after the failure; then one end alone probes pair after pair, and the one that works comes
 * last but for the failed pair itself; then the next request is answered. All that is random
 * is as long as can be.
 */
export function worstCase(sendTimeout: number, locators: number): number {
  const probes = locators * locators - 1;
  const exploration = probeTimes(probes, 1 + PROBE_JITTER).at(-1) ?? 0;
  // The messages that end an exploration take three ways, the first answer another two.
  const remainder = 2 * INTERVAL + 5 * ONE_WAY_DELAY;
  return sendTimeout * (1 + SEND_TIMEOUT_JITTER) + exploration + remainder;
}

/**
 * When the probes of an exploration leave, in seconds since its start (RFC 5534 section 4.3):
 * 0, 0.5, 1, 1.5, 2.5 and so on.
 * @param stretch of the intervals beyond the initial ones
 */
export function probeTimes(count: number, stretch = 1): number[] {
  const initial = INITIAL_PROBE_TIMEOUT / 1000;
  const times: number[] = [];
  let at = 0;
  for (let sent = 1; sent <= count; sent++) {
    times.push(at);
    const doublings = Math.max(0, sent - NUMBER_OF_INITIAL_PROBES + 1);
    const interval = Math.min(MAX_PROBE_TIMEOUT / 1000, initial * 2 ** doublings);
    at += doublings === 0 ? interval : interval * stretch;
  }
  return times;
}
