import { SEND_TIMEOUT_JITTER } from "../../core/defaults.ts";
import { type AddressPair, sameEnds } from "../../core/output.ts";
import { moveFirst, orderPairs, type PairCandidate } from "../../core/pair-order.ts";
import type {
  ContextStatus,
  LocatorPairStatus,
  StatusReply,
  UplinkStatus,
} from "../../daemon/api.ts";
import { searchTime } from "../../daemon/check/recovery.ts";
import { METHOD_CGA, METHOD_HBA } from "../../identity/methods.ts";
import type { Address } from "../../wire/address.ts";

/** What would happen to a context if its uplink died now. Spans are in seconds. */
export interface UplinkDeath {
  /** The interface that its packets leave by; `null` where no uplink has its local locator. */
  readonly uplink: string | null;
  /** Until it is noticed where packets vanish in silence, at most. A lost link is seen at once. */
  readonly detection: number;
  /** Most silent failures are noticed sooner (`detect`). */
  readonly adaptive: boolean;
  /** The pair that is tried first; `null` where there is none. */
  readonly next: NextPair | null;
  /** How many there are to try, and until the last of them has been, at most. */
  readonly pairs: number;
  readonly exploration: number;
}

export interface NextPair extends LocatorPairStatus {
  readonly uplink: string | null;
  /** How the peer has proven its locator: "ulid" needs no proof, "none" has none. */
  readonly proof: "ulid" | "hba" | "cga" | "none";
  /** The peer has answered an exploration there since it told of the locator. */
  readonly hasAnswered: boolean;
  /** Whether protocol 140 passed both ways in the last survey, and when that was. */
  readonly surveyed: { readonly at: string; readonly passes: boolean | null } | null;
}

/** What the status says that matters here. */
export type Timers = Pick<StatusReply, "sendTimeout" | "detect" | "uplinks">;

export function ifUplinkDied(context: ContextStatus, timers: Timers): UplinkDeath {
  const { sendTimeout, detect, uplinks } = timers;
  const uplink = uplinkOf(context.localLocator, uplinks);
  const pairs = pairsWithout(uplink, context);
  const [first] = pairs;
  return {
    uplink: uplink?.interface ?? null,
    detection: sendTimeout * (1 + SEND_TIMEOUT_JITTER),
    adaptive: detect === "adaptive",
    next: first === undefined ? null : nextPair(first, context, uplinks),
    ...searchTime(pairs.length),
  };
}

export function uplinkOf(
  locator: string,
  uplinks: readonly UplinkStatus[],
): UplinkStatus | undefined {
  return uplinks.find(({ locators }) => locators.includes(locator));
}

/** In the order in which they are tried; where weights draw lots, the likeliest one. */
function pairsWithout(uplink: UplinkStatus | undefined, context: ContextStatus): AddressPair[] {
  const gone = uplink?.locators ?? [context.localLocator];
  const locals = context.localLocators
    .filter(({ address, operational }) => operational && !gone.includes(address))
    .map((locator) => candidate(locator, false));
  const peers = context.peerLocators.map((locator) => candidate(locator, locator.broken));
  const pairs = orderPairs(locals, peers, asPair(context), () => 0.5);
  if (context.preferred === null) return pairs;
  const preferred = asPair(context.preferred);
  if (context.pin === "strict") return pairs.filter((pair) => sameEnds(pair, preferred));
  return moveFirst(pairs, preferred);
}

type Locator = ContextStatus["localLocators" | "peerLocators"][number];

function candidate(locator: Locator, broken: boolean): PairCandidate {
  const { preference, weight, transient } = locator;
  return { address: locator.address as Address, preference, weight, transient, broken };
}

/** The control API has addresses in the text that the core has them in. */
function asPair({ localLocator, peerLocator }: LocatorPairStatus): AddressPair {
  return { local: localLocator as Address, peer: peerLocator as Address };
}

function nextPair(
  pair: AddressPair,
  context: ContextStatus,
  uplinks: readonly UplinkStatus[],
): NextPair {
  const peer = context.peerLocators.find(({ address }) => address === pair.peer);
  return {
    localLocator: pair.local,
    peerLocator: pair.peer,
    uplink: uplinkOf(pair.local, uplinks)?.interface ?? null,
    proof: proofOf(peer?.method ?? null),
    hasAnswered: peer?.reachable ?? false,
    surveyed: surveyOf(pair, context),
  };
}

function proofOf(method: number | null): NextPair["proof"] {
  if (method === null) return "ulid";
  if (method === METHOD_HBA) return "hba";
  return method === METHOD_CGA ? "cga" : "none";
}

function surveyOf(pair: AddressPair, { survey }: ContextStatus): NextPair["surveyed"] {
  const found = survey?.pairs.find((each) => sameEnds(asPair(each), pair));
  if (survey === null || found === undefined) return null;
  return { at: survey.at, passes: found.there === false ? false : found.back };
}
