/**
 * The control API: HTTP with JSON on a Unix socket. These types are the contract between
 * daemon and clients; whoever changes the meaning of a field raises SCHEMA_VERSION.
 *
 * - `GET /v1/status` {@link StatusReply}
 * - `GET /v1/access` {@link AccessReply}
 * - `GET /v1/contexts[?offset=N&limit=N]` {@link ContextsReply}
 * - `GET /v1/contexts/TAG` {@link ContextReply}
 * - `GET /v1/locators` {@link LocatorsReply}
 * - `GET /metrics` text for Prometheus, see metrics/metrics.ts
 * - `GET /v1/events[?messages=1]` one {@link MonitorEvent} a line until either side closes; with
 *   `Accept: text/event-stream` one a server-sent event
 * - `GET /v1/history[?after=SEQUENCE][&context=TAG]` {@link HistoryReply}: what has happened before
 * - `POST /v1/check` {@link CheckReply}
 * - `POST /v1/contexts` {@link OpenRequest} -> {@link DoneReply}
 * - `POST /v1/contexts/TAG/explore`, `POST /v1/contexts/TAG/close` {@link DoneReply}
 * - `POST /v1/contexts/TAG/prefer` {@link PreferRequest} -> {@link DoneReply}
 * - `POST /v1/contexts/TAG/pin` {@link PinRequest} -> {@link DoneReply}
 * - `POST /v1/contexts/TAG/unpin` {@link DoneReply}
 * - `POST /v1/forks` {@link ForkRequest} -> {@link ForksReply}
 * - `POST /v1/survey` {@link SurveyRequest} -> {@link SurveyReply}, which takes some seconds
 * - `POST /v1/capture[?payload=OCTETS]` control messages (and so much of each packet of payload,
 *   40 to 65535) as a pcapng file, until either side closes
 * - `POST /v1/drill` {@link DrillRequest} -> one {@link DrillEvent} a line; the drill ends with
 *   the connection. `DELETE /v1/drill` {@link DoneReply} ends it before its time
 * - `POST /v1/send-timeout` {@link SendTimeoutRequest} -> {@link SendTimeoutReply}
 *
 * Addresses are in the text of RFC 5952, tags 12 hexadecimal digits, times ISO 8601 in UTC
 * with milliseconds, spans seconds with fractions. Errors are {@link ErrorReply}: 400 for a
 * bad request, 404 for an unknown path or context, 409 when the state forbids it.
 */

import type { Detection, SecurityMode } from "../core/config.ts";
import type { FlowSelector } from "../core/flow-selector.ts";
import type { DeadlineReason, ExplorationCause, SwitchCause } from "../core/output.ts";
import type { PathState } from "../core/path-log.ts";
import type { ContextState, Pin, ReapState } from "../core/view.ts";

export type * from "./api-drill.ts";
export type * from "./api-events.ts";

export const SCHEMA_VERSION = 1;

export const DEFAULT_SOCKET = "/run/l3shim/control.sock";

/** What every answer has. */
export interface Reply {
  readonly schemaVersion: typeof SCHEMA_VERSION;
}

export interface ErrorReply extends Reply {
  readonly error: string;
}

export interface DoneReply extends Reply {
  readonly done: true;
}

/** What whoever asks may do. */
export interface AccessReply extends Reply {
  /** Requests other than GET are taken from there. */
  readonly mayChange: boolean;
  /** In a lab: its hosts, all of which the same server shows. */
  readonly hosts?: readonly string[];
}

/** Something that a user should know or change. */
export interface Warning {
  /** A stable word to match on, such as "one-uplink". */
  readonly code: string;
  /** "error": sessions are lost or unprotected; "warning": they may be; "info": as it was chosen. */
  readonly severity: "info" | "warning" | "error";
  /** What is the matter, and what to do. */
  readonly text: string;
}

