import type { AddressPair, ContextEvent, ExplorationCause } from "../../core/output.ts";
import type { Duration, Instant } from "../../core/time.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { ReplayedCall } from "./replayer.ts";

/** From the last sign of life on one locator pair to the first on another one. */
export interface Outage {
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
  /** Why the host began to explore; "peer" where its peer had begun. */
  readonly cause: ExplorationCause | "peer";
  readonly recoveredAt: Instant;
  readonly detection: Duration;
  readonly exploration: Duration;
  /** The pair that payload was on, and the one that it is on now. */
  readonly from: AddressPair;
  readonly to: AddressPair;
}

/** Finds the outages in a trace. */
export class OutageFinder {
  readonly #locators = new Map<ContextTag, AddressPair>();
  /** Why, of each context that has not recovered yet. */
  readonly #open = new Map<ContextTag, Outage["cause"]>();

  /** @returns those that ended with this call */
  note({ outputs }: ReplayedCall): Outage[] {
    return outputs.flatMap((output) => {
      return (output.type === "event" ? this.#noteEvent(output.event) : undefined) ?? [];
    });
  }

  #noteEvent(event: ContextEvent): Outage | undefined {
    const { tag } = event;
    switch (event.event) {
      case "established":
      case "restored":
        this.#locators.set(tag, event.locators);
        return undefined;
      case "exploring":
        this.#begin(tag, event.cause);
        return undefined;
      case "inboundok":
        this.#begin(tag, "peer");
        return undefined;
      case "recovered":
        return this.#finish(event);
      case "switched":
        if (!this.#open.has(tag)) this.#locators.set(tag, event.to);
        return undefined;
      case "closed":
        this.#locators.delete(tag);
        this.#open.delete(tag);
        return undefined;
      default:
        return undefined;
    }
  }

  #begin(tag: ContextTag, cause: Outage["cause"]): void {
    if (!this.#open.has(tag)) this.#open.set(tag, cause);
  }

  #finish(event: Extract<ContextEvent, { readonly event: "recovered" }>): Outage {
    const { tag, ulids, at, detection, exploration, locators } = event;
    const outage = {
      ...{ tag, ulids, detection, exploration, recoveredAt: at, to: locators },
      cause: this.#open.get(tag) ?? "restart",
      from: this.#locators.get(tag) ?? locators,
    };
    this.#open.delete(tag);
    this.#locators.set(tag, locators);
    return outage;
  }
}
