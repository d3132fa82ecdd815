import type { LocatorPairStatus, SurveyedPairStatus } from "../daemon/api.ts";

/** Of all rounds. Spans are in seconds; shares are `null` where nothing is known of the direction. */
export interface PairResult extends LocatorPairStatus {
  readonly sent: number;
  readonly answered: number;
  readonly lossThere: number | null;
  readonly lossBack: number | null;
  readonly minimum: number | null;
  readonly median: number | null;
  readonly maximum: number | null;
}

/** Adds up the surveys of one pair. */
export class PairTally {
  readonly #pair: LocatorPairStatus;
  readonly #roundTrips: number[] = [];
  readonly #there: boolean[] = [];
  readonly #back: boolean[] = [];
  #sent = 0;

  constructor({ localLocator, peerLocator }: LocatorPairStatus) {
    this.#pair = { localLocator, peerLocator };
  }

  add({ sent, roundTrips, there, back }: SurveyedPairStatus): void {
    this.#sent += sent;
    this.#roundTrips.push(...roundTrips);
    if (there !== null) this.#there.push(there);
    if (back !== null) this.#back.push(back);
  }

  get result(): PairResult {
    const sorted = this.#roundTrips.toSorted((a, b) => a - b);
    return {
      ...this.#pair,
      sent: this.#sent,
      answered: sorted.length,
      lossThere: lossOf(this.#there),
      lossBack: lossOf(this.#back),
      minimum: sorted[0] ?? null,
      median: sorted[Math.floor(sorted.length / 2)] ?? null,
      maximum: sorted.at(-1) ?? null,
    };
  }
}

function lossOf(passes: readonly boolean[]): number | null {
  if (passes.length === 0) return null;
  return passes.filter((passed) => !passed).length / passes.length;
}