export interface StatusReply extends Reply {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  /** Seconds. */
  readonly uptime: number;
  readonly dataplane: string;
  readonly security: SecurityMode;
  /** Seconds; as configured, or as set since. */
  readonly sendTimeout: number;
  readonly detect: Detection;
  /** When a pair of addresses that talks gets a context. */
  readonly trigger: {
    /** Packets, both directions together. */
    readonly packets: number;
    /** Seconds for which it has talked, whatever the count; `null`: never. */
    readonly age: number | null;
  };
  readonly contexts: {
    readonly total: number;
    readonly byState: Readonly<Partial<Record<ContextState, number>>>;
    readonly byReapState: Readonly<Partial<Record<ReapState, number>>>;
  };
  readonly uplinks: readonly UplinkStatus[];
  readonly warnings: readonly Warning[];
  readonly counters: {
    readonly endpoint: Readonly<Record<string, number>>;
    readonly dataplane: Readonly<Record<string, number>>;
    readonly daemon: Readonly<Record<string, number>>;
  };
}

export interface UplinkStatus {
  readonly interface: string;
  /** Link up with carrier, a gateway and an address that works. */
  readonly operational: boolean;
  /** Why it is not operational. */
  readonly problem: string | null;
  readonly gateway: string | null;
  readonly role: "ordinary" | "backup" | "metered";
  readonly preference: number;
  readonly weight: number;
  readonly transient: boolean;
  readonly locators: readonly string[];
}

/** What `l3shim check` says of the host. */
export interface CheckReply extends Reply {
  readonly findings: readonly Finding[];
  readonly recovery: RecoveryTime;
}

/** One thing that keeps sessions from being protected, or that a user should know. */
export interface Finding {
  /** A stable word to match on, such as "single-uplink". */
  readonly id: string;
  /** As of {@link Warning}; "info" is no problem. */
  readonly severity: Warning["severity"];
  /** An interface, an address, or a locator pair "LOCAL > PEER"; `null` for the host as a whole. */
  readonly subject: string | null;
  /** What is the matter. */
  readonly sentence: string;
  /** What to do; `null` when there is nothing. */
  readonly remedy: string | null;
}

/** Tries all locator pairs with a peer, in both directions; sessions stay where they are. */
export interface SurveyRequest {
  /** An address of the peer. */
  readonly peer: string;
  /** How often each pair is tried, 1 to 10; 3 unless it is given. */
  readonly rounds?: number;
  /** Try ICMPv6 echoes, too, small ones and as long as the path may carry. True unless given. */
  readonly echoes?: boolean;
}

export interface SurveyReply extends Reply {
  readonly survey: PeerSurvey;
}

export interface PeerSurvey {
  readonly localUlid: string;
  readonly peerUlid: string;
  /** When it was over. */
  readonly at: string;
  /** The context, which the survey establishes where there is none; `null` when it could not. */
  readonly context: string | null;
  /** Without one only the pairs of this host's locators with the address that was asked for. */
  readonly pairs: readonly SurveyedPairStatus[];
}

/** What came of one pair. */
export interface SurveyedPairStatus extends LocatorPairStatus {
  /** Protocol 140 gets to the peer, and back from it. `null`: not known. */
  readonly there: boolean | null;
  readonly back: boolean | null;
  /** The peer has no Shim6: it says so by ICMPv6. */
  readonly refused: boolean;
  /** I1 messages that left, and seconds from each to its answer. */
  readonly sent: number;
  readonly roundTrips: readonly number[];
  /** Probes that left, and those that the peer says it has received. */
  readonly probesSent: number;
  readonly probesReported: number;
  /** `null` where none was tried: packets of a session that has moved take another path. */
  readonly echo: {
    readonly answered: boolean;
    /** Octets of the longest packet that was tried, and whether it got there and back. */
    readonly size: number | null;
    readonly sizePasses: boolean;
  } | null;
}

/** How long a session can stand still when its path dies in silence, in seconds. */
export interface RecoveryTime {
  /** Until the failure is noticed, at most. */
  readonly detection: number;
  /** From there until the last of `pairs` locator pairs has been tried, at most. */
  readonly exploration: number;
  /** Where the peer has two locators, if no peer is known. */
  readonly pairs: number;
}

