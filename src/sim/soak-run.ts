import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { type SoakGroup, type SoakSize, soakGroups } from "./soak.ts";
import { addSummaries, type SoakSummary } from "./soak-summary.ts";

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
