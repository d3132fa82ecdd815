import { addToModifier, fitsHash2, hash2Input } from "./hashes.ts";
import { MODIFIER_LENGTH, type SharedParameters } from "./parameters.ts";
import type { Sha1 } from "./primitives.ts";
import type { Sec } from "./sec.ts";

/**
 * The search for a modifier whose Hash2 begins with 16*Sec zero bits (RFC 3972 section 4 steps
 * 2 and 3, RFC 5535 section 6 steps 3 and 4): 2^(16*Sec) hashes on average, one for Sec 0.
 *
 * It runs only while somebody calls {@link step}, so that the caller shows progress between
 * steps, cancels by not calling it again, and continues later or elsewhere from
 * {@link modifier}.
 */
export class ModifierSearch {
  readonly #sha1: Sha1;
  readonly #sec: Sec;
  /** What Hash2 covers; begins with the modifier that is tried next. */
  readonly #input: Uint8Array;
  #attempts = 0;

  /** @param start the first modifier tried, and the other parameters of the set */
  constructor(sha1: Sha1, sec: Sec, start: SharedParameters) {
    this.#sha1 = sha1;
    this.#sec = sec;
    this.#input = hash2Input(start);
  }

  /** Modifiers tried so far. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The one to try next; the one that fits, when {@link step} has just given it. */
  get modifier(): Uint8Array {
    return this.#input.slice(0, MODIFIER_LENGTH);
  }

  /** Tries up to `attempts` modifiers; gives the first that fits, or `undefined`. */
  step(attempts: number): Uint8Array | undefined {
    for (let i = 0; i < attempts; i++) {
      this.#attempts += 1;
      if (fitsHash2(this.#sha1, this.#sec, this.#input)) return this.modifier;
      addToModifier(this.#input, 1);
    }
    return undefined;
  }
}
