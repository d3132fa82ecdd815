import { uptime } from "node:os";
import { type Instant, instant } from "../core/time.ts";

const NANOSECONDS_PER_MILLISECOND = 1e6;

/**
 * CLOCK_MONOTONIC in milliseconds, with fractions: never steps back, stands still while the
 * machine sleeps. A double holds it to the nanosecond for 104 days of uptime.
 */
export function monotonicNow(): Instant {
  return instant(Number(process.hrtime.bigint()) / NANOSECONDS_PER_MILLISECOND);
}

/**
 * CLOCK_BOOTTIME in milliseconds: as {@link monotonicNow}, but it goes on while the machine sleeps. To
 * the hundredth of a second.
 */
export function bootTimeNow(): Instant {
  return instant(uptime() * 1_000);
}
