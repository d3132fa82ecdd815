import type { ContextState } from "./view.ts";

/**
 * Context establishment and recovery as one table (RFC 5533 sections 7 and 12, in the form of
 * its appendix B). A context in IDLE has no state at the host.
 */
export type EstablishmentEvent =
  /** The trigger or a command asks for a context. */
  | "open"
  /** I1 from nobody whom a context knows to be there. */
  | "i1"
  /** I1 from the peer while our own exchange with it is under way (section 7.4). */
  | "i1-concurrent"
  /** I1 in ESTABLISHED from the peer with the tag that we have: our R2 was lost. */
  | "i1-repeated"
  | "r1"
  /** I2 that passed the validator, the limits and the locator verification. */
  | "i2"
  | "r2"
  /** The peer says that it doesn't know the tag that we use. */
  | "r1bis"
  /** I2bis that passed what I2 has to pass. */
  | "i2bis"
  /** Payload or control with our tag although the exchange isn't over (sections 10.4 and 12.2). */
  | "tagged-packet"
  /** Payload or control of type 64 to 127 with a tag that no context has (section 7.17). */
  | "unknown-tag"
  | "retransmission-timeout"
  /** I2_RETRIES_MAX without an R2 (section 7.12). */
  | "i2-unanswered"
  /** I1_RETRIES_MAX without an end to the exchange (section 7.8). */
  | "attempt-failed"
  /** A Shim6 Error that quotes our I1, I2 or I2bis (section 5.14). */
  | "refused"
  /** ICMPv6 says that the peer doesn't know protocol 140 (section 7.8). */
  | "no-support"
  | "hold-down-over";

export type EstablishmentAction =
  | "send-i1"
  | "send-i2"
  | "send-r1"
  | "send-r2"
  | "send-r1bis"
  | "send-i2bis"
  /** Send the I2 or I2bis once more, beside its retransmissions. */
  | "repeat"
  /** Take CT(peer), Ls(peer) and the Keepalive Timeout from the message. */
  | "adopt"
  | "hold-down"
  /** Forget the context altogether. */
  | "forget";

export interface EstablishmentTransition {
  /** The state that follows; the same one where it is absent. */
  readonly next?: ContextState;
  readonly actions: readonly EstablishmentAction[];
}

type Row = Partial<Record<ContextState, EstablishmentTransition>>;

const REPLY_R1: EstablishmentTransition = { actions: ["send-r1"] };
const REPLY_R2: EstablishmentTransition = { actions: ["send-r2"] };
const CREATE: EstablishmentTransition = { next: "ESTABLISHED", actions: ["adopt", "send-r2"] };
const RENEW: EstablishmentTransition = { actions: ["adopt", "send-r2"] };
const COMPLETE: EstablishmentTransition = { next: "ESTABLISHED", actions: ["adopt"] };

/** Where a state has no entry for an event, the message is discarded and nothing changes. */
export const ESTABLISHMENT: Readonly<Record<EstablishmentEvent, Row>> = {
  open: {
    IDLE: { next: "I1-SENT", actions: ["send-i1"] },
  },
  i1: {
    IDLE: REPLY_R1,
    "E-FAILED": REPLY_R1,
    "NO-SUPPORT": REPLY_R1,
    ESTABLISHED: REPLY_R1,
    "I1-SENT": REPLY_R1,
    "I2-SENT": REPLY_R1,
    "I2BIS-SENT": REPLY_R1,
  },
  "i1-concurrent": {
    "I1-SENT": REPLY_R2,
    "I2-SENT": REPLY_R2,
    "I2BIS-SENT": REPLY_R2,
  },
  "i1-repeated": {
    ESTABLISHED: REPLY_R2,
  },
  r1: {
    "I1-SENT": { next: "I2-SENT", actions: ["send-i2"] },
  },
  i2: {
    IDLE: CREATE,
    "E-FAILED": CREATE,
    "NO-SUPPORT": CREATE,
    "I1-SENT": CREATE,
    "I2-SENT": RENEW,
    "I2BIS-SENT": RENEW,
    ESTABLISHED: RENEW,
  },
  i2bis: {
    IDLE: CREATE,
    "E-FAILED": CREATE,
    "NO-SUPPORT": CREATE,
    "I1-SENT": CREATE,
    "I2-SENT": RENEW,
    "I2BIS-SENT": RENEW,
    ESTABLISHED: RENEW,
  },
  r2: {
    "I1-SENT": COMPLETE,
    "I2-SENT": COMPLETE,
    "I2BIS-SENT": COMPLETE,
  },
  r1bis: {
    ESTABLISHED: { next: "I2BIS-SENT", actions: ["send-i2bis"] },
  },
  "tagged-packet": {
    "I2-SENT": { actions: ["repeat"] },
    "I2BIS-SENT": { actions: ["repeat"] },
  },
  "unknown-tag": {
    IDLE: { actions: ["send-r1bis"] },
  },
  "retransmission-timeout": {
    "I1-SENT": { actions: ["send-i1"] },
    "I2-SENT": { actions: ["send-i2"] },
    "I2BIS-SENT": { actions: ["send-i2bis"] },
  },
  "i2-unanswered": {
    "I2-SENT": { next: "I1-SENT", actions: ["send-i1"] },
    "I2BIS-SENT": { next: "I1-SENT", actions: ["send-i1"] },
  },
  "attempt-failed": {
    "I1-SENT": { next: "E-FAILED", actions: ["hold-down"] },
    "I2-SENT": { next: "E-FAILED", actions: ["hold-down"] },
    "I2BIS-SENT": { next: "E-FAILED", actions: ["hold-down"] },
  },
  refused: {
    "I1-SENT": { next: "E-FAILED", actions: ["hold-down"] },
    "I2-SENT": { next: "E-FAILED", actions: ["hold-down"] },
    "I2BIS-SENT": { next: "E-FAILED", actions: ["hold-down"] },
  },
  "no-support": {
    "I1-SENT": { next: "NO-SUPPORT", actions: ["hold-down"] },
  },
  "hold-down-over": {
    "E-FAILED": { next: "IDLE", actions: ["forget"] },
    "NO-SUPPORT": { next: "IDLE", actions: ["forget"] },
  },
};
