import type { Brand } from "../wire/brand.ts";

/** A point on the monotonic clock, in milliseconds; fractions allowed. */
export type Instant = Brand<number, "Instant">;

/** A span of time in milliseconds; fractions allowed. */
export type Duration = Brand<number, "Duration">;

export function instant(milliseconds: number): Instant {
  return milliseconds as Instant;
}

export function milliseconds(value: number): Duration {
  return value as Duration;
}

export function seconds(value: number): Duration {
  return (value * 1000) as Duration;
}

export function minutes(value: number): Duration {
  return (value * 60_000) as Duration;
}

export function after(start: Instant, span: Duration): Instant {
  return (start + span) as Instant;
}

export function between(start: Instant, end: Instant): Duration {
  return (end - start) as Duration;
}

export function scale(span: Duration, factor: number): Duration {
  return (span * factor) as Duration;
}

export function earliest(...instants: readonly (Instant | undefined)[]): Instant | undefined {
  let first: Instant | undefined;
  for (const at of instants) {
    if (at !== undefined && (first === undefined || at < first)) first = at;
  }
  return first;
}

export function latest(first: Instant, ...others: readonly (Instant | undefined)[]): Instant {
  return others.reduce<Instant>((last, at) => (at !== undefined && at > last ? at : last), first);
}
