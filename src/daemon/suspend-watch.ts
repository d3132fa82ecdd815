import { after, type Duration, type Instant, milliseconds } from "../core/time.ts";
import type { Clock } from "./clock.ts";

/** ms between two looks at the clocks, and thus the time until a resume is noticed. */
const INTERVAL = milliseconds(1_000);

/** ms of sleep that count: below it the clocks may differ by their grain. */
const SHORTEST_SLEEP = 2_000;

/**
 * Notices that the machine has slept: CLOCK_BOOTTIME goes on meanwhile, and the monotonic clock, on
 * which all deadlines are, does not. Paths may be long dead then.
 */
export class SuspendWatch {
  readonly #clock: Clock;
  readonly #bootTime: () => Instant;
  readonly #resumed: (slept: Duration) => void;
  #lead = 0;
  #cancel: (() => void) | undefined;

  /** @param resumed called within a second of the wake-up */
  constructor(clock: Clock, bootTime: () => Instant, resumed: (slept: Duration) => void) {
    this.#clock = clock;
    this.#bootTime = bootTime;
    this.#resumed = resumed;
  }

  start(): void {
    this.#lead = this.#difference();
    this.#arm();
  }

  /** Safe to call twice, and without a start. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): void {
    this.#cancel = this.#clock.schedule(after(this.#clock.now(), INTERVAL), () => this.#look());
  }

  #look(): void {
    const lead = this.#difference();
    const slept = lead - this.#lead;
    this.#lead = lead;
    this.#arm();
    if (slept >= SHORTEST_SLEEP) this.#resumed(milliseconds(slept));
  }

  #difference(): number {
    return this.#bootTime() - this.#clock.now();
  }
}