export interface LocatorsReply extends Reply {
  readonly locators: readonly HostLocator[];
}

/** One row of the paper's table 2. */
export interface HostLocator {
  readonly address: string;
  /** `null` for the ULID of a context that no interface has any more. */
  readonly interface: string | null;
  readonly gateway: string | null;
  readonly preference: number;
  readonly weight: number;
  readonly transient: boolean;
  readonly operational: boolean;
  /** Why it is not operational. */
  readonly problem: string | null;
  /**
   * How peers can know that it is ours. "hba": it is in an address set of ours, and as ULID
   * proves others. "cga": a set's key signs for it in contexts on the set's addresses. `null`:
   * not at all.
   */
  readonly proof: "hba" | "cga" | null;
  /** Contexts whose local ULID it is. */
  readonly ulidOf: number;
  /** Contexts whose local locator it is. */
  readonly locatorOf: number;
}

export interface ContextsReply extends Reply {
  readonly contexts: readonly ContextStatus[];
}

export interface ContextReply extends Reply {
  readonly context: ContextStatus;
  /** Each pair of its locators. */
  readonly pairs: readonly PairStatus[];
}

/** What is known of a locator pair in each direction. */
export interface PairStatus extends LocatorPairStatus {
  /** Payload leaves there. */
  readonly inUse: boolean;
  /** Seconds from a probe to its answer, whichever way that came; `null` where none has come. */
  readonly roundTrip: number | null;
  /** From this host to the peer. */
  readonly out: DirectionStatus;
  /** From the peer to this host. */
  readonly in: DirectionStatus;
}

export interface DirectionStatus {
  /**
   * "confirmed": payload or a probe has come through since it failed last, if it did; "probing": a
   * probe is under way; "dead": it failed in use, probes were lost there, or a locator does not
   * work; "unverified": none of these.
   */
  readonly state: PathState;
  /** When the last probe left, or of the peer's came. */
  readonly lastProbe: string | null;
}

/** One context (the paper's table 1) with its local and peer locators (tables 2 and 3). */
export interface ContextStatus {
  readonly state: ContextState;
  /** `null` unless ESTABLISHED. */
  readonly reapState: ReapState | null;
  readonly localUlid: string;
  readonly peerUlid: string;
  readonly localLocator: string;
  readonly peerLocator: string;
  /** See {@link LocatorPairStatus}. */
  readonly encapsulated?: true;
  /** The pair to use whenever it works; `null` for whichever does. */
  readonly preferred: LocatorPairStatus | null;
  /** Whether it is pinned to the preferred pair, and how firmly. */
  readonly pin: Pin | null;
  /** What the last survey with echoes found of its pairs; `null` when there was none. */
  readonly survey: PeerSurvey | null;
  /** Pairs that it would rather use than the current one, the best first. */
  readonly betterPairs: readonly WatchedPairStatus[];
  readonly localTag: string;
  readonly peerTag: string | null;
  /** 0 for a default context, else that of a fork (RFC 5533 section 5.15.7). */
  readonly forkedInstance: number;
  /** Which outbound packets a fork carries; `null` for none, and for a default context. */
  readonly selector: FlowSelector | null;
  readonly initiator: boolean;
  readonly localLocators: readonly {
    readonly address: string;
    readonly preference: number;
    readonly weight: number;
    readonly transient: boolean;
    readonly operational: boolean;
  }[];
  readonly peerLocators: readonly {
    readonly address: string;
    /** The verification method octet; `null` for the ULID itself. */
    readonly method: number | null;
    readonly preference: number;
    readonly weight: number;
    readonly transient: boolean;
    readonly broken: boolean;
    readonly reachable: boolean;
  }[];
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly lastIn: string | null;
  readonly lastOut: string | null;
  readonly createdAt: string;
  readonly establishedAt: string | null;
  readonly lastSwitchAt: string | null;
  readonly switches: number;
  /** How it came to its current pair; `null` for a context that has not been established. */
  readonly path: PathStatus | null;
  readonly probesSent: number;
  readonly probesReceived: number;
  readonly keepalivesSent: number;
  readonly keepalivesReceived: number;
  /** What the context waits for. `in` is in seconds. */
  readonly next: {
    readonly reason: DeadlineReason;
    readonly at: string;
    readonly in: number;
  } | null;
}

