import { TEST_WAIT_MAX, TEST_WAIT_MIN } from "./defaults.ts";
import { type Duration, scale } from "./time.ts";

/** How long answers to probes take on one pair: the estimator of RFC 6298 section 2. */
export class RoundTrip {
  #smoothed: Duration;
  #variation: Duration;

  constructor(first: Duration) {
    this.#smoothed = first;
    this.#variation = scale(first, 1 / 2);
  }

  add(sample: Duration): void {
    const error = Math.abs(this.#smoothed - sample);
    this.#variation = (this.#variation + (error - this.#variation) / 4) as Duration;
    this.#smoothed = (this.#smoothed + (sample - this.#smoothed) / 8) as Duration;
  }

  /** From one probe of a test to the next. */
  get wait(): Duration {
    const timeout = this.#smoothed + 4 * this.#variation;
    return Math.min(Math.max(timeout, TEST_WAIT_MIN), TEST_WAIT_MAX) as Duration;
  }
}
