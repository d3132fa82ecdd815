import { type Address, isLinkLocal, isMulticast, isUnspecified } from "../wire/address.ts";
import { type AddressPair, inForm, pairKey, samePair } from "./output.ts";

/** An address that can end a pair, with what orders it. */
export interface PairCandidate {
  readonly address: Address;
  /** The lower, the earlier, as the Priority of DNS SRV. */
  readonly preference: number;
  /** Its share among those of one preference, as the Weight of DNS SRV; 0 for no share. */
  readonly weight: number;
  /** Less stable than others of its preference (RFC 5533 section 5.15.3). */
  readonly transient: boolean;
  /** Believed not to work: tried after all others. */
  readonly broken: boolean;
}

/** Uniform in [0, 1). */
export type Draw = () => number;

/** RFC 2782: beside others that have one, a weight of 0 shall have a very small chance. */
const NO_WEIGHT = 0.1;

interface RankedPair {
  readonly pair: AddressPair;
  readonly rank: readonly number[];
}

/**
 * All pairs in the order in which an exploration tries them (RFC 5534 section 4.3): those that
 * share neither address with the failed pair, then those that share one, then the failed pair
 * itself; within that, pairs of locators not known to be broken, of lower preference, and not
 * transient, and without UDP first. Among equals weights draw lots, so that many contexts spread by weight;
 * without weights the order of the lists holds, and nothing is drawn.
 */
export function orderPairs(
  locals: readonly PairCandidate[],
  peers: readonly PairCandidate[],
  failed: AddressPair | undefined,
  draw: Draw,
  mayEncapsulate = false,
): AddressPair[] {
  const lotOfLocal = lots(locals);
  const lotOfPeer = lots(peers);
  const weighted = lotOfLocal !== undefined || lotOfPeer !== undefined;
  const lot = (local: PairCandidate, peer: PairCandidate): number => {
    if (!weighted) return 0;
    return -Math.log(1 - draw()) / ((lotOfLocal?.(local) ?? 1) * (lotOfPeer?.(peer) ?? 1));
  };
  return rankPairs(locals, peers, mayEncapsulate, (local, peer, encapsulated) => [
    Number(local.address === failed?.local) + Number(peer.address === failed?.peer),
    ...standing(local, peer),
    Number(encapsulated),
    lot(local, peer),
  ]).map(({ pair }) => pair);
}

/**
 * The pairs that locator preferences put before `current`, the best first; none that is known to
 * be broken. Among equals the ULIDs themselves come first: packets between them need no header;
 * then those without UDP.
 * Lots are drawn for a new pair only; whoever has one keeps it.
 */
export function betterPairs(
  locals: readonly PairCandidate[],
  peers: readonly PairCandidate[],
  current: AddressPair,
  ulids: AddressPair,
  mayEncapsulate = false,
): AddressPair[] {
  const ranked = rankPairs(
    locals,
    peers.filter(({ broken }) => !broken),
    mayEncapsulate,
    (local, peer, encapsulated) => [
      ...standing(local, peer),
      Number(local.address !== ulids.local || peer.address !== ulids.peer),
      Number(encapsulated),
    ],
  );
  const own = ranked.find(({ pair }) => samePair(pair, current))?.rank;
  if (own === undefined) return [];
  return ranked.filter(({ rank }) => compareRanks(rank, own) < 0).map(({ pair }) => pair);
}

/** What both ends know of a pair, so that they see the same order. */
function standing(local: PairCandidate, peer: PairCandidate): number[] {
  return [
    Number(local.broken || peer.broken),
    local.preference + peer.preference,
    Number(local.transient) + Number(peer.transient),
  ];
}

function rankPairs(
  locals: readonly PairCandidate[],
  peers: readonly PairCandidate[],
  mayEncapsulate: boolean,
  rank: (local: PairCandidate, peer: PairCandidate, encapsulated: boolean) => readonly number[],
): RankedPair[] {
  const forms = mayEncapsulate ? [false, true] : [false];
  const ranked = locals.flatMap((local) =>
    peers
      .filter((peer) => sameScope(local.address, peer.address))
      .flatMap((peer) => {
        const pair = { local: local.address, peer: peer.address };
        return forms.map((encapsulated): RankedPair => {
          return { pair: inForm(pair, encapsulated), rank: rank(local, peer, encapsulated) };
        });
      }),
  );
  return ranked.sort((a, b) => compareRanks(a.rank, b.rank));
}

/** Of pairs that are known to work, the one to use: the first wanted one, else the best. */
export function choosePair(
  working: readonly AddressPair[],
  wanted: readonly AddressPair[],
  locals: readonly PairCandidate[],
  peers: readonly PairCandidate[],
  draw: Draw,
  mayEncapsulate = false,
): AddressPair | undefined {
  const keys = new Set(working.map(pairKey));
  const first = wanted.find(
    (pair) => keys.has(pairKey(pair)) && locals.some(({ address }) => address === pair.local),
  );
  if (first !== undefined) return first;
  return orderPairs(locals, peers, undefined, draw, mayEncapsulate).find((pair) =>
    keys.has(pairKey(pair)),
  );
}

/** The pairs with this one first, when it is among them. */
export function moveFirst(pairs: readonly AddressPair[], first: AddressPair): AddressPair[] {
  const others = pairs.filter((pair) => !samePair(pair, first));
  return others.length === pairs.length ? [...pairs] : [first, ...others];
}

/** How many lots a locator has; `undefined` when none of them has a weight. */
function lots(
  candidates: readonly PairCandidate[],
): ((candidate: PairCandidate) => number) | undefined {
  if (candidates.every(({ weight }) => weight === 0)) return undefined;
  return ({ weight }) => Math.max(weight, NO_WEIGHT);
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
