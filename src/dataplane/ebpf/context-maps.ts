import type { AddressPair } from "../../core/output.ts";
import type { Egress } from "../../linux/route-lookup.ts";
import type { ContextTag } from "../../wire/tag.ts";
import { mappedForks, type PairContexts, type PlaneContext } from "./contexts.ts";
import type { KernelHalf } from "./kernel.ts";
import {
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

type Maps = Pick<KernelHalf, "pairs" | "tags" | "peerTags" | "forks">;

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
    const { locators, peerTag } = active.mapping;
    this.#maps.peerTags.update(encodePeerTag(locators.peer, peerTag), encodeTagged(slot, ulids));
  }

  deletePeerTag({ active }: PlaneContext): void {
    if (active === undefined) return;
    const { locators, peerTag } = active.mapping;
    this.#maps.peerTags.delete(encodePeerTag(locators.peer, peerTag));
  }

  /**
   * Outbound payload of the pair goes as its contexts say from here on: the forks are in place
   * before the pair's entry names them, and go after it.
   * @param plain the way of the ULIDs themselves
   * @returns whether all forks had room
   */
  publish(pair: PairContexts, plain: Egress | undefined): boolean {
    const { ulids, main } = pair;
    const forks = mappedForks(pair).filter(({ slot }) => slot !== undefined);
    const shown = forks.slice(0, FORKS_MAX);
    for (const [index, { slot, active }] of shown.entries()) {
      this.#maps.forks.update(encodeForkKey(ulids, index), encodeFork(slot ?? NO_SLOT, active));
    }
    const state = {
      slot: main?.slot ?? NO_SLOT,
      mapping: main?.active,
      forks: shown.length,
      plain,
      peerUlid: ulids.peer,
    };
    this.#maps.pairs.update(encodePair(ulids), encodePairState(state));
    this.#deleteForks(ulids, shown.length);
    return shown.length === forks.length;
  }

  /** The pair has no context any more. */
  withdraw(ulids: AddressPair): void {
    this.#maps.pairs.delete(encodePair(ulids));
    this.#deleteForks(ulids, 0);
  }

  #deleteForks(ulids: AddressPair, from: number): void {
    for (let index = from; index < FORKS_MAX; index++) {
      if (!this.#maps.forks.delete(encodeForkKey(ulids, index))) return;
    }
  }
}
