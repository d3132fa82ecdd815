import type { FailureRun } from "./experiment.ts";
import type { Measurement } from "./measurement.ts";
import { formatInterruption, formatSpan } from "./timeline.ts";
import { rowProblems } from "./verdict.ts";

const HEADINGS = [
  "Failure",
  "Application",
  "Interruption",
  "Detection",
  "Exploration",
  "Resumption",
  "Probes",
  "Data intact",
];

/** The table that a run ends with: one row per failure and application. */
export function formatTable(runs: readonly FailureRun[]): string {
  const rows = runs.flatMap((run) =>
    run.measurements.map((measurement, index) => [
      index === 0 ? run.title : "",
      ...tableCells(measurement, run.tolerance),
    ]),
  );
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [line(HEADINGS), rule, ...rows.map(line)].join("\n");
}

export const TABLE_HEADINGS: readonly string[] = HEADINGS;

/** The cells of a row behind the failure's name. */
export function tableCells(measurement: Measurement, tolerance: number): string[] {
  const { application, from, to, interruption, detection, exploration, resumption } = measurement;
  return [
    `${application} ${from} to ${to}`,
    interruption === undefined ? "not recovered" : formatInterruption(interruption),
    formatPart(detection),
    formatPart(exploration),
    formatPart(resumption),
    `${measurement.probesSent}`,
    rowProblems(measurement, tolerance).length === 0 ? "yes" : "NO",
  ];
}

function formatPart(milliseconds: number | undefined): string {
  return milliseconds === undefined ? "-" : formatSpan(milliseconds);
}
