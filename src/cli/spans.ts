import type { LocatorPairStatus } from "../daemon/api.ts";

/** Text for people, in a terminal or in the dashboard: spans, ages, amounts, locator pairs. */

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
];

/** A span in its largest unit that gives at least 2: "0.3 s", "12 s", "5 min", "3 h", "4 d". */
export function formatSpan(seconds: number): string {
  for (const [unit, size] of UNITS) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return seconds < 10 ? `${Number(seconds.toFixed(1))} s` : `${Math.round(seconds)} s`;
}

/** How long ago an ISO time was: "12 s ago"; "-" for `null`. @param now ms since 1970 */
export function formatAge(time: string | null, now: number): string {
  if (time === null) return "-";
  return `${formatSpan(Math.max(0, now - Date.parse(time)) / 1000)} ago`;
}

/** "12:00:01.123", in local time. */
export function formatClock(at: Date): string {
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map((n) => pad(n, 2)).join(":");
  return `${clock}.${pad(at.getMilliseconds(), 3)}`;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}

/** 1234567 octets as "1.2 MB"; powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function formatPair(pair: LocatorPairStatus): string {
  const { localLocator, peerLocator, encapsulated = false } = pair;
  return `${localLocator} > ${peerLocator}${encapsulated ? " in UDP" : ""}`;
}
