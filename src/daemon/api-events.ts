import type { CloseCause, ExplorationCause, FailureCause, SwitchCause } from "../core/output.ts";
import type { LocatorPairStatus, Reply, Warning } from "./api.ts";

/* Of the control API (api.ts): what happens. */

/** One line of the event stream. `context` is the local tag, `null` when it concerns none. */
export type MonitorEvent = { readonly time: string } & Happening & {
    /** Grows by one with each event since the start of the daemon, from 1 on. */
    readonly sequence: number;
    /** Seconds on CLOCK_MONOTONIC, which no change of the wall clock moves. */
    readonly monotonic: number;
  };

export type Happening =
  | ContextMonitorEvent
  | HostLocatorsEvent
  | UplinkEvent
  | WarningEvent
  | HostWarningEvent
  | MessageEvent;

/**
 * The newest events since the start of the daemon, the oldest first: all that the event stream
 * carries but "message" and "local-locators-changed", 10,000 of contexts and 1,000 of the host.
 * Whoever subscribes to the stream first and asks then misses none; `sequence` tells which came twice.
 */
export interface HistoryReply extends Reply {
  readonly startedAt: string;
  /** Now, by both clocks of the events. */
  readonly time: string;
  readonly monotonic: number;
  /** Events that are not kept any more: newer ones have taken their places. */
  readonly dropped: number;
  readonly events: readonly MonitorEvent[];
}

export type ContextMonitorEvent = {
  readonly context: string;
  readonly localUlid: string;
  readonly peerUlid: string;
} & (
  | ({
      /** "restored": taken over from an earlier run of the daemon. */
      readonly event: "established" | "restored";
      readonly peerTag: string;
      /** 0 for a default context, else that of a fork. */
      readonly forkedInstance: number;
    } & LocatorPairStatus)
  | { readonly event: "failed"; readonly cause: FailureCause; readonly holdUntil: string }
  | { readonly event: "exploring"; readonly cause: ExplorationCause }
  | { readonly event: "inboundok" }
  | {
      readonly event: "switched";
      readonly from: LocatorPairStatus;
      readonly to: LocatorPairStatus;
      readonly cause: SwitchCause;
    }
  | ({
      readonly event: "recovered";
      /** Seconds from the last sign of life to the start of the exploration. */
      readonly detection: number;
      /** Seconds from the start of the exploration to Operational. */
      readonly exploration: number;
      readonly probesSent: number;
      readonly probesReceived: number;
    } & LocatorPairStatus)
  | { readonly event: "local-locators-changed"; readonly locators: readonly string[] }
  | { readonly event: "peer-locators-changed"; readonly locators: readonly string[] }
  | { readonly event: "closed"; readonly cause: CloseCause }
);

/** The host's own locators or their states changed. */
export interface HostLocatorsEvent {
  readonly event: "host-locators-changed";
  readonly context: null;
  readonly locators: readonly {
    readonly address: string;
    readonly interface: string | null;
    readonly operational: boolean;
  }[];
}

/** An uplink came, went, began to work or ceased to. At the start there is one for each. */
export interface UplinkEvent {
  readonly event: "uplink-changed";
  readonly context: null;
  readonly interface: string;
  readonly operational: boolean;
  /** As of `UplinkStatus`. */
  readonly problem: string | null;
}

/** The daemon begins to warn of something, or ceases to; see `StatusReply`. */
export type WarningEvent = {
  readonly event: "warning" | "warning-over";
  readonly context: null;
} & Warning;

/** The kernel or the disk has refused something; the shim goes on. */
export interface HostWarningEvent {
  readonly event: "host-warning";
  readonly context: null;
  readonly text: string;
}

/** A control message; in the stream only when it was asked for. */
export interface MessageEvent {
  readonly event: "message";
  /** The context as far as the message or the endpoint names it. */
  readonly context: string | null;
  readonly direction: "sent" | "received";
  /** As in RFC 5533 Table 1, or "Unknown" or "Malformed". */
  readonly type: string;
  readonly source: string;
  readonly destination: string;
  /** Octets from the Shim6 header on. */
  readonly length: number;
}
