import type { FailureRun } from "./experiment.ts";
import type { Measurement } from "./measurement.ts";
import { formatSpan } from "./timeline.ts";

/** What is not as it should be in a run; empty when all is well. */
export function problemsOf(run: FailureRun): string[] {
  const rows = run.measurements.flatMap((measurement) =>
    rowProblems(measurement, run.tolerance).map(
      (problem) => `${run.title}, ${measurement.application}: ${problem}`,
    ),
  );
  return [
    ...rows,
    ...run.problems.map((problem) => `${run.title}: ${problem}`),
    ...sessionProblems(run).map((problem) => `${run.title}, new session: ${problem}`),
  ];
}

/** What is wrong with one row of the table. */
export function rowProblems(measurement: Measurement, tolerance: number): string[] {
  const { interruption, damage, lostOutside } = measurement;
  const problems = [...damage];
  if (interruption === undefined) problems.push("did not recover");
  else if (interruption > tolerance) {
    problems.push(`silent for ${formatSpan(interruption)}, more than ${formatSpan(tolerance)}`);
  }
  if (lostOutside > 0) problems.push(`${lostOutside} packets lost outside the interruption`);
  return problems;
}

function sessionProblems({ newSession }: FailureRun): string[] {
  if (newSession === undefined) return [];
  const { source, expectedSource, established, flow } = newSession;
  const problems = [...flow.damage];
  if (source !== expectedSource) problems.push(`came from ${source}, not from ${expectedSource}`);
  if (!established) problems.push("no Shim6 context was established for it");
  return problems;
}
