import { type AddressPair, type Mapping, pairKey } from "../../core/output.ts";
import type { Egress } from "../../linux/route-lookup.ts";
import type { ContextTag } from "../../wire/tag.ts";

/** What the plane holds of a context. */
export interface PlaneContext {
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
  readonly forked: boolean;
  /** Index of its record; `undefined` when the kernel's maps had no room for it. */
  readonly slot: number | undefined;
  watched: boolean;
  withholding: boolean;
  /** `undefined` for the null mapping. */
  active: ActiveMapping | undefined;
}

export interface ActiveMapping {
  readonly mapping: Mapping;
  /** `undefined` when the host had no route between the locators. */
  way: Egress | undefined;
}

/** The contexts of one ULID pair. */
export interface PairContexts {
  readonly ulids: AddressPair;
  main: PlaneContext | undefined;
  /** The one that was set last comes first. */
  readonly forks: PlaneContext[];
  /** Packets of the pair have gone through the ULID device, and some may still. */
  led: boolean;
}

/** All contexts, by our tag, by their record and by ULID pair. */
export class PlaneContexts {
  readonly #byTag = new Map<ContextTag, PlaneContext>();
  readonly #bySlot = new Map<number, PlaneContext>();
  readonly #byPair = new Map<string, PairContexts>();

  get(tag: ContextTag): PlaneContext | undefined {
    return this.#byTag.get(tag);
  }

  bySlot(slot: number): PlaneContext | undefined {
    return this.#bySlot.get(slot);
  }

  pair(ulids: AddressPair): PairContexts | undefined {
    return this.#byPair.get(pairKey(ulids));
  }

  pairs(): Iterable<PairContexts> {
    return this.#byPair.values();
  }

  add(context: PlaneContext): void {
    const { tag, slot, ulids } = context;
    const key = pairKey(ulids);
    const pair = this.#byPair.get(key) ?? { ulids, main: undefined, forks: [], led: false };
    this.#byTag.set(tag, context);
    if (slot !== undefined) this.#bySlot.set(slot, context);
    this.#byPair.set(key, pair);
    if (context.forked) pair.forks.unshift(context);
    else pair.main = context;
  }

  delete(context: PlaneContext): void {
    const { tag, slot, ulids } = context;
    this.#byTag.delete(tag);
    if (slot !== undefined) this.#bySlot.delete(slot);
    const pair = this.#byPair.get(pairKey(ulids));
    if (pair === undefined) throw new Error("a context is in one table only");
    if (pair.main === context) pair.main = undefined;
    const index = pair.forks.indexOf(context);
    if (index >= 0) pair.forks.splice(index, 1);
    if (pair.main === undefined && pair.forks.length === 0) this.#byPair.delete(pairKey(ulids));
  }
}

/** A context that has a record, and so is one to the kernel. */
type KnownContext = PlaneContext & { readonly slot: number };

/** The contexts of a pair that the kernel's maps had room for. */
export function knownContexts({ main, forks }: PairContexts): KnownContext[] {
  return [main, ...forks].filter((context) => context !== undefined).filter(isKnown);
}

/** The mapped forks of a pair, in the order in which packets are held against them. */
export function mappedForks({ forks }: PairContexts): (KnownContext & { active: ActiveMapping })[] {
  return forks.filter(isKnown).filter(isMapped);
}

/** The mapping whose route the pair's packets take: the main context's before any fork's. */
export function leadingMapping(pair: PairContexts): ActiveMapping | undefined {
  return knownContexts(pair).find(isMapped)?.active;
}

function isKnown(context: PlaneContext): context is KnownContext {
  return context.slot !== undefined;
}

function isMapped<Context extends PlaneContext>(
  context: Context,
): context is Context & { active: ActiveMapping } {
  return context.active !== undefined;
}
