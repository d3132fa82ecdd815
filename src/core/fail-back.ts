import type { ProbeReport } from "../wire/message.ts";
import type { FailBackPolicy } from "./config.ts";
import type { Context } from "./context.ts";
import {
  FAIL_BACK,
  FAIL_BACK_ANSWER_TIME,
  FAIL_BACK_INTERVAL_MAX,
  FAIL_BACK_JITTER,
  FAIL_BACK_SEND_TIMEOUTS,
  WATCHED_PAIRS_MAX,
} from "./defaults.ts";
import { type AddressPair, pairKey, sameEnds, samePair } from "./output.ts";
import type { PairChoice } from "./pair-choice.ts";
import { PairWatch } from "./pair-watch.ts";
import { askPair } from "./question.ts";
import type { Shim } from "./shim.ts";
import { after, type Duration, earliest, type Instant, scale } from "./time.ts";
import type { WatchedPairView } from "./view.ts";

/**
 * Brings a healthy context back to a better pair: watches the pairs that are to be preferred to
 * the current one, and names one that has been good for its hold time. It runs only while the
 * context is Operational.
 */
export class FailBack {
  readonly #shim: Shim;
  readonly #context: Context;
  readonly #choice: PairChoice;
  /** Better than the current pair, the best first. */
  #watches: readonly PairWatch[] = [];
  /** Of the context's other pairs those that have failed in use. */
  #remembered: readonly PairWatch[] = [];
  /** Which pairs are better may be another matter now. */
  #stale = true;
  /** Somebody asks for this pair. */
  #sought: AddressPair | undefined;
  /** A probe is due as soon as payload comes and goes. */
  #waiting = false;

  constructor(shim: Shim, context: Context, choice: PairChoice) {
    this.#shim = shim;
    this.#context = context;
    this.#choice = choice;
  }

  /** The next step that needs no payload. */
  get deadline(): Instant | undefined {
    const timed = this.#waiting ? this.#watches.filter(({ wanted }) => wanted) : this.#watches;
    return earliest(...timed.map(({ at }) => at));
  }

