import type { ProbeReport } from "../wire/message.ts";
import type { FailBackPolicy } from "./config.ts";
import {
  FAIL_BACK_ANSWER_TIME,
  FAIL_BACK_CALM,
  FAIL_BACK_INTERVAL_MAX,
  FAIL_BACK_TRIES,
} from "./defaults.ts";
import type { AddressPair } from "./output.ts";
import { after, between, type Duration, type Instant, milliseconds, scale } from "./time.ts";

const NONE = milliseconds(0);

/**
 * A pair that a context would rather use than its current one. It is asked by probes now and then;
 * once it has answered for its hold time it is good. Each time that it fails in use the hold time
 * doubles; a calm time halves it again.
 */
export class PairWatch {
  readonly pair: AddressPair;
  /** Somebody asks for the pair: one answer is enough. */
  wanted = false;
  /** The next step: a probe, or giving up on one. */
  at: Instant;
  /** Of the probes that ask, once again where the first ones had no answer. */
  #nonces: number[] = [];
  /** Questions without answer, one after the other. */
  #unanswered = 0;
  #goodFor: Duration = NONE;
  #answeredAt: Instant | undefined;
  #failures = 0;
  #failedAt: Instant | undefined;

  constructor(pair: AddressPair, at: Instant) {
    this.pair = pair;
    this.at = at;
  }

  /** For how long it has answered. */
  get goodFor(): Duration {
    return this.#goodFor;
  }

  /** How often it has failed in use, less what calm times have taken off. */
  get failures(): number {
    return this.#failures;
  }

  get isAsking(): boolean {
    return this.#nonces.length > 0;
  }

  /** The last probe that it may have had has no answer either, once `at` has come. */
  get isExhausted(): boolean {
    return this.#nonces.length >= FAIL_BACK_TRIES;
  }

  /** How long it has to be good. */
  hold({ hold, maxHold }: FailBackPolicy): Duration {
    const doublings = Math.max(0, this.#failures - 1);
    return Math.min(maxHold, hold * 2 ** doublings) as Duration;
  }

  /** Begins anew: what it has answered so far counts no more. */
  begin(at: Instant): void {
    this.at = at;
    this.#unanswered = 0;
    this.interrupt();
    this.#forgetAnswers();
  }

  /** A probe has left. */
  ask(now: Instant, nonce: number): void {
    this.#nonces.push(nonce);
    this.at = after(now, FAIL_BACK_ANSWER_TIME);
  }

  /** It can't be told any more whether the pair or something else swallows the answer. */
  interrupt(): void {
    this.#nonces = [];
  }

  /** No answer: it is asked more and more rarely, from twice the interval on. */
  giveUp(now: Instant, interval: Duration): void {
    this.#unanswered += 1;
    const longest = Math.max(interval, FAIL_BACK_INTERVAL_MAX);
    const backedOff = Math.min(longest, interval * 2 ** this.#unanswered) as Duration;
    this.at = after(now, backedOff);
    this.wanted = false;
    this.interrupt();
    this.#forgetAnswers();
  }

  /** The peer reports what it has received: true when one of these probes is among it. */
  takeAnswer(now: Instant, reports: readonly ProbeReport[], interval: Duration): boolean {
    if (!this.isAnsweredBy(reports)) return false;
    if (this.#answeredAt !== undefined) this.#credit(between(this.#answeredAt, now), interval);
    this.#answeredAt = now;
    this.#unanswered = 0;
    this.at = after(now, interval);
    this.interrupt();
    return true;
  }

  /** It has had an answer to each question lately. */
  get isAnswering(): boolean {
    return this.#answeredAt !== undefined;
  }

  isAnsweredBy(reports: readonly ProbeReport[]): boolean {
    return reports.some(({ nonce }) => this.#nonces.includes(nonce));
  }

  isGood(policy: FailBackPolicy): boolean {
    if (this.#answeredAt === undefined) return false;
    return this.wanted || this.#goodFor >= this.hold(policy);
  }

  /** It was in use and has failed. */
  noteFailure(now: Instant, policy: FailBackPolicy): void {
    const calm = scale(policy.maxHold, FAIL_BACK_CALM);
    const quiet = this.#failedAt === undefined ? 0 : Math.floor((now - this.#failedAt) / calm);
    this.#failures = Math.max(0, this.#failures - quiet);
    if (this.#failures === 0 || this.hold(policy) < policy.maxHold) this.#failures += 1;
    this.#failedAt = now;
  }

  /** Where nobody asked for long, nobody knows how the pair was. */
  #credit(span: Duration, interval: Duration): void {
    this.#goodFor = (this.#goodFor + Math.min(span, 2 * interval)) as Duration;
  }

  #forgetAnswers(): void {
    this.#goodFor = NONE;
    this.#answeredAt = undefined;
  }
}
