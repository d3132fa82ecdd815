/** Octets that came in a millisecond of Unix time; in order, without empty ones. */
export type Arrivals = readonly (readonly [millisecond: number, octets: number])[];

const WINDOW = 100;

/**
 * ms of the longest silence that ended after `from`.
 * @param silentEnd ms without an arrival before `until` that make it infinite
 */
export function longestSilence(
  arrivals: Arrivals,
  from: number,
  until: number,
  silentEnd = WINDOW,
): number {
  const times = arrivals.map(([time]) => time).filter((time) => time <= until);
  const last = times.at(-1) ?? 0;
  if (until - last > silentEnd) return Number.POSITIVE_INFINITY;
  const gaps = times.map((time, i) => (time > from ? time - (times[i - 1] ?? from) : 0));
  return Math.max(0, ...gaps);
}

/** ms from `moment` to the first arrival after it. */
export function firstArrival(arrivals: Arrivals, moment: number): number {
  const first = arrivals.find(([time]) => time > moment)?.[0];
  return first === undefined ? Number.POSITIVE_INFINITY : first - moment;
}

/**
 * ms from `from` until every window of 100 ms, up to `until`, carries `octets` at least; 0 when
 * they all do. Infinite when the last one does not.
 */
export function sustainedAfter(
  arrivals: Arrivals,
  from: number,
  until: number,
  octets: number,
): number {
  const count = Math.floor((until - from) / WINDOW);
  const sums = new Array<number>(count).fill(0);
  for (const [time, carried] of arrivals) {
    const window = Math.floor((time - from) / WINDOW);
    if (window >= 0 && window < count) sums[window] = (sums[window] ?? 0) + carried;
  }
  const last = sums.findLastIndex((sum) => sum < octets);
  return last === count - 1 ? Number.POSITIVE_INFINITY : (last + 1) * WINDOW;
}
