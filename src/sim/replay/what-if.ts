import type { Detection } from "../../core/config.ts";
import type { ContextEvent } from "../../core/output.ts";
import type { Address } from "../../wire/address.ts";
import { SimRandom } from "../random.ts";
import type { Failure, FlowSpec, Scenario, UplinkName } from "../scenario.ts";
import { simulate } from "../simulation.ts";
import type { OutageEvidence, Path } from "./evidence.ts";
import type { Outage } from "./outages.ts";

/** What a run in the simulator is set to; the peer is set to the same. */
export interface WhatIfSettings {
  /** Seconds. */
  readonly sendTimeout: number;
  readonly detect: Detection;
}

/** All that is known of an outage. */
export interface RecordedOutage {
  readonly outage: Outage;
  readonly evidence: OutageEvidence;
  readonly locators: { readonly local: readonly Address[]; readonly peer: readonly Address[] };
}

/** How long an outage lasts in the model, in seconds; over runs that differ in what is random. */
export interface ModelledOutage {
  readonly median: number;
  readonly shortest: number;
  readonly longest: number;
  /** Runs in which the session did not recover in more than twice the time. */
  readonly lasting: number;
}

/** Odd, so that one of them is the median. */
const RUNS = 15;
const FAILS_AT = 60;
/** A run ends so many seconds after twice the time that recovery should take. */
const PATIENCE = 60;
/** One way, where no probe was answered. */
const USUAL_DELAY = 0.01;
/** Seconds from packet to packet: less would change nothing but the work, more is no traffic. */
const INTERVALS = { shortest: 0.05, usual: 0.2, longest: 10 };

/**
 * Only where this host itself has missed answers: other causes know no timeout, and a peer that
 * noticed first went by a clock of its own.
 */
export function canBeModelled({ cause }: Outage): boolean {
  return cause === "send-timeout" || cause === "suspicion";
}

/** The outage again in the simulator: the same paths die, and work, for as long. */
export function modelOutage(recorded: RecordedOutage, settings: WhatIfSettings): ModelledOutage {
  const spans: number[] = [];
  for (let seed = 1; seed <= RUNS; seed++) spans.push(runOnce(recorded, settings, seed));
  spans.sort((a, b) => a - b);
  return {
    median: spans[(RUNS - 1) / 2] ?? Number.POSITIVE_INFINITY,
    shortest: spans[0] ?? Number.POSITIVE_INFINITY,
    longest: spans.at(-1) ?? Number.POSITIVE_INFINITY,
    lasting: spans.filter((span) => span === Number.POSITIVE_INFINITY).length,
  };
}

/** @returns seconds; Infinity where the session does not recover */
function runOnce(recorded: RecordedOutage, settings: WhatIfSettings, seed: number): number {
  const failsAt = FAILS_AT + new SimRandom(seed, "what if").unit();
  let span = Number.POSITIVE_INFINITY;
  const observe = (host: string, event: ContextEvent): void => {
    if (host !== "a" || event.event !== "recovered" || span < Number.POSITIVE_INFINITY) return;
    span = (event.detection + event.exploration) / 1000;
  };
  const { violation } = simulate(scenarioOf(recorded, settings, failsAt), { seed, observe });
  if (violation !== undefined)
    throw new Error(`the model of an outage broke: ${violation.message}`);
  return span;
}

function scenarioOf(
  { evidence, locators, outage }: RecordedOutage,
  { sendTimeout, detect }: WhatIfSettings,
  failsAt: number,
): Scenario {
  const [local, peer] = [
    usedFirst(locators.local, outage.from.local),
    usedFirst(locators.peer, outage.from.peer),
  ];
  const recordedSpan = (outage.detection + outage.exploration) / 1000;
  const uplink = (address: Address): UplinkName =>
    local.includes(address)
      ? { host: "a", uplink: local.indexOf(address) }
      : { host: "b", uplink: peer.indexOf(address) };
  const way = ({ source, destination }: Path) => ({
    from: uplink(source),
    to: uplink(destination),
  });
  return {
    name: "what if",
    summary: "an outage of a trace",
    hosts: [
      { name: "a", uplinks: local.length },
      { name: "b", uplinks: peer.length },
    ],
    // Each packet passes two uplinks, and the answer another two.
    link: { delay: evidence.roundTrip === undefined ? USUAL_DELAY / 2 : evidence.roundTrip / 4000 },
    flows: [flowOf(evidence)],
    failures: evidence.dead.map(({ until, ...path }): Failure => {
      const lasts = until === undefined ? {} : { lasts: until / 1000 };
      return { type: "path", at: failsAt, ...way(path), ...lasts };
    }),
    duration: FAILS_AT + PATIENCE + 2 * Math.ceil(Math.max(recordedSpan, sendTimeout)),
    sendTimeout,
    detect,
    contextIdleTimeout: 300,
    trigger: 20,
  };
}

/** The first uplinks of both hosts are those that the flow begins on. */
function usedFirst(addresses: readonly Address[], used: Address): Address[] {
  return [used, ...addresses.filter((address) => address !== used)];
}

function flowOf({ rate }: OutageEvidence): FlowSpec {
  const { shortest, usual, longest } = INTERVALS;
  if (rate === undefined || rate.out + rate.in === 0) {
    return { kind: "udp", from: "a", to: "b", interval: usual };
  }
  const interval = Math.min(Math.max(1 / Math.max(rate.out, rate.in), shortest), longest);
  if (rate.in === 0) return { kind: "one-way", from: "a", to: "b", interval };
  if (rate.out === 0) return { kind: "one-way", from: "b", to: "a", interval };
  return { kind: "udp", from: "a", to: "b", interval };
}
