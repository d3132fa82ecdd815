import type { Context } from "./context.ts";
import { sameEnds } from "./output.ts";
import type { PairChoice } from "./pair-choice.ts";
import type { Shim } from "./shim.ts";

/** What REAP has the data plane do for one context. */
export class PlaneOrders {
  readonly #shim: Shim;
  readonly #context: Context;
  readonly #choice: PairChoice;
  /** ICMPv6 errors are kept from the ULP. */
  #withholding = false;

  constructor(shim: Shim, context: Context, choice: PairChoice) {
    this.#shim = shim;
    this.#context = context;
    this.#choice = choice;
  }

  /**
   * Tells the data plane how payload leaves. Nothing of ours leaves on a context that the peer
   * forked, unless we select something for it: forking is for one direction (RFC 5533 section
   * 4.2). What does leave has the payload header even between the ULIDs, or the peer would take
   * it for the default context's.
   */
  applyMapping(): void {
    const { tag, ulids, locators, peerTag, forkedInstance, selector } = this.#context;
    if (peerTag === undefined) return;
    const mapping = { ulids, locators, peerTag };
    if (forkedInstance !== 0) {
      if (selector === undefined) return;
      this.#shim.emit({ type: "set-mapping", tag, mapping: { ...mapping, selector } });
    } else if (sameEnds(locators, ulids)) {
      this.#shim.emit({ type: "clear-mapping", tag });
    } else {
      this.#shim.emit({ type: "set-mapping", tag, mapping });
    }
  }

  /** To a data plane that may know already. */
  repeatErrorPolicy(): void {
    this.#withhold(this.#hasChoice);
  }

  applyErrorPolicy(): void {
    if (this.#hasChoice !== this.#withholding) this.#withhold(this.#hasChoice);
  }

  /** Without another pair the shim can do nothing about an error: then it is the ULP's. */
  get #hasChoice(): boolean {
    const { config } = this.#shim;
    return config.deliverAllIcmp !== true && this.#choice.size > 1;
  }

  /** Inbound payload is to be reported at once. */
  watch(on: boolean): void {
    this.#shim.emit({ type: "watch", tag: this.#context.tag, on });
  }

  #withhold(on: boolean): void {
    this.#withholding = on;
    this.#shim.emit({ type: "withhold-errors", tag: this.#context.tag, on });
  }
}
