import { type AddressPair, type Mapping, pairKey } from "../../core/output.ts";
import { TrafficRecord } from "../../core/traffic.ts";
import type { Egress } from "../../linux/route-lookup.ts";
import { ADDRESS_LENGTH, type Address, writeAddress } from "../../wire/address.ts";
import { DESTINATION_OFFSET, SOURCE_OFFSET } from "../../wire/ipv6.ts";
import type { ContextTag } from "../../wire/tag.ts";
import { matchesFlow } from "./flow-match.ts";
import { PairTable } from "./pair-table.ts";
import { TcpFlows } from "./tcp-flows.ts";

/** What the plane holds of a context. */
export interface PlaneContext {
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
  /** The same as octets. */
  readonly localUlid: Uint8Array;
  readonly peerUlid: Uint8Array;
  /** Those of an inbound packet: the peer's, then the local one. */
  readonly inboundAddresses: Uint8Array;
  readonly traffic: TrafficRecord;
  readonly flows: TcpFlows;
  watched: boolean;
  /** ICMPv6 errors that the shim acts on are kept from the ULP. */
  withholding: boolean;
  /** `undefined` for the null mapping. */
  mapping: ActiveMapping | undefined;
}

/** An outbound mapping in the form that every packet needs. */
export interface ActiveMapping {
  readonly mapping: Mapping;
  /** The locators as octets: those of an outbound packet. */
  readonly addresses: Uint8Array;
  /** `undefined` when the host had no route between the locators. */
  readonly egress: Egress | undefined;
  /** Octets that a packet may have on the way to the peer's locator, without a UDP header. */
  pathMtu: number;
}

/** The contexts of one ULID pair. */
interface PairContexts {
  main: PlaneContext | undefined;
  /** The one that was set last comes first. */
  readonly forks: PlaneContext[];
}

/** All contexts, by our tag and by ULID pair. */
export class PlaneContextTable {
  readonly #byTag = new Map<ContextTag, PlaneContext>();
  readonly #byPair = new PairTable<PairContexts>();

  get(tag: ContextTag): PlaneContext | undefined {
    return this.#byTag.get(tag);
  }

  /** The ULID pairs that have contexts. */
  get pairs(): AddressPair[] {
    const pairs = new Map([...this.#byTag.values()].map(({ ulids }) => [pairKey(ulids), ulids]));
    return [...pairs.values()];
  }

  /** The pair's context for packets without a tag; the addresses stand at these offsets. */
  byPair(bytes: Uint8Array, local: number, peer: number): PlaneContext | undefined {
    return this.#byPair.get(bytes, local, peer)?.main;
  }

  /** The context that an outbound packet leaves on: the first fork that selects it, if any. */
  outbound(packet: Uint8Array, mark: number): PlaneContext | undefined {
    const contexts = this.#byPair.get(packet, SOURCE_OFFSET, DESTINATION_OFFSET);
    if (contexts === undefined) return undefined;
    for (const fork of contexts.forks) {
      const selector = fork.mapping?.mapping.selector;
      if (selector !== undefined && matchesFlow(selector, packet, mark)) return fork;
    }
    return contexts.main;
  }

  /** The mapping whose route the pair's packets take: the main context's before any fork's. */
  leading(ulids: AddressPair): ActiveMapping | undefined {
    const contexts = this.#byPair.get(pairOctets(ulids), 0, ADDRESS_LENGTH);
    return contexts?.main?.mapping ?? contexts?.forks.find(({ mapping }) => mapping)?.mapping;
  }

  /** The context whose payload leaves for this locator with this tag of the peer. */
  byPeerTag(peerTag: ContextTag, peerLocator: Address): PlaneContext | undefined {
    for (const context of this.#byTag.values()) {
      const mapping = context.mapping?.mapping;
      if (mapping?.peerTag === peerTag && mapping.locators.peer === peerLocator) return context;
    }
    return undefined;
  }

  /** Starts a traffic record, unless the context is there already with these ULIDs. */
  set(tag: ContextTag, ulids: AddressPair, forked = false): void {
    this.delete(tag);
    const inboundAddresses = pairOctets({ local: ulids.peer, peer: ulids.local });
    const context: PlaneContext = {
      tag,
      ulids,
      localUlid: inboundAddresses.subarray(ADDRESS_LENGTH),
      peerUlid: inboundAddresses.subarray(0, ADDRESS_LENGTH),
      inboundAddresses,
      traffic: new TrafficRecord(),
      flows: new TcpFlows(),
      watched: false,
      withholding: false,
      mapping: undefined,
    };
    this.#byTag.set(tag, context);
    const pair = pairOctets(ulids);
    const contexts = this.#byPair.get(pair, 0, ADDRESS_LENGTH) ?? { main: undefined, forks: [] };
    if (forked) contexts.forks.unshift(context);
    else contexts.main = context;
    this.#byPair.set(pair, 0, ADDRESS_LENGTH, contexts);
  }

  /** Returns what was removed. */
  delete(tag: ContextTag): PlaneContext | undefined {
    const context = this.#byTag.get(tag);
    if (context === undefined) return undefined;
    this.#byTag.delete(tag);
    const pair = pairOctets(context.ulids);
    const contexts = this.#byPair.get(pair, 0, ADDRESS_LENGTH);
    if (contexts === undefined) throw new Error("a context is in one table only");
    if (contexts.main === context) contexts.main = undefined;
    const index = contexts.forks.indexOf(context);
    if (index >= 0) contexts.forks.splice(index, 1);
    if (contexts.main === undefined && contexts.forks.length === 0) {
      this.#byPair.delete(pair, 0, ADDRESS_LENGTH);
    }
    return context;
  }
}

/** The local address, then the peer's. */
export function pairOctets(pair: AddressPair): Uint8Array {
  const octets = new Uint8Array(2 * ADDRESS_LENGTH);
  writeAddress(pair.local, octets);
  writeAddress(pair.peer, octets, ADDRESS_LENGTH);
  return octets;
}
