import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { addFigures, noFigures, type SimFigures } from "./figures.ts";
import type { Failure, Scenario } from "./scenario.ts";
import type { SimResult, Violation } from "./simulation.ts";
import { type SoakGroup, type SoakSize, soakGroups } from "./soak.ts";

/** What one group, or all of them, came to. */
export interface SoakSummary {
  readonly figures: Readonly<SimFigures>;
  /** How many failures there were of each kind. */
  readonly failures: Readonly<Record<string, number>>;
  readonly violation: Violation | undefined;
}

export interface SoakResult extends SoakSummary {
  /** The first group that broke an invariant, in the order of the seeds. */
  readonly failed: SoakGroup | undefined;
  readonly groups: number;
  readonly threads: number;
}

/** The build's, also when this file runs from its source: threads run JavaScript only. */
const WORKER = new URL("../../dist/sim/soak-worker.js", import.meta.url);

/**
 * Runs all groups of a soak, in as many threads as there are processors unless told otherwise.
 * The result depends on seed and size, not on the threads.
 */
export async function runSoak(
  seed: number,
  size: SoakSize,
  threads = availableParallelism(),
): Promise<SoakResult> {
  const groups = soakGroups(seed, size);
  const summaries: SoakSummary[] = [];
  const waiting = groups.entries();
  const workers = Array.from(
    { length: Math.min(threads, groups.length) },
    () => new Worker(WORKER),
  );
  try {
    await Promise.all(workers.map((worker) => serve(worker, waiting, summaries)));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  const failed = summaries.findIndex(({ violation }) => violation !== undefined);
  return {
    ...addSummaries(summaries),
    ...{ failed: groups[failed], groups: groups.length, threads: workers.length },
  };
}

/** Gives the worker one group after the other, as long as there are any. */
async function serve(
  worker: Worker,
  waiting: Iterator<[number, SoakGroup]>,
  summaries: SoakSummary[],
): Promise<void> {
  for (let next = waiting.next(); !next.done; next = waiting.next()) {
    const [index, group] = next.value;
    summaries[index] = await new Promise<SoakSummary>((resolve, reject) => {
      worker.once("message", resolve).once("error", reject);
      worker.postMessage(group);
    });
    worker.removeAllListeners("error");
  }
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

function addSummaries(summaries: readonly SoakSummary[]): SoakSummary {
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
