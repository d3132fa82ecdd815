import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { SharedParameters } from "../../identity/parameters.ts";
import { expectedAttempts, type Sec } from "../../identity/sec.ts";
import { SearchPieces } from "./search-pieces.ts";
import type { SearchReport, SearchWorkerData } from "./search-worker.ts";

export interface SearchOptions {
  /** Threads; one for each processor unless given. */
  readonly threads?: number;
  /** Ends the search; its promise is then rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called some hundred times a second. */
  readonly onProgress?: ((progress: SearchProgress) => void) | undefined;
}

export interface SearchProgress {
  /** Modifiers tried so far. */
  readonly attempts: number;
  /** How many it takes on average; there is no upper bound. */
  readonly expected: number;
}

/** The build's, also when this file runs from its source: threads run JavaScript only. */
const WORKER = new URL("../../../dist/daemon/crypto/search-worker.js", import.meta.url);

/**
 * The first modifier from `start.modifier` on that fits `sec`: the same whatever the number of
 * threads. Takes a tenth of a second for Sec 1, and an hour or two of two processors for Sec 2.
 */
export async function findModifier(
  sec: Sec,
  start: SharedParameters,
  options: SearchOptions = {},
): Promise<Uint8Array> {
  options.signal?.throwIfAborted();
  if (sec === 0) return start.modifier;
  const workerData: SearchWorkerData = { sec, start };
  const workers = Array.from(
    { length: options.threads ?? availableParallelism() },
    () => new Worker(WORKER, { workerData }),
  );
  const ended = new AbortController();
  try {
    return await new Promise((resolve, reject) => {
      options.signal?.addEventListener("abort", () => reject(options.signal?.reason as Error), {
        signal: ended.signal,
      });
      const pieces = new SearchPieces(start.modifier, resolve);
      const report = () => {
        if (ended.signal.aborted) return;
        options.onProgress?.({ attempts: pieces.attempts, expected: expectedAttempts(sec) });
      };
      for (const worker of workers) serve(worker, pieces, report, reject);
    });
  } finally {
    ended.abort();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** Gives one piece after the other to one worker. */
function serve(
  worker: Worker,
  pieces: SearchPieces,
  report: () => void,
  reject: (error: Error) => void,
): void {
  let current = pieces.next();
  const order = () => {
    if (current !== undefined) worker.postMessage(current.order);
  };
  worker.on("error", reject);
  worker.on("message", (message: SearchReport) => {
    if (current !== undefined) pieces.done(current.index, message);
    report();
    current = pieces.next();
    order();
  });
  order();
}