  get view(): WatchedPairView[] {
    return this.#watches.map((watch) => ({
      locators: watch.pair,
      goodFor: watch.goodFor,
      hold: watch.wanted ? (0 as Duration) : watch.hold(this.#policy),
      failures: watch.failures,
      next: this.#nextOf(watch),
    }));
  }

  /** Locators, their state or their preferences have changed, or the current pair has. */
  invalidate(): void {
    this.#stale = true;
  }

  /** The context's preferred pair is to be gone to at its first answer. */
  seek(): void {
    this.#sought = this.#context.preferred;
    this.#stale = true;
  }

  /** Somebody has asked for a pair, and it has not answered yet. */
  get isSeeking(): boolean {
    return this.#sought !== undefined || this.#watches.some(({ wanted }) => wanted);
  }

  /**
   * The context explores: what answers tell of one pair is not to be told from the others. A pair
   * that somebody asks for is tried first there.
   */
  suspend(): void {
    this.#sought = undefined;
    for (const watch of this.#watches) watch.wanted = false;
    this.#remembered = [...this.#remembered, ...this.#watches];
    this.#watches = [];
    this.#stale = true;
  }

  /**
   * Sends what probes are due, those of a survey, too.
   * @param steady payload has come a moment ago, and none of ours waits for an answer
   * @returns how many
   */
  probe(now: Instant, steady: boolean): number {
    if (this.#stale) this.#refresh(now);
    const due = this.#watches.filter(({ at }) => at <= now);
    this.#waiting = !steady && due.some(({ wanted }) => !wanted);
    const surveyed = this.#context.survey?.ask(now, this.#context) ?? 0;
    const asked = due.filter((watch) => this.#mayAsk(now, watch, steady) && this.#ask(now, watch));
    return surveyed + asked.length;
  }

  isAnsweredBy(reports: readonly ProbeReport[]): boolean {
    if (this.#context.survey?.isAnsweredBy(reports) === true) return true;
    return this.#watches.some((watch) => watch.isAnsweredBy(reports));
  }

  /** @returns the watch of a pair to go to now, when the reports make it good */
  takeAnswers(now: Instant, reports: readonly ProbeReport[]): PairWatch | undefined {
    this.#context.survey?.takeReports(reports);
    const answered = this.#watches.filter((watch) =>
      watch.takeAnswer(now, reports, this.#interval(watch)),
    );
    const good = answered.find((watch) => watch.isGood(this.#policy));
    if (good === undefined || good.wanted) return good;
    // One switch is better than two: the best one may be good in a moment.
    const rival = this.#watches.find((watch) => watch.isAnswering);
    const isNear = rival !== undefined && rival.hold(this.#policy) <= good.hold(this.#policy);
    return isNear && rival !== good ? undefined : good;
  }

  /** The pair was in use and is left because it has failed. */
  noteFailure(now: Instant, pair: AddressPair): void {
    const known = [...this.#watches, ...this.#remembered].find((watch) =>
      samePair(watch.pair, pair),
    );
    const watch = known ?? new PairWatch(pair, now);
    watch.noteFailure(now, this.#policy);
    if (known === undefined) this.#remembered = [...this.#remembered, watch];
  }

  get #policy(): FailBackPolicy {
    return this.#shim.config.failBack ?? FAIL_BACK;
  }

  #mayAsk(now: Instant, watch: PairWatch, steady: boolean): boolean {
    if (!steady && !watch.wanted) {
      watch.interrupt();
      return false;
    }
    if (!watch.isExhausted) return true;
    watch.giveUp(now, this.#interval(watch));
    return false;
  }

  #ask(now: Instant, watch: PairWatch): boolean {
    const mayAsk = this.#hasBudget(now, watch.pair);
    const nonce = mayAsk ? askPair(now, this.#shim, this.#context, watch.pair) : undefined;
    if (nonce === undefined) {
      this.#shim.counters.add("fail-back-postponed");
      watch.at = after(now, this.#interval(watch));
      return false;
    }
    watch.ask(now, nonce);
    return true;
  }

  /** Peers may name a third party's address: where they have not answered, little is sent. */
  #hasBudget(now: Instant, { peer }: AddressPair): boolean {
    const { failBackProbes, unprovenPackets } = this.#shim;
    const isProven = this.#context.isProvenAt(peer);
    return failBackProbes.take(now) && (isProven || unprovenPackets.take(now, peer));
  }

  #refresh(now: Instant): void {
    this.#stale = false;
    const before = new Map(
      [...this.#remembered, ...this.#watches].map((watch) => [pairKey(watch.pair), watch]),
    );
    const active = new Set(this.#watches);
    this.#watches = this.#choice
      .better()
      .slice(0, WATCHED_PAIRS_MAX)
      .map((pair) => before.get(pairKey(pair)) ?? new PairWatch(pair, now));
    for (const watch of this.#watches) {
      before.delete(pairKey(watch.pair));
      if (!active.has(watch)) watch.begin(this.#firstProbe(now));
      if (this.#sought !== undefined && sameEnds(this.#sought, watch.pair)) want(watch, now);
    }
    this.#sought = undefined;
    this.#remembered = [...before.values()].filter(
      ({ failures, pair }) => failures > 0 && this.#context.hasPair(pair),
    );
  }

  #firstProbe(now: Instant): Instant {
    return after(now, scale(FAIL_BACK_ANSWER_TIME, this.#shim.random.between(1, 2)));
  }

  /** A third of the hold time, within the bounds. */
  #interval(watch: PairWatch): Duration {
    // A peer may tell a shorter one than its own, for more keepalives.
    const sendTimeout = Math.max(this.#context.keepaliveTimeout, this.#shim.sendTimeout);
    const shortest = scale(sendTimeout as Duration, FAIL_BACK_SEND_TIMEOUTS);
    const wished = Math.min(watch.hold(this.#policy) / 3, FAIL_BACK_INTERVAL_MAX);
    const interval = Math.max(shortest, wished) as Duration;
    return scale(interval, this.#shim.random.between(1, 1 + FAIL_BACK_JITTER));
  }

  #nextOf(watch: PairWatch): WatchedPairView["next"] {
    if (watch.isAsking) return { reason: "answer", at: watch.at };
    if (this.#waiting && !watch.wanted) return { reason: "traffic", at: undefined };
    return { reason: "probe", at: watch.at };
  }
}

function want(watch: PairWatch, now: Instant): void {
  watch.begin(now);
  watch.wanted = true;
}
