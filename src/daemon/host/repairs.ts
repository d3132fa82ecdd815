import { after, type Instant, milliseconds, minutes } from "../../core/time.ts";
import type { Warning } from "../api.ts";
import type { Clock } from "../clock.ts";

/** So many repairs within a minute mean that somebody undoes them on purpose, or by a habit. */
const CONTESTED_AFTER = 5;
const CONTESTED_SPAN = minutes(1);

/** ms from one look at the host's tables to the next. */
const CALM_INTERVAL = 100;
const CONTESTED_INTERVAL = 250;

/**
 * Of a processor's time, one part in so many goes into looking and repairing at most. What others
 * make this process wait meanwhile is no reason to leave their sessions without rules for longer.
 */
const COST_SHARE = 20;

const WARNING: Warning = {
  code: "rules-contested",
  severity: "warning",
  text:
    "another program takes away rules, routes or addresses of l3shim again and again: sessions go " +
    'on, but may stall. Find it with "ip -timestamp monitor rule route address". For ' +
    "systemd-networkd set ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no in networkd.conf",
};

/**
 * When what others took away of the host's tables is put back: at once, for sessions need it; and
 * never so often that a fight takes the host's time. Somebody who undoes it again and again is
 * reported, and gets it back a little later.
 */
export class Repairs {
  readonly #clock: Clock;
  readonly #retry: () => void;
  readonly #contested: (warning: Warning) => void;
  /** Of the last repairs, the oldest first. */
  #times: Instant[] = [];
  #count = 0;
  #notBefore: Instant | undefined;
  #cancelRetry: (() => void) | undefined;
  #cancelEnd: (() => void) | undefined;

  /**
   * @param retry called when an attempt that came too early may be made, and when a fight may be over
   * @param contested called when a fight begins
   */
  constructor(clock: Clock, retry: () => void, contested: (warning: Warning) => void) {
    this.#clock = clock;
    this.#retry = retry;
    this.#contested = contested;
  }

  /** Rules, routes and addresses put back since the start. */
  get count(): number {
    return this.#count;
  }

  /** @param repair puts back what is missing, and returns how much that was */
  attempt(repair: () => number): void {
    const start = this.#clock.now();
    const before = this.#clock.worked();
    if (this.#notBefore !== undefined && start < this.#notBefore) return this.#postpone();
    const wasContested = this.#isContested(start);
    this.#note(start, repair());
    const end = this.#clock.now();
    const isContested = this.#isContested(end);
    if (isContested && !wasContested) this.#contested(WARNING);
    if (isContested) this.#awaitEnd();
    const interval = isContested ? CONTESTED_INTERVAL : CALM_INTERVAL;
    const cost = this.#clock.worked() - before;
    this.#notBefore = after(end, milliseconds(Math.max(interval, COST_SHARE * cost)));
  }

  /** Forgets the attempt that waits. */
  close(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#cancelEnd?.();
    this.#cancelEnd = undefined;
  }

  warnings(): Warning[] {
    return this.#isContested(this.#clock.now()) ? [WARNING] : [];
  }

  #postpone(): void {
    if (this.#notBefore === undefined) return;
    this.#cancelRetry ??= this.#clock.schedule(this.#notBefore, () => {
      this.#cancelRetry = undefined;
      this.#retry();
    });
  }

  #awaitEnd(): void {
    const [oldest] = this.#times;
    if (oldest === undefined) return;
    this.#cancelEnd ??= this.#clock.schedule(after(oldest, CONTESTED_SPAN), () => {
      this.#cancelEnd = undefined;
      this.#retry();
    });
  }

  #note(now: Instant, entries: number): void {
    if (entries === 0) return;
    this.#count += entries;
    this.#times = [...this.#times, now].slice(-CONTESTED_AFTER);
  }

  #isContested(now: Instant): boolean {
    const [oldest] = this.#times;
    if (oldest === undefined || this.#times.length < CONTESTED_AFTER) return false;
    return now - oldest < CONTESTED_SPAN;
  }
}
