import type { Instant } from "../core/time.ts";

/** Time as the driver needs it; tests inject a virtual one. */
export interface Clock {
  /** The monotonic clock that the data plane stamps packets with. */
  now(): Instant;
  /** The wall clock, milliseconds since 1970: for people only. */
  wall(): number;
  /** Milliseconds of processor time that the process has had so far. */
  worked(): number;
  /** Calls `callback` once, at or after `at`. The function returned cancels it. */
  schedule(at: Instant, callback: () => void): () => void;
}

/** setTimeout takes at most 2^31 - 1 ms; a far deadline is scheduled in stages. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A clock on timers of the event loop. @param monotonic reads the monotonic clock. */
export function systemClock(monotonic: () => Instant): Clock {
  return {
    now: monotonic,
    wall: Date.now,
    worked: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    schedule(at, callback) {
      let timer: NodeJS.Timeout;
      const arm = (): void => {
        const wait = at - monotonic();
        if (wait <= 0) callback();
        else timer = setTimeout(arm, Math.min(Math.ceil(wait), LONGEST_TIMER));
      };
      // Never from inside the caller: a deadline in the past comes with the next turn.
      timer = setTimeout(arm, Math.min(Math.max(0, Math.ceil(at - monotonic())), LONGEST_TIMER));
      return () => clearTimeout(timer);
    },
  };
}

/** The wall-clock time of a monotonic instant, as ISO 8601 with milliseconds. */
export function isoTime(clock: Clock, at: Instant): string {
  return new Date(clock.wall() + (at - clock.now())).toISOString();
}

/** A span in milliseconds as seconds for people and programs, to the microsecond. */
export function inSeconds(span: number): number {
  return Math.round(span * 1000) / 1_000_000;
}