/** Why payload of a context leaves on the pair that it leaves on. */
export interface PathStatus {
  /** When payload began to leave there. */
  readonly since: string;
  /**
   * "established": the context has been there from its begin. "restored": an earlier run of the
   * daemon left it there, and why is not known any more.
   */
  readonly cause: "established" | "restored" | SwitchCause;
  /** Why an exploration was begun that found the pair; `null` unless `cause` is "exploration". */
  readonly because: ExplorationStatus["cause"] | null;
  /** What it left; `null` for the first one. */
  readonly from: LocatorPairStatus | null;
  /** The last one, also where it ended on the pair that it began on; `null` when there was none. */
  readonly exploration: ExplorationStatus | null;
}

/** A search for a pair that works both ways. */
export interface ExplorationStatus {
  /** "peer": the other end began it. */
  readonly cause: ExplorationCause | "peer";
  readonly startedAt: string;
  /** `null` while it lasts. */
  readonly endedAt: string | null;
  /** Seconds from the last sign of life to the start; `null` while it lasts. */
  readonly detection: number | null;
  /** Seconds from the start to the end; `null` while it lasts. */
  readonly duration: number | null;
}

export interface OpenRequest {
  readonly localUlid: string;
  readonly peerUlid: string;
}

export interface LocatorPairStatus {
  readonly localLocator: string;
  readonly peerLocator: string;
  /** What has a Shim6 header goes there in UDP; left out where it does not. */
  readonly encapsulated?: true;
}

/** A better pair than the current one, which is probed now and then. Spans are in seconds. */
export interface WatchedPairStatus extends LocatorPairStatus {
  /** For how long it has answered, and for how long it must have before payload goes there. */
  readonly goodFor: number;
  readonly hold: number;
  /** How often it has failed in use lately; each doubles `hold`. */
  readonly failures: number;
  readonly next: {
    /** "probe": it is asked; "answer": its answer is late; "traffic": when payload flows again. */
    readonly reason: "probe" | "answer" | "traffic";
    readonly at: string | null;
    readonly in: number | null;
  };
}

/** Which pair to use whenever it works; `{}` for whichever does. */
export type PreferRequest = LocatorPairStatus | Readonly<Record<string, never>>;

/** To which pair to pin a context, both locators of it; without a pair to its current one. */
export type PinRequest = Partial<LocatorPairStatus> & {
  /** Not even its failure takes the context off the pair. */
  readonly strict?: boolean;
};

/** Makes some outbound packets leave on a context of their own (RFC 5533 section 4.2). */
export interface ForkRequest {
  /**
   * The prefixes, such as "2001:db8::/32", choose contexts by their ULIDs; all else chooses
   * packets within them.
   */
  readonly selector: FlowSelector & {
    readonly localPrefix?: string;
    readonly peerPrefix?: string;
  };
  /**
   * Only this context. A fork, also where the peer forked it, then carries what `selector`
   * says. Otherwise each default context that is ESTABLISHED gets a fork.
   */
  readonly context?: string;
  /** Of the forks; used whenever it works. */
  readonly locators?: LocatorPairStatus;
}

export interface ForksReply extends Reply {
  readonly forks: readonly Fork[];
}

export interface Fork {
  /** Tag of the context that was forked; the same as `fork` for one that was a fork already. */
  readonly context: string;
  readonly fork: string;
}

/** For all contexts; peers are told. */
export interface SendTimeoutRequest {
  /** Whole seconds, 1 to 100. */
  readonly sendTimeout: number;
}

export interface SendTimeoutReply extends Reply {
  readonly sendTimeout: number;
  readonly warnings: readonly Warning[];
}
