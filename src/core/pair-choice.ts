import type { Context } from "./context.ts";
import { type AddressPair, inForm, sameEnds, samePair } from "./output.ts";
import {
  betterPairs,
  choosePair,
  type Draw,
  moveFirst,
  orderPairs,
  type PairCandidate,
} from "./pair-order.ts";
import type { Shim } from "./shim.ts";

/** The locator pairs of one context, by what is preferred at this moment. */
export class PairChoice {
  readonly #shim: Shim;
  readonly #context: Context;

  constructor(shim: Shim, context: Context) {
    this.#shim = shim;
    this.#context = context;
  }

  /** How many there are to choose from. */
  get size(): number {
    if (this.#onlyPair !== undefined) return 1;
    return this.#locals.length * this.#context.peerLocators.length;
  }

  /** All of them, in the order in which an exploration tries them. */
  ordered(): AddressPair[] {
    const { locators, preferred, pin, peerLocators, mayEncapsulate } = this.#context;
    const all = orderPairs(this.#locals, peerLocators, locators, this.#draw, mayEncapsulate);
    const pairs = all.filter((pair) => this.allows(pair));
    if (preferred === undefined) return pairs;
    // Whether the current one has failed is asked last, unless nothing less takes us off it.
    const isSuspect = pin === undefined && sameEnds(preferred, locators);
    return isSuspect ? pairs : formsOf(preferred).reduceRight(moveFirst, pairs);
  }

  /** All of them, the current one first: it may well work. */
  currentFirst(): AddressPair[] {
    return moveFirst(this.ordered().toReversed(), this.#context.locators);
  }

  /** Of pairs that work, the one to use. */
  best(confirmed: readonly AddressPair[]): AddressPair | undefined {
    const { locators, preferred, peerLocators, mayEncapsulate } = this.#context;
    const wanted = preferred === undefined ? [locators] : [...formsOf(preferred), locators];
    const allowed = confirmed.filter((pair) => this.allows(pair));
    return choosePair(allowed, wanted, this.#locals, peerLocators, this.#draw, mayEncapsulate);
  }

  /** Pairs to be preferred to the current one, the best first; none that is known not to work. */
  better(): AddressPair[] {
    const { locators, preferred, pin, peerLocators, ulids, mayEncapsulate } = this.#context;
    if (preferred !== undefined && sameEnds(preferred, locators)) {
      return samePair(preferred, locators) ? [] : [preferred];
    }
    const isAutomatic = this.#shim.config.failBack !== undefined && pin === undefined;
    const natural = isAutomatic
      ? betterPairs(this.#locals, peerLocators, locators, ulids, mayEncapsulate)
      : [];
    if (preferred === undefined || !this.#isUsable(preferred)) return natural;
    const wanted = mayEncapsulate ? formsOf(preferred) : [preferred];
    return [...wanted, ...natural.filter((pair) => !sameEnds(pair, preferred))];
  }

  /** False for what a strict pin keeps payload from. */
  allows(pair: AddressPair): boolean {
    return this.#onlyPair === undefined || sameEnds(pair, this.#onlyPair);
  }

  get #onlyPair(): AddressPair | undefined {
    const { pin, preferred } = this.#context;
    return pin === "strict" ? preferred : undefined;
  }

  #isUsable({ local, peer }: AddressPair): boolean {
    return (
      this.#locals.some(({ address }) => address === local) &&
      this.#context.peerLocators.some(({ address, broken }) => address === peer && !broken)
    );
  }

  /** Locators of ours that the peer knows and that work at this moment. */
  get #locals(): PairCandidate[] {
    return this.#context.offer
      .filter(({ address }) => this.#shim.isOperational(address))
      .map(({ address, preference, weight = 0, transient = false }) => {
        return { address, preference, weight, transient, broken: false };
      });
  }

  get #draw(): Draw {
    return () => this.#shim.random.between(0, 1);
  }
}

/** A pair as it may be used; whoever asks for it asks for either. */
function formsOf(pair: AddressPair): AddressPair[] {
  return [inForm(pair, false), inForm(pair, true)];
}
