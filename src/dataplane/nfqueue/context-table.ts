import type { AddressPair, Mapping } from "../../core/output.ts";
import { TrafficRecord } from "../../core/traffic.ts";
import { ADDRESS_LENGTH, type Address, writeAddress } from "../../wire/address.ts";
import type { ContextTag } from "../../wire/tag.ts";
import { PairTable } from "./pair-table.ts";
import { TcpFlows } from "./tcp-flows.ts";

/** What the plane holds of a context. */
export interface PlaneContext {
  readonly tag: ContextTag;
  readonly ulids: AddressPair;
  /** The same as octets. */
  readonly localUlid: Uint8Array;
  readonly peerUlid: Uint8Array;
  readonly traffic: TrafficRecord;
  readonly flows: TcpFlows;
  watched: boolean;
  /** `undefined` for the null mapping. */
  mapping: ActiveMapping | undefined;
}

/** An outbound mapping in the form that every packet needs. */
export interface ActiveMapping {
  readonly mapping: Mapping;
  readonly localLocator: Uint8Array;
  readonly peerLocator: Uint8Array;
  /** Octets that a packet may have on the way to the peer's locator. */
  pathMtu: number;
}

/** All contexts, by our tag and by ULID pair. */
export class PlaneContextTable {
  readonly #byTag = new Map<ContextTag, PlaneContext>();
  readonly #byPair = new PairTable<PlaneContext>();

  get(tag: ContextTag): PlaneContext | undefined {
    return this.#byTag.get(tag);
  }

  /** The context of the ULID pair whose addresses stand at these offsets of `bytes`. */
  byPair(bytes: Uint8Array, local: number, peer: number): PlaneContext | undefined {
    return this.#byPair.get(bytes, local, peer);
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
  set(tag: ContextTag, ulids: AddressPair): void {
    this.delete(tag);
    const context: PlaneContext = {
      tag,
      ulids,
      localUlid: addressOctets(ulids.local),
      peerUlid: addressOctets(ulids.peer),
      traffic: new TrafficRecord(),
      flows: new TcpFlows(),
      watched: false,
      mapping: undefined,
    };
    this.#byTag.set(tag, context);
    const pair = pairOctets(ulids);
    this.#byPair.set(pair, 0, ADDRESS_LENGTH, context);
  }

  /** Returns what was removed. The pair goes back to another context of the same ULIDs. */
  delete(tag: ContextTag): PlaneContext | undefined {
    const context = this.#byTag.get(tag);
    if (context === undefined) return undefined;
    this.#byTag.delete(tag);
    const pair = pairOctets(context.ulids);
    if (this.#byPair.get(pair, 0, ADDRESS_LENGTH) !== context) return context;
    this.#byPair.delete(pair, 0, ADDRESS_LENGTH);
    const { local, peer } = context.ulids;
    for (const other of this.#byTag.values()) {
      if (other.ulids.local !== local || other.ulids.peer !== peer) continue;
      this.#byPair.set(pair, 0, ADDRESS_LENGTH, other);
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

function addressOctets(address: Address): Uint8Array {
  const octets = new Uint8Array(ADDRESS_LENGTH);
  writeAddress(address, octets);
  return octets;
}
