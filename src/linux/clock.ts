import { type Instant, instant } from "../core/time.ts";

const NANOSECONDS_PER_MILLISECOND = 1e6;

/**
 * CLOCK_MONOTONIC in milliseconds, with fractions: never steps back, stands still while the
 * machine sleeps. A double holds it to the nanosecond for 104 days of uptime.
 */
export function monotonicNow(): Instant {
  return instant(Number(process.hrtime.bigint()) / NANOSECONDS_PER_MILLISECOND);
}
