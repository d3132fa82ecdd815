import type { Instant } from "./time.ts";

/**
 * What a data plane knows of a context's payload, so that REAP needs no call per packet.
 * Payload is every packet of the context but Shim6 control messages, with or without the
 * payload extension header.
 */
export interface TrafficSnapshot {
  readonly lastOut: Instant | undefined;
  readonly lastIn: Instant | undefined;
  /** When the first payload left since the last one came in, or since `mark("out")`. */
  readonly firstUnansweredOut: Instant | undefined;
  /** When the first payload came in since the last one left, or since `mark("in")`. */
  readonly firstUnansweredIn: Instant | undefined;
  readonly packetsOut: number;
  readonly packetsIn: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

/** "out": what left counts as answered; "in": what came counts as answered. */
export type TrafficDirection = "out" | "in";

/** Keeps one context's {@link TrafficSnapshot}: the reference for every data plane. */
export class TrafficRecord {
  #lastOut: Instant | undefined;
  #lastIn: Instant | undefined;
  #firstUnansweredOut: Instant | undefined;
  #firstUnansweredIn: Instant | undefined;
  #packetsOut = 0;
  #packetsIn = 0;
  #bytesOut = 0;
  #bytesIn = 0;
  #resumed: ((now: Instant) => void) | undefined;

  get snapshot(): TrafficSnapshot {
    return {
      lastOut: this.#lastOut,
      lastIn: this.#lastIn,
      firstUnansweredOut: this.#firstUnansweredOut,
      firstUnansweredIn: this.#firstUnansweredIn,
      packetsOut: this.#packetsOut,
      packetsIn: this.#packetsIn,
      bytesOut: this.#bytesOut,
      bytesIn: this.#bytesIn,
    };
  }

  /** A payload packet of `bytes` octets (IPv6 header included) leaves. */
  out(now: Instant, bytes: number): void {
    this.#lastOut = now;
    this.#firstUnansweredOut ??= now;
    this.#firstUnansweredIn = undefined;
    this.#packetsOut += 1;
    this.#bytesOut += bytes;
    this.#tellResumed(now);
  }

  /** A payload packet of `bytes` octets (IPv6 header included) has come in. */
  in(now: Instant, bytes: number): void {
    this.#lastIn = now;
    this.#firstUnansweredIn ??= now;
    this.#firstUnansweredOut = undefined;
    this.#packetsIn += 1;
    this.#bytesIn += bytes;
    this.#tellResumed(now);
  }

  /** @param resumed called with the next packet, once it is counted, and not again */
  await(resumed: (now: Instant) => void): void {
    this.#resumed = resumed;
  }

  /** The core says that what went in `direction` so far needs no answer any more. */
  mark(direction: TrafficDirection): void {
    if (direction === "out") this.#firstUnansweredOut = undefined;
    else this.#firstUnansweredIn = undefined;
  }

  #tellResumed(now: Instant): void {
    const resumed = this.#resumed;
    this.#resumed = undefined;
    resumed?.(now);
  }
}
