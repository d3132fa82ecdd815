import type { Context } from "./context.ts";
import { type AddressPair, samePair } from "./output.ts";
import { choosePair, type Draw, moveFirst, orderPairs, type PairCandidate } from "./pair-order.ts";
import type { Shim } from "./shim.ts";

/** The locator pairs of one context, by what is preferred at this moment. */
export class PairChoice {
  readonly #shim: Shim;
  readonly #context: Context;

  constructor(shim: Shim, context: Context) {
    this.#shim = shim;
    this.#context = context;
  }

  /** How many there are. */
  get size(): number {
    return this.#locals.length * this.#context.peerLocators.length;
  }

  /** All of them, in the order in which an exploration tries them. */
  ordered(): AddressPair[] {
    const { locators, preferred, peerLocators } = this.#context;
    const pairs = orderPairs(this.#locals, peerLocators, locators, this.#draw);
    if (preferred === undefined || samePair(preferred, locators)) return pairs;
    return moveFirst(pairs, preferred);
  }

  /** Of pairs that work, the one to use. */
  best(confirmed: readonly AddressPair[]): AddressPair | undefined {
    const { locators, preferred, peerLocators } = this.#context;
    const wanted = preferred === undefined ? [locators] : [preferred, locators];
    return choosePair(confirmed, wanted, this.#locals, peerLocators, this.#draw);
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
