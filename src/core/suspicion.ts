import { AnswerGaps } from "./answer-gaps.ts";
import { BURST_LENGTH, MEASUREMENT_DELAY, RECHECK_MIN } from "./defaults.ts";
import type { ReapCheck } from "./reap-timers.ts";
import { INITIAL_PROBE_TIMEOUT, MAX_PROBE_TIMEOUT, NUMBER_OF_INITIAL_PROBES } from "./rfc5534.ts";
import { RoundTrip } from "./round-trip.ts";
import { after, between, type Duration, type Instant, latest, scale } from "./time.ts";
import type { TrafficSnapshot } from "./traffic.ts";

/** Why the current pair is being probed. */
interface PairTest {
  /** "measurement": nothing is suspicious; how long answers take is not known yet. */
  readonly cause: "measurement" | "late-answer" | "icmp-error";
  /** When the first payload left whose answer is late. */
  readonly since: Instant | undefined;
  /** When its probes left, by nonce. */
  readonly sent: Map<number, Instant>;
  /** When the next probe is due, or after the last one the verdict. */
  nextAt: Instant;
}

/**
 * What is to be done now. "suspect": send the first probe of a test; "probe": send another one;
 * "failed": the current pair has not answered, explore.
 */
export type SuspicionStep = "suspect" | "probe" | "failed";

/**
 * Notices that the current pair of an Operational context may be dead before the Send Timeout
 * says so. A silence is suspicious that outlasts the context's longest answers of late while
 * payload keeps leaving. Then the pair itself is tested, with as many probes as RFC 5534 allows
 * at the initial rate; only when none is answered does exploration start. A pair whose peer has
 * never answered such a probe is left to the Send Timeout.
 */
export class Suspicion {
  readonly #gaps = new AnswerGaps();
  /** Of the current pair; `undefined` until it has been measured. */
  #roundTrip: RoundTrip | undefined;
  #test: PairTest | undefined;
  /** Payload that had no answer at the last reading, and for how long. */
  #unanswered: { readonly since: Instant; readonly age: Duration } | undefined;

  /** To be called at each reading of an Operational context's traffic. */
  step(now: Instant, traffic: TrafficSnapshot, sendTimeout: Duration): SuspicionStep | undefined {
    this.#learn(now, traffic);
    const test = this.#currentTest(now, traffic, sendTimeout);
    if (test === undefined || now < test.nextAt) return undefined;
    if (test.cause === "measurement") return "probe";
    if (test.sent.size === 0) return "suspect";
    if (test.sent.size < NUMBER_OF_INITIAL_PROBES) return "probe";
    this.#test = undefined;
    return "failed";
  }

  /** A probe that `step` asked for has left on the current pair. */
  handleSent(now: Instant, nonce: number): void {
    const test = this.#test;
    if (test === undefined) return;
    test.sent.set(nonce, now);
    test.nextAt = after(now, this.#roundTrip?.wait ?? measurementInterval(test.sent.size));
  }

  /**
   * A probe of the peer's reports these as received. True when one of a test is among them: the
   * current pair works, both ways.
   */
  handleReports(now: Instant, traffic: TrafficSnapshot, nonces: readonly number[]): boolean {
    const test = this.#test;
    const sentAt = nonces.map((nonce) => test?.sent.get(nonce)).find((at) => at !== undefined);
    if (sentAt === undefined) return false;
    const sample = between(sentAt, now);
    if (this.#roundTrip === undefined) this.#roundTrip = new RoundTrip(sample);
    else this.#roundTrip.add(sample);
    const { firstUnansweredOut: since } = traffic;
    // How long the answer itself would have taken, nobody knows.
    if (test?.cause === "late-answer" && since !== undefined) {
      this.#gaps.note(now, scale(between(since, now), 2));
    }
    this.#test = undefined;
    return true;
  }

  /** Somebody says that the pair is dead. False when that can't be tested. */
  doubt(now: Instant): boolean {
    if (this.#roundTrip === undefined) return false;
    this.#test ??= this.#begin(now, "icmp-error", undefined);
    return true;
  }

  /** The context is not Operational any more. */
  reset(): void {
    this.#test = undefined;
    this.#unanswered = undefined;
  }

  /** Another pair is current. */
  forgetPair(): void {
    this.reset();
    this.#roundTrip = undefined;
  }

  /** When to call `step` again, whatever payload passes until then. */
  nextCheck(now: Instant, traffic: TrafficSnapshot, sendTimeout: Duration): ReapCheck | undefined {
    if (this.#test !== undefined) return { at: this.#test.nextAt, reason: "pair-test" };
    const { firstUnansweredOut: since, lastIn, lastOut } = traffic;
    if (lastOut === undefined || this.#roundTrip === undefined) return undefined;
    const threshold = this.#gaps.threshold(now, sendTimeout);
    if (since !== undefined && after(since, threshold) > now) {
      return { at: after(since, threshold), reason: "traffic-check" };
    }
    // The longer nothing has passed, the less does a late look at it matter.
    const idle = scale(between(latest(lastOut, lastIn), now), 1 / 4);
    const least = since === undefined ? threshold : RECHECK_MIN;
    return { at: after(now, Math.max(idle, least) as Duration), reason: "traffic-check" };
  }

  /** From how long payload of late went without an answer on a pair that works. */
  #learn(now: Instant, traffic: TrafficSnapshot): void {
    const { firstUnansweredOut: since } = traffic;
    if (this.#unanswered !== undefined && this.#unanswered.since !== since) {
      this.#gaps.note(now, this.#unanswered.age);
      this.#unanswered = undefined;
    }
    if (since === undefined || !keepsLeaving(traffic)) return;
    this.#unanswered = { since, age: between(since, now) };
  }

  #currentTest(
    now: Instant,
    traffic: TrafficSnapshot,
    sendTimeout: Duration,
  ): PairTest | undefined {
    const { firstUnansweredOut: since } = traffic;
    if (this.#test?.cause === "late-answer" && this.#test.since !== since) this.#test = undefined;
    if (this.#test !== undefined) return this.#test;
    if (this.#roundTrip === undefined) {
      this.#test = this.#begin(now, "measurement", undefined);
    } else if (since !== undefined && keepsLeaving(traffic)) {
      const suspiciousAt = after(since, this.#gaps.threshold(now, sendTimeout));
      if (suspiciousAt <= now) this.#test = this.#begin(now, "late-answer", since);
    }
    return this.#test;
  }

  #begin(now: Instant, cause: PairTest["cause"], since: Instant | undefined): PairTest {
    const nextAt = cause === "measurement" ? after(now, MEASUREMENT_DELAY) : now;
    return { cause, since, sent: new Map(), nextAt };
  }
}

/**
 * Payload has left again since the first that has no answer, and not in one burst with it: what
 * ends an exchange, such as TCP's last acknowledgement, needs no answer.
 */
function keepsLeaving({ firstUnansweredOut, lastOut }: TrafficSnapshot): boolean {
  if (firstUnansweredOut === undefined || lastOut === undefined) return false;
  return between(firstUnansweredOut, lastOut) >= BURST_LENGTH;
}

/** Twice as long each time, for a peer that may not answer such probes at all. */
function measurementInterval(probes: number): Duration {
  return Math.min(INITIAL_PROBE_TIMEOUT * 2 ** (probes - 1), MAX_PROBE_TIMEOUT) as Duration;
}
