import type { Address } from "../wire/address.ts";
import type { ControlMessage } from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { FlowSelector } from "./flow-selector.ts";
import type { SurveyedPair } from "./survey.ts";
import type { Duration, Instant } from "./time.ts";
import type { TrafficDirection } from "./traffic.ts";

/** Two addresses seen from this host: a ULID pair or a locator pair. */
export interface AddressPair {
  readonly local: Address;
  readonly peer: Address;
  /** Of a locator pair: what has a Shim6 header goes there in UDP (docs/encapsulation.md). */
  readonly encapsulated?: boolean | undefined;
}

/** The same addresses, whatever form Shim6 has between them. */
export function sameEnds(a: AddressPair, b: AddressPair): boolean {
  return a.local === b.local && a.peer === b.peer;
}

export function samePair(a: AddressPair, b: AddressPair): boolean {
  return sameEnds(a, b) && isEncapsulated(a) === isEncapsulated(b);
}

export function isEncapsulated({ encapsulated = false }: AddressPair): boolean {
  return encapsulated;
}

/** The pair in UDP, or not. */
export function inForm({ local, peer }: AddressPair, encapsulated: boolean): AddressPair {
  return encapsulated ? { local, peer, encapsulated } : { local, peer };
}

/** The pair as a key of a Map. */
export function pairKey(pair: AddressPair): string {
  return `${pair.local} ${pair.peer}${isEncapsulated(pair) ? " in UDP" : ""}`;
}

/** What the core wants done. The driver takes these from `Endpoint.poll()` until none is left. */
export type Output =
  /** Send this control message (from the Shim6 header on) from `source` to `destination`. */
  | {
      readonly type: "send";
      readonly source: Address;
      readonly destination: Address;
      /** In UDP. */
      readonly encapsulated: boolean;
      readonly bytes: Uint8Array;
      readonly message: ControlMessage;
      readonly tag: ContextTag | undefined;
    }
  /**
   * Payload tagged `tag` is to be restored to `ulids`. Payload without a tag counts for the
   * pair's context whose forked instance is 0.
   */
  | {
      readonly type: "set-context";
      readonly tag: ContextTag;
      readonly ulids: AddressPair;
      readonly forkedInstance: number;
    }
  | { readonly type: "clear-context"; readonly tag: ContextTag }
  /** Outbound payload of the ULID pair leaves on `locators` with the peer's tag. */
  | { readonly type: "set-mapping"; readonly tag: ContextTag; readonly mapping: Mapping }
  /** Outbound payload of the ULID pair leaves as it is: the null mapping. */
  | { readonly type: "clear-mapping"; readonly tag: ContextTag }
  /** While on, each inbound payload is reported at once by `handleInboundPayload`. */
  | { readonly type: "watch"; readonly tag: ContextTag; readonly on: boolean }
  /** While on, ICMPv6 errors that `concernsPath` are kept from the ULP: the shim acts on them. */
  | { readonly type: "withhold-errors"; readonly tag: ContextTag; readonly on: boolean }
  /** Call `handleTraffic` with this context's snapshot. */
  | { readonly type: "read-traffic"; readonly tag: ContextTag }
  /** What went in `direction` so far is answered: `TrafficRecord.mark`. */
  | {
      readonly type: "mark-traffic";
      readonly tag: ContextTag;
      readonly direction: TrafficDirection;
    }
  /**
   * Call `handleTrafficResumed` when the context's next payload passes, once; at once where more
   * than `packets` have passed by now, both ways together.
   */
  | { readonly type: "await-traffic"; readonly tag: ContextTag; readonly packets: number }
  /** The ULID pair may cross the trigger anew: count it from zero. */
  | { readonly type: "arm-trigger"; readonly ulids: AddressPair }
  /**
   * What `Endpoint.snapshot` gives for this context has changed, or it gives nothing any more.
   * Probes, keepalives and payload change nothing of it.
   */
  | { readonly type: "save-context"; readonly tag: ContextTag }
  /** A survey is over: what came of each of its pairs. */
  | {
      readonly type: "surveyed";
      readonly survey: number;
      readonly pairs: readonly SurveyedPair[];
    }
  | { readonly type: "event"; readonly event: ContextEvent };

