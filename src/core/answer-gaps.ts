import { GAP_MARGIN, GAP_MEMORY, SUSPICION_FLOOR } from "./defaults.ts";
import { after, type Duration, type Instant, scale } from "./time.ts";

const NONE = 0 as Duration;

/**
 * How long a context's answers take at most: what a silence must outlast to be suspicious. The
 * longest gap of the current span of `GAP_MEMORY` and of the one before it counts; older ones
 * are forgotten.
 */
export class AnswerGaps {
  #current: Duration = NONE;
  #before: Duration = NONE;
  #turnsAt: Instant | undefined;

  /** An answer took this long on a path that works. */
  note(now: Instant, gap: Duration): void {
    this.#turn(now);
    if (gap > this.#current) this.#current = gap;
  }

  /** A silence of this length is suspicious: the floor at least, and `ceiling` at most. */
  threshold(now: Instant, ceiling: Duration): Duration {
    this.#turn(now);
    const longest = Math.max(this.#current, this.#before) as Duration;
    const learned = Math.max(SUSPICION_FLOOR, scale(longest, GAP_MARGIN));
    return Math.min(learned, ceiling) as Duration;
  }

  #turn(now: Instant): void {
    this.#turnsAt ??= after(now, GAP_MEMORY);
    if (now < this.#turnsAt) return;
    const missed = now >= after(this.#turnsAt, GAP_MEMORY);
    this.#before = missed ? NONE : this.#current;
    this.#current = NONE;
    this.#turnsAt = after(now, GAP_MEMORY);
  }
}
