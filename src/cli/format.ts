import { stripVTControlCharacters } from "node:util";
import type { Warning } from "../daemon/api.ts";
import { red, yellow } from "./colour.ts";

/** Text for people in a terminal: aligned columns, warnings; and {@link ./spans.ts}. */

export { formatAge, formatBytes, formatClock, formatPair, formatSpan } from "./spans.ts";

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
