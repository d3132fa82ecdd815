import { parentPort, workerData } from "node:worker_threads";
import { ModifierSearch } from "../../identity/modifier-search.ts";
import type { SharedParameters } from "../../identity/parameters.ts";
import type { Sec } from "../../identity/sec.ts";
import { sha1 } from "./primitives.ts";

/** What a worker is made with. */
export interface SearchWorkerData {
  readonly sec: Sec;
  readonly start: SharedParameters;
}

/** One piece of the search: this many modifiers from this one on. */
export interface SearchOrder {
  readonly modifier: Uint8Array;
  readonly attempts: number;
}

export interface SearchReport {
  readonly attempts: number;
  /** The first modifier of the piece that fits; `undefined` when none does. */
  readonly found: Uint8Array | undefined;
}

const { sec, start } = workerData as SearchWorkerData;

parentPort?.on("message", ({ modifier, attempts }: SearchOrder) => {
  const search = new ModifierSearch(sha1, sec, { ...start, modifier });
  const found = search.step(attempts);
  const report: SearchReport = { attempts: search.attempts, found };
  parentPort?.postMessage(report);
});
