import { type Address, isLinkLocal, isMulticast, isUnspecified } from "../wire/address.ts";
import { type AddressPair, pairKey } from "./output.ts";

/** An address that can end a pair, with what orders it. */
export interface PairCandidate {
  readonly address: Address;
  /** The lower, the earlier. */
  readonly preference: number;
  /** Believed not to work: tried after all others. */
  readonly broken: boolean;
}

/**
 * All pairs in the order in which an exploration tries them (RFC 5534 section 4.3): those that
 * share neither address with the failed pair, then those that share one, then the failed pair
 * itself; within that, pairs of locators not known to be broken and of lower preference first.
 */
export function orderPairs(
  locals: readonly PairCandidate[],
  peers: readonly PairCandidate[],
  failed: AddressPair,
): AddressPair[] {
  const ranked = locals.flatMap((local) =>
    peers
      .filter((peer) => sameScope(local.address, peer.address))
      .map((peer) => ({
        pair: { local: local.address, peer: peer.address },
        rank: [
          Number(local.address === failed.local) + Number(peer.address === failed.peer),
          Number(local.broken || peer.broken),
          local.preference + peer.preference,
        ],
      })),
  );
  return ranked.sort((a, b) => compareRanks(a.rank, b.rank)).map(({ pair }) => pair);
}

/** Of pairs that are known to work, the one to use: the current one, else the most preferred. */
export function choosePair(
  working: readonly AddressPair[],
  current: AddressPair,
  locals: readonly PairCandidate[],
  peers: readonly PairCandidate[],
): AddressPair | undefined {
  const keys = new Set(working.map(pairKey));
  if (keys.has(pairKey(current)) && locals.some(({ address }) => address === current.local)) {
    return current;
  }
  const nothingFailed = { local: "" as Address, peer: "" as Address };
  return orderPairs(locals, peers, nothingFailed).find((pair) => keys.has(pairKey(pair)));
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const difference = value - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** RFC 6724 rules out pairs such as a link-local source for a global destination. */
function sameScope(local: Address, peer: Address): boolean {
  const usable = [local, peer].every((address) => !isMulticast(address) && !isUnspecified(address));
  return usable && isLinkLocal(local) === isLinkLocal(peer);
}
