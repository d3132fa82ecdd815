import { stripVTControlCharacters } from "node:util";
import type { LocatorPairStatus, Warning } from "../daemon/api.ts";
import { red, yellow } from "./colour.ts";

/** Text for people: spans, ages, counts, aligned columns. */

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

/** Columns aligned to their widest cell, two spaces apart; numbers to the right. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const cells = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, i) => Math.max(...cells.map((row) => widthOf(row[i] ?? ""))));
  const numeric = header.map((_, i) => rows.every((row) => typeof row[i] === "number"));
  const lines = cells.map((row) =>
    row
      .map((cell, i) => {
        const space = " ".repeat(Math.max(0, (widths[i] ?? 0) - widthOf(cell)));
        return numeric[i] ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd(),
  );
  return lines.join("\n");
}

/** Characters that a terminal shows. */
function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** "name   value" lines, the values aligned. */
export function formatFields(fields: readonly (readonly [string, string | number])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

export function formatPair(pair: LocatorPairStatus): string {
  const { localLocator, peerLocator, encapsulated = false } = pair;
  return `${localLocator} > ${peerLocator}${encapsulated ? " in UDP" : ""}`;
}

/** A locator's state, with TRANSIENT where it is (RFC 5533 section 5.15.3). */
export function formatState(state: string, { transient }: { readonly transient: boolean }): string {
  return transient ? `${state}, transient` : state;
}

const SEVERITIES: Readonly<Record<Warning["severity"], () => string>> = {
  error: () => red("Error"),
  warning: () => yellow("Warning"),
  info: () => "Note",
};

/** One a line. */
export function formatWarnings(warnings: readonly Warning[]): string {
  return warnings.map(({ severity, text }) => `${SEVERITIES[severity]()}: ${text}`).join("\n");
}
