import { type AddressPair, type Mapping, samePair } from "../../src/core/output.ts";
import { TrafficRecord } from "../../src/core/traffic.ts";
import type { ContextTag } from "../../src/wire/tag.ts";

/** What the data plane knows of a context. */
export interface PlaneContext {
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
  readonly traffic: TrafficRecord;
  mapping: Mapping | undefined;
  watched: boolean;
}

/** The least of a data plane: a few contexts. */
export class ModelPlane {
  readonly #contexts = new Map<ContextTag, PlaneContext>();

  get contexts(): readonly PlaneContext[] {
    return [...this.#contexts.values()];
  }

  byTag(tag: ContextTag): PlaneContext | undefined {
    return this.#contexts.get(tag);
  }

  byUlids(ulids: AddressPair): PlaneContext | undefined {
    return this.contexts.find((context) => samePair(context.ulids, ulids));
  }

  set(tag: ContextTag, ulids: AddressPair): void {
    const traffic = new TrafficRecord();
    this.#contexts.set(tag, { tag, ulids, traffic, mapping: undefined, watched: false });
  }

  clear(tag: ContextTag): void {
    this.#contexts.delete(tag);
  }
}
