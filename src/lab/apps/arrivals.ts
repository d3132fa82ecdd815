import { print } from "./output.ts";

/** Silences shorter than this (ms) are the ordinary spacing of packets, and not reported. */
export const SHORTEST_GAP = 20;

/** Arrivals are summed over this long (ms) for the throughput curve. */
const SAMPLE_INTERVAL = 100;

/**
 * Keeps the account of what a receiver gets: prints how much arrived in each interval, and each
 * silence once it ended. Times are Unix time in ms.
 */
export class Arrivals {
  #bytes = 0;
  #bytesInSample = 0;
  #sampleStart = sampleStart(Date.now());
  #first: number | undefined;
  #last: number | undefined;
  #longestGap = 0;

  record(bytes: number): void {
    const now = Date.now();
    this.#startSample(now);
    this.#bytes += bytes;
    this.#bytesInSample += bytes;
    this.#first ??= now;
    if (this.#last !== undefined) this.#endGap(this.#last, now);
    this.#last = now;
  }

  /** The sums for the result; prints what is still open. */
  finish(): ArrivalSummary {
    this.#startSample(Date.now() + SAMPLE_INTERVAL);
    return {
      bytes: this.#bytes,
      first: this.#first ?? null,
      last: this.#last ?? null,
      longestGap: this.#longestGap,
    };
  }

  #startSample(now: number): void {
    const start = sampleStart(now);
    if (start === this.#sampleStart) return;
    if (this.#bytesInSample > 0) {
      print({ type: "sample", time: this.#sampleStart, bytes: this.#bytesInSample });
    }
    this.#sampleStart = start;
    this.#bytesInSample = 0;
  }

  #endGap(from: number, to: number): void {
    if (to - from < SHORTEST_GAP) return;
    this.#longestGap = Math.max(this.#longestGap, to - from);
    print({ type: "gap", from, to });
  }
}

export interface ArrivalSummary {
  readonly bytes: number;
  readonly first: number | null;
  readonly last: number | null;
  /** ms; between two arrivals, so the silence before the end isn't in it. */
  readonly longestGap: number;
}

function sampleStart(time: number): number {
  return Math.floor(time / SAMPLE_INTERVAL) * SAMPLE_INTERVAL;
}
