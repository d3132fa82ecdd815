import { type AddressPair, type Mapping, pairKey } from "../core/output.ts";
import { TrafficRecord } from "../core/traffic.ts";
import type { ContextTag } from "../wire/tag.ts";

/** What the data plane knows of a context. */
export interface PlaneContext {
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
  readonly traffic: TrafficRecord;
  watched: boolean;
}

/** A host's data plane, of Maps. */
export class SimPlane {
  readonly #byTag = new Map<ContextTag, PlaneContext>();
  readonly #byUlids = new Map<string, PlaneContext>();
  readonly #mappings = new Map<ContextTag, Mapping>();
  readonly #mappingByUlids = new Map<string, Mapping>();
  /** Packets of the pairs without a context. */
  readonly #counts = new Map<string, number>();
  readonly #trigger: number;

  constructor(trigger: number) {
    this.#trigger = trigger;
  }

  /** Contexts in the data plane. */
  get size(): number {
    return this.#byTag.size;
  }

  byTag(tag: ContextTag): PlaneContext | undefined {
    return this.#byTag.get(tag);
  }

  byUlids(key: string): PlaneContext | undefined {
    return this.#byUlids.get(key);
  }

  mappingOf(tag: ContextTag): Mapping | undefined {
    return this.#mappings.get(tag);
  }

  /** How payload of the ULID pair leaves; `undefined` for unchanged. @param key `pairKey` */
  outbound(key: string): Mapping | undefined {
    return this.#mappingByUlids.get(key);
  }

  setMapping(tag: ContextTag, mapping: Mapping): void {
    this.clearMapping(tag);
    this.#mappings.set(tag, mapping);
    this.#mappingByUlids.set(pairKey(mapping.ulids), mapping);
  }

  clearMapping(tag: ContextTag): void {
    const mapping = this.#mappings.get(tag);
    this.#mappings.delete(tag);
    if (mapping === undefined) return;
    const key = pairKey(mapping.ulids);
    if (this.#mappingByUlids.get(key) === mapping) this.#mappingByUlids.delete(key);
  }

  set(tag: ContextTag, ulids: AddressPair): void {
    const context = {
      ...{ tag, ulids, traffic: new TrafficRecord() },
      watched: false,
    };
    this.#byTag.set(tag, context);
    this.#byUlids.set(pairKey(ulids), context);
  }

  clear(tag: ContextTag): void {
    const context = this.#byTag.get(tag);
    this.#byTag.delete(tag);
    this.clearMapping(tag);
    if (context === undefined) return;
    const key = pairKey(context.ulids);
    if (this.#byUlids.get(key) === context) this.#byUlids.delete(key);
  }

  /** Counts a packet of a pair without context: true when it crosses the trigger, once. */
  count(key: string): boolean {
    const packets = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, packets);
    return packets === this.#trigger;
  }

  arm(ulids: AddressPair): void {
    this.#counts.delete(pairKey(ulids));
  }
}
