import type { LocatorPairStatus } from "./api.ts";

/* Of the control API (api.ts): rehearsals. */

/** Rehearses the death of an uplink for the sessions that the shim protects. */
export interface DrillRequest {
  /** Its interface, one of its locators, or a prefix that these are in. */
  readonly uplink: string;
  /** 1 to 300; whole ones. */
  readonly seconds: number;
  /** "silent" unless given: its packets get lost. "link-down": the host is told of it besides. */
  readonly as?: DrillStart["as"];
  /** Also where no other uplink works. False unless given. */
  readonly force?: boolean;
}

export type DrillEvent = DrillStart | { readonly event: "ended"; readonly report: DrillReport };

export interface DrillStart {
  readonly event: "started";
  readonly uplink: string;
  readonly as: "silent" | "link-down";
  readonly until: string;
  /** Contexts that use the uplink. */
  readonly flows: number;
  /** TCP connections on its addresses that have no context: they go on, and would die with it. */
  readonly unprotected: readonly UnprotectedSession[];
}

export interface UnprotectedSession {
  readonly local: string;
  readonly localPort: number;
  readonly peer: string;
  readonly peerPort: number;
}

export interface DrillReport {
  readonly uplink: string;
  readonly as: DrillStart["as"];
  readonly startedAt: string;
  /** Seconds. */
  readonly lasted: number;
  readonly endedBy: DrillEnd;
  readonly flows: readonly DrilledFlow[];
  readonly unprotected: readonly UnprotectedSession[];
}

/** "command": before its time. */
export type DrillEnd = "time" | "command";

/**
 * "moved": payload went on by another pair. "waited": only when the drill was over. "idle": there
 * was none. "lost": none has come in again, 5 seconds after the end.
 */
export type DrillOutcome = "moved" | "waited" | "idle" | "lost";

/** One context that used the uplink. Spans are in seconds, `null` where there was none. */
export interface DrilledFlow {
  readonly context: string;
  readonly localUlid: string;
  readonly peerUlid: string;
  readonly outcome: DrillOutcome;
  /**
   * The longest silence of what comes in, to 0.02 s where no more than 1000 contexts are looked
   * at; where nothing comes in, from the start until packets left by another pair.
   */
  readonly interruption: number | null;
  /** From the last sign of life until it was noticed, and from there until a pair was found. */
  readonly detection: number | null;
  readonly exploration: number | null;
  readonly from: LocatorPairStatus;
  /** `null` when it did not move. */
  readonly to: LocatorPairStatus | null;
  /** It has moved, and is back on the pair that it came from. */
  readonly back: boolean;
}
