import { addFigures, noFigures, type SimFigures } from "./figures.ts";
import type { Failure, Scenario } from "./scenario.ts";
import type { SimResult, Violation } from "./simulation.ts";

/** What one group, or all of them, came to. */
export interface SoakSummary {
  readonly figures: Readonly<SimFigures>;
  /** How many failures there were of each kind. */
  readonly failures: Readonly<Record<string, number>>;
  readonly violation: Violation | undefined;
}

/** What is left of a group's run: it travels between threads. */
export function summarize(scenario: Scenario, { figures, violation }: SimResult): SoakSummary {
  const failures: Record<string, number> = {};
  for (const failure of scenario.failures) {
    const kind = kindOf(failure);
    failures[kind] = (failures[kind] ?? 0) + 1;
  }
  return { figures, failures, violation };
}

function kindOf(failure: Failure): string {
  switch (failure.type) {
    case "uplink":
      if (failure.direction !== "both") return "uplink dead in one direction";
      return failure.seen ? "uplink dead, seen by the host" : "uplink dead in silence";
    case "loss":
      return "uplink losing 10 to 90 %";
    case "path":
      return "one-way path dead";
    case "renumber":
      return "address changed";
    case "partition":
      return "partition";
    case "reboot":
      return "reboot";
  }
}

/** All groups together, with the first violation. */
export function addSummaries(summaries: readonly SoakSummary[]): SoakSummary {
  let figures = noFigures();
  const failures: Record<string, number> = {};
  for (const summary of summaries) {
    figures = addFigures(figures, summary.figures);
    for (const [kind, count] of Object.entries(summary.failures)) {
      failures[kind] = (failures[kind] ?? 0) + count;
    }
  }
  return { figures, failures, violation: summaries.find((each) => each.violation)?.violation };
}
