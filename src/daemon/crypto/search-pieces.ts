import { addToModifier } from "../../identity/hashes.ts";
import type { SearchOrder, SearchReport } from "./search-worker.ts";

/** Modifiers in one piece: some ten milliseconds of one thread. */
const PIECE = 8192;

/** The pieces of one search, and which of them is the first that holds a modifier. */
export class SearchPieces {
  readonly #resolve: (modifier: Uint8Array) => void;
  /** The first modifier of the next piece. */
  readonly #nextModifier: Uint8Array;
  #nextIndex = 0;
  readonly #running = new Set<number>();
  #best: { readonly index: number; readonly modifier: Uint8Array } | undefined;
  #attempts = 0;

  constructor(start: Uint8Array, resolve: (modifier: Uint8Array) => void) {
    this.#nextModifier = new Uint8Array(start);
    this.#resolve = resolve;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** A piece that nobody has had; none once a modifier is found. */
  next(): { readonly index: number; readonly order: SearchOrder } | undefined {
    if (this.#best !== undefined) return undefined;
    const index = this.#nextIndex++;
    const order = { modifier: new Uint8Array(this.#nextModifier), attempts: PIECE };
    addToModifier(this.#nextModifier, PIECE);
    this.#running.add(index);
    return { index, order };
  }

  /** Earlier pieces that still run may hold an earlier modifier: it waits for them. */
  done(index: number, { attempts, found }: SearchReport): void {
    this.#running.delete(index);
    this.#attempts += attempts;
    if (found !== undefined && index < (this.#best?.index ?? Number.POSITIVE_INFINITY)) {
      this.#best = { index, modifier: found };
    }
    const best = this.#best;
    if (best === undefined || [...this.#running].some((other) => other < best.index)) return;
    this.#resolve(best.modifier);
  }
}
