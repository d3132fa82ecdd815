import type { ProbeState } from "../wire/message.ts";
import type { ReapState } from "./view.ts";

/**
 * REAP as one table: the behaviour that RFC 5534 section 6 requires, row by row. A probe
 * carries the state that follows it. Send Timer and Keepalive Timer never run together.
 */
export type ReapEvent =
  | "payload-in"
  | "payload-out"
  | "keepalive-timeout"
  | "send-timeout"
  | "retransmission"
  | "keepalive"
  | "probe-exploring"
  | "probe-inboundok"
  | "probe-operational"
  /** A local locator is gone, or somebody asks (section 4.1: tracking local information). */
  | "explore"
  /** The exchange that made the peer's context anew has proven a pair both ways. */
  | "peer-renewed";

/** "start" leaves a running timer as it is; "restart" doesn't. */
export type TimerAction = "start" | "restart" | "stop";

export interface ReapTransition {
  /** The state that follows; the same one where it is absent. */
  readonly next?: ReapState;
  readonly sendTimer?: TimerAction;
  readonly keepaliveTimer?: TimerAction;
  readonly message?: "probe" | "keepalive";
}

export const NOTHING: ReapTransition = {};
const EXPLORE: ReapTransition = {
  next: "Exploring",
  sendTimer: "stop",
  keepaliveTimer: "stop",
  message: "probe",
};
const HEARD: ReapTransition = { next: "InboundOk", sendTimer: "restart", message: "probe" };
const CONFIRM: ReapTransition = {
  next: "Operational",
  sendTimer: "restart",
  keepaliveTimer: "stop",
  message: "probe",
};
const FINISH: ReapTransition = {
  next: "Operational",
  sendTimer: "stop",
  keepaliveTimer: "start",
};

export const REAP: Readonly<Record<ReapEvent, Readonly<Record<ReapState, ReapTransition>>>> = {
  // Section 6.1.
  "payload-in": {
    Operational: { sendTimer: "stop", keepaliveTimer: "start" },
    Exploring: HEARD,
    InboundOk: { sendTimer: "stop" },
  },
  // Section 6.2.
  "payload-out": {
    Operational: { sendTimer: "start", keepaliveTimer: "stop" },
    Exploring: NOTHING,
    InboundOk: { sendTimer: "start" },
  },
  // Section 6.3.
  "keepalive-timeout": {
    Operational: { keepaliveTimer: "stop", message: "keepalive" },
    Exploring: NOTHING,
    InboundOk: NOTHING,
  },
  // Section 6.4.
  "send-timeout": {
    Operational: EXPLORE,
    Exploring: NOTHING,
    InboundOk: EXPLORE,
  },
  // Section 6.5.
  retransmission: {
    Operational: NOTHING,
    Exploring: { message: "probe" },
    InboundOk: { sendTimer: "start", message: "probe" },
  },
  // Section 6.6.
  keepalive: {
    Operational: { sendTimer: "stop" },
    Exploring: HEARD,
    InboundOk: { sendTimer: "stop" },
  },
  // Section 6.7.
  "probe-exploring": {
    Operational: { ...HEARD, keepaliveTimer: "stop" },
    Exploring: HEARD,
    InboundOk: HEARD,
  },
  // Section 6.8.
  "probe-inboundok": {
    Operational: CONFIRM,
    Exploring: CONFIRM,
    InboundOk: CONFIRM,
  },
  // Section 6.9.
  "probe-operational": {
    Operational: FINISH,
    Exploring: FINISH,
    InboundOk: FINISH,
  },
  explore: {
    Operational: EXPLORE,
    Exploring: NOTHING,
    InboundOk: NOTHING,
  },
  "peer-renewed": {
    Operational: NOTHING,
    Exploring: { next: "Operational", sendTimer: "stop" },
    InboundOk: { next: "Operational", sendTimer: "stop" },
  },
};

/** What a probe says of its sender (RFC 5534 section 5.3). */
export const PROBE_STATES: Readonly<Record<ReapState, ProbeState>> = {
  Operational: "operational",
  Exploring: "exploring",
  InboundOk: "inboundok",
};
