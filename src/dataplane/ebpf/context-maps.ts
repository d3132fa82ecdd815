import type { AddressPair } from "../../core/output.ts";
import type { BpfMap, BpfMapEntry } from "../../linux/bpf-map.ts";
import type { Egress } from "../../linux/route-lookup.ts";
import type { ContextTag } from "../../wire/tag.ts";
import {
  type ActiveMapping,
  mappedForks,
  type PairContexts,
  type PlaneContext,
  type PlaneContexts,
} from "./contexts.ts";
import {
  decodeForkKey,
  decodePair,
  decodeTag,
  decodeTagged,
  encodeFork,
  encodeForkKey,
  encodePair,
  encodePairState,
  encodePeerTag,
  encodeTag,
  encodeTagged,
  FORKS_MAX,
  NO_SLOT,
} from "./layout.ts";

/** What the kernel knows of a context. */
export interface KernelContext {
  readonly slot: number;
  readonly ulids: AddressPair;
}

/** What is used of each map. */
type Entries = Pick<BpfMap, "update" | "delete" | "entries">;
interface Maps extends Readonly<Record<"pairs" | "tags" | "peerTags" | "forks", Entries>> {
  /** The programs are to look into `pairs` anew. */
  readonly pairsChanged: () => void;
}

/** Writes contexts and mappings into the kernel's maps. Every write replaces an entry as a whole. */
export class ContextMaps {
  readonly #maps: Maps;

  constructor(maps: Maps) {
    this.#maps = maps;
  }

  /** The contexts that the maps hold, by our tag. */
  read(): Map<ContextTag, KernelContext> {
    return new Map(
      [...this.#maps.tags.entries()].map(({ key, value }) => [decodeTag(key), decodeTagged(value)]),
    );
  }

  /** Inbound payload with our tag is the context's. @throws SystemError E2BIG when it is full */
  setTag(tag: ContextTag, context: KernelContext): void {
    this.#maps.tags.update(encodeTag(tag), encodeTagged(context.slot, context.ulids));
  }

  deleteTag(tag: ContextTag): void {
    this.#maps.tags.delete(encodeTag(tag));
  }

  /** ICMPv6 errors about what leaves on the context's mapping are the context's. */
  setPeerTag({ slot, ulids, active }: PlaneContext): void {
    if (slot === undefined || active === undefined) return;
    this.#maps.peerTags.update(peerTagOf(active), encodeTagged(slot, ulids));
  }

  deletePeerTag({ active }: PlaneContext): void {
    if (active !== undefined) this.#maps.peerTags.delete(peerTagOf(active));
  }

  /**
   * Outbound payload of the pair goes as its contexts say from here on: the forks are in place
   * before the pair's entry names them, and go after it.
   * @param plain the way of the ULIDs themselves
   * @returns whether all forks had room
   */
  publish(pair: PairContexts, plain: Egress | undefined): boolean {
    const { ulids, main } = pair;
    const forks = mappedForks(pair);
    const shown = forks.slice(0, FORKS_MAX);
    for (const [index, { slot, active }] of shown.entries()) {
      this.#maps.forks.update(encodeForkKey(ulids, index), encodeFork(slot, active));
    }
    const state = {
      slot: main?.slot ?? NO_SLOT,
      mapping: main?.slot === undefined ? undefined : main.active,
      forks: shown.length,
      plain,
      peerUlid: ulids.peer,
    };
    this.#maps.pairs.update(encodePair(ulids), encodePairState(state));
    this.#maps.pairsChanged();
    this.#deleteForks(ulids, shown.length);
    return shown.length === forks.length;
  }

  /** The pair has no context any more. */
  withdraw(ulids: AddressPair): void {
    this.#maps.pairs.delete(encodePair(ulids));
    this.#maps.pairsChanged();
    this.#deleteForks(ulids, 0);
  }

  /** Deletes all that no context has: it is an earlier run's. */
  deleteStale(contexts: PlaneContexts): void {
    const { tags, peerTags, pairs, forks } = this.#maps;
    deleteWhere(tags, ({ key }) => contexts.get(decodeTag(key))?.slot === undefined);
    deleteWhere(peerTags, ({ key, value }) => {
      const active = contexts.bySlot(decodeTagged(value).slot)?.active;
      return active === undefined || !isSame(key, peerTagOf(active));
    });
    deleteWhere(pairs, ({ key }) => contexts.pair(decodePair(key)) === undefined);
    this.#maps.pairsChanged();
    deleteWhere(forks, ({ key }) => {
      const { ulids, index } = decodeForkKey(key);
      const pair = contexts.pair(ulids);
      return pair === undefined || index >= mappedForks(pair).length;
    });
  }

  #deleteForks(ulids: AddressPair, from: number): void {
    for (let index = from; index < FORKS_MAX; index++) {
      if (!this.#maps.forks.delete(encodeForkKey(ulids, index))) return;
    }
  }
}

function peerTagOf({ mapping: { locators, peerTag } }: ActiveMapping): Uint8Array {
  return encodePeerTag(locators.peer, peerTag);
}

function deleteWhere(
  map: Pick<BpfMap, "entries" | "delete">,
  condition: (entry: BpfMapEntry) => boolean,
): void {
  for (const entry of map.entries()) if (condition(entry)) map.delete(entry.key);
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
