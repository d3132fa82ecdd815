import { prefixOf } from "../identity/subnet-prefix.ts";
import type { Address } from "../wire/address.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { Context } from "./context.ts";
import { DeadlineQueue } from "./deadline-queue.ts";
import { type AddressPair, type Deadline, pairKey } from "./output.ts";
import { PrefixShares } from "./prefix-shares.ts";
import type { Instant } from "./time.ts";

/** All contexts, found by each of the keys of RFC 5533 section 12.4, and by their deadlines. */
export class ContextTable {
  readonly #byTag = new Map<ContextTag, Context>();
  readonly #byUlids = new Map<string, Context>();
  readonly #byNonce = new Map<number, Context>();
  readonly #byPeerTag = new Map<ContextTag, Set<Context>>();
  readonly #byPrefix = new PrefixShares<Context>();
  readonly #deadlines = new DeadlineQueue<Context>();

  get size(): number {
    return this.#byTag.size;
  }

  values(): IterableIterator<Context> {
    return this.#byTag.values();
  }

  byTag(tag: ContextTag): Context | undefined {
    return this.#byTag.get(tag);
  }

  byUlids(ulids: AddressPair, forkedInstance: number): Context | undefined {
    return this.#byUlids.get(ulidKey(ulids, forkedInstance));
  }

  byInitiatorNonce(nonce: number): Context | undefined {
    return this.#byNonce.get(nonce);
  }

  /** Peers choose their tags without each other: several contexts may share one. */
  byPeerTag(tag: ContextTag): Context[] {
    return [...(this.#byPeerTag.get(tag) ?? [])];
  }

  setPeerTag(context: Context, tag: ContextTag | undefined): void {
    if (context.peerTag !== undefined) this.#dropPeerTag(context, context.peerTag);
    context.peerTag = tag;
    if (tag === undefined) return;
    const sharing = this.#byPeerTag.get(tag);
    if (sharing === undefined) this.#byPeerTag.set(tag, new Set([context]));
    else sharing.add(context);
  }

  /** A new exchange has a new nonce, which only those know who are where it goes. */
  setInitiatorNonce(context: Context, nonce: number): void {
    this.#byNonce.delete(context.initiatorNonce);
    context.initiatorNonce = nonce;
    this.#byNonce.set(nonce, context);
  }

  /** Contexts with peers in the address's /64. */
  countOfPrefix(peer: Address): number {
    return this.#byPrefix.sizeOf(prefixOf(peer));
  }

  /** Of the prefix with most contexts, if it has at least `minimum`, the `count` oldest ones. */
  oldestOfLargestPrefix(minimum: number, count: number): Context[] {
    const largest = this.#byPrefix.largest();
    if (largest === undefined || this.#byPrefix.sizeOf(largest) < minimum) return [];
    return this.#byPrefix.oldest(largest, count);
  }

  add(context: Context): void {
    this.#byPrefix.add(prefixOf(context.ulids.peer), context);
    this.#byTag.set(context.tag, context);
    this.#byUlids.set(ulidKey(context.ulids, context.forkedInstance), context);
    this.#byNonce.set(context.initiatorNonce, context);
    this.reschedule(context);
  }

  remove(context: Context): void {
    this.#byPrefix.remove(prefixOf(context.ulids.peer), context);
    this.#byTag.delete(context.tag);
    this.#byUlids.delete(ulidKey(context.ulids, context.forkedInstance));
    this.#byNonce.delete(context.initiatorNonce);
    if (context.peerTag !== undefined) this.#dropPeerTag(context, context.peerTag);
    this.#deadlines.set(context, undefined);
  }

  /** Takes over the context's deadline after it may have changed. */
  reschedule(context: Context): void {
    if (this.#byTag.get(context.tag) === context) {
      this.#deadlines.set(context, context.deadline?.at);
    }
  }

  /** A context whose deadline has come. Its deadline must be set anew with `reschedule`. */
  popDue(now: Instant): Context | undefined {
    return this.#deadlines.popDue(now);
  }

  #dropPeerTag(context: Context, tag: ContextTag): void {
    const sharing = this.#byPeerTag.get(tag);
    sharing?.delete(context);
    if (sharing?.size === 0) this.#byPeerTag.delete(tag);
  }

  nextDeadline(): Deadline | undefined {
    return this.#deadlines.peek()?.item.deadline;
  }
}

function ulidKey(ulids: AddressPair, forkedInstance: number): string {
  return `${pairKey(ulids)} ${forkedInstance}`;
}
