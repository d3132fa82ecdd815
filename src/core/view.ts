import type { Address } from "../wire/address.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { FlowSelector } from "./flow-selector.ts";
import type { AddressPair, Deadline } from "./output.ts";
import type { PathView } from "./path-log.ts";
import type { Duration, Instant } from "./time.ts";
import type { TrafficSnapshot } from "./traffic.ts";

/** RFC 5533 section 6.2. A context in IDLE has no state at the host, and is in no list. */
export type ContextState =
  | "IDLE"
  | "I1-SENT"
  | "I2-SENT"
  | "I2BIS-SENT"
  | "ESTABLISHED"
  | "E-FAILED"
  | "NO-SUPPORT";

/** How firmly a context keeps to its preferred pair: until that fails, or whatever happens. */
export type Pin = "until-failure" | "strict";

/** RFC 5534 section 6. */
export type ReapState = "Operational" | "Exploring" | "InboundOk";

/** One row of the paper's table 3, with what RFC 5533 section 6.1 adds. */
export interface PeerLocatorView {
  readonly address: Address;
  /** The verification method octet from the Locator List; `undefined` for the bare ULID. */
  readonly method: number | undefined;
  readonly preference: number;
  readonly weight: number;
  readonly transient: boolean;
  /** Known to be broken (RFC 5533 section 5.15.3). */
  readonly broken: boolean;
  /** Probed: the peer answered there since the list came. */
  readonly reachable: boolean;
}

/** A better pair that a context watches. */
export interface WatchedPairView {
  readonly locators: AddressPair;
  /** For how long it has answered probes, and how long it has to. */
  readonly goodFor: Duration;
  readonly hold: Duration;
  /** How often it has failed in use lately: the hold time doubles with each. */
  readonly failures: number;
  readonly next: {
    /** "probe": it is asked; "answer": its answer is late; "traffic": when payload flows again. */
    readonly reason: "probe" | "answer" | "traffic";
    readonly at: Instant | undefined;
  };
}

/** What a look at a context costs least for: there may be tens of thousands. */
export interface ContextOutline {
  readonly tag: ContextTag;
  readonly state: ContextState;
  /** `undefined` unless the state is ESTABLISHED. */
  readonly reapState: ReapState | undefined;
  readonly ulids: AddressPair;
  readonly locators: AddressPair;
}

/** A read-only look at one context: the paper's table 1. */
export interface ContextView extends ContextOutline {
  /** The pair to use whenever it works; `undefined` for whichever does. */
  readonly preferred: AddressPair | undefined;
  /** Set while it is pinned to the preferred pair. */
  readonly pin: Pin | undefined;
  /** Pairs that it would rather use than the current one, the best first. */
  readonly betterPairs: readonly WatchedPairView[];
  readonly forkedInstance: number;
  /** Which packets a forked context carries; `undefined` for none, and for the default context. */
  readonly selector: FlowSelector | undefined;
  readonly peerTag: ContextTag | undefined;
  readonly localLocators: readonly {
    readonly address: Address;
    readonly preference: number;
    readonly weight: number;
    readonly transient: boolean;
    readonly operational: boolean;
  }[];
  readonly peerLocators: readonly PeerLocatorView[];
  /** Of each pair of these locators, in UDP, too, where both ends take that; as this run knows. */
  readonly paths: readonly PathView[];
  readonly initiator: boolean;
  readonly createdAt: Instant;
  readonly establishedAt: Instant | undefined;
  readonly lastSwitchAt: Instant | undefined;
  readonly switches: number;
  readonly probesSent: number;
  readonly probesReceived: number;
  readonly keepalivesSent: number;
  readonly keepalivesReceived: number;
  /** As of the last reading; the data plane has newer figures. */
  readonly traffic: TrafficSnapshot | undefined;
  /** What the context waits for. */
  readonly next: Deadline | undefined;
}