export interface Mapping {
  readonly ulids: AddressPair;
  readonly locators: AddressPair;
  readonly peerTag: ContextTag;
  /** Of a forked context: the packets that it carries. Else all that no fork selects. */
  readonly selector?: FlowSelector;
}

/** Why a context started to look for another pair. */
export type ExplorationCause =
  | "send-timeout"
  | "local-locator-lost"
  | "peer-locator-lost"
  | "icmp-error"
  /** The uplink's router does not answer any more. */
  | "router-lost"
  /** The machine has slept, and the path may have died meanwhile. */
  | "resumed"
  /** The current pair answers no probes, tested because answers were late. */
  | "suspicion"
  | "command"
  /** The daemon's earlier run was exploring when it ended. */
  | "restart";

/** Why payload leaves on another pair. */
export type SwitchCause =
  /** An exploration has found it. */
  | "exploration"
  /** A better pair has been good for its hold time. */
  | "fail-back"
  /** Somebody prefers it. */
  | "command"
  /** The peer has made the context anew there. */
  | "peer-renewed";

/** Why an attempt to establish a context ended (RFC 5533 sections 7.8 and 7.13 to 7.16). */
export type FailureCause = "no-answer" | "no-support" | "rejected";

/** Why a context was forgotten. */
export type CloseCause =
  | "idle"
  | "command"
  /** The peer uses its tag for another context (RFC 5533 section 7.15). */
  | "confusion"
  /** The table was full, and its peer's prefix had most. */
  | "evicted";

/** A thing that happened to a context, for logs, monitors and tests. `at` is monotonic. */
export type ContextEvent = {
  readonly at: Instant;
  /** Our context tag. */
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
} & (
  | { readonly event: "established"; readonly locators: AddressPair; readonly peerTag: ContextTag }
  /** Taken over from an earlier run of the daemon. */
  | { readonly event: "restored"; readonly locators: AddressPair; readonly peerTag: ContextTag }
  | { readonly event: "failed"; readonly cause: FailureCause; readonly holdUntil: Instant }
  | { readonly event: "exploring"; readonly cause: ExplorationCause }
  | { readonly event: "inboundok" }
  | {
      readonly event: "switched";
      readonly from: AddressPair;
      readonly to: AddressPair;
      readonly cause: SwitchCause;
    }
  | {
      readonly event: "recovered";
      readonly locators: AddressPair;
      /** From the last payload or keepalive seen before the exploration to its start. */
      readonly detection: Duration;
      /** From the start of the exploration to Operational. */
      readonly exploration: Duration;
      readonly probesSent: number;
      readonly probesReceived: number;
    }
  | { readonly event: "local-locators-changed"; readonly locators: readonly Address[] }
  | { readonly event: "peer-locators-changed"; readonly locators: readonly Address[] }
  | { readonly event: "closed"; readonly cause: CloseCause }
);

/** What the host itself has noticed that may have killed paths. */
export type HostSuspicion = Extract<ExplorationCause, "router-lost" | "resumed">;

/** What a context waits for; `Endpoint.pollTimeout()` returns the earliest. */
export type DeadlineReason =
  | "i1-retransmission"
  | "i2-retransmission"
  | "update-retransmission"
  | "hold-down"
  | "send-timeout"
  | "keepalive"
  | "probe"
  /** A better pair is probed, or its answer is late. */
  | "fail-back"
  /** The current pair is being probed: an answer is late, or how long they take is not known. */
  | "pair-test"
  /** Somebody wants to know which pairs work. */
  | "survey"
  /** No timer runs; payload may have started one by then. */
  | "traffic-check"
  /** No payload passes: the context is forgotten then, unless it was of use meanwhile. */
  | "idle";

export interface Deadline {
  readonly at: Instant;
  readonly reason: DeadlineReason;
  readonly tag: ContextTag | undefined;
}
