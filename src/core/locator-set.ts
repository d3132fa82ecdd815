import type { Address } from "../wire/address.ts";
import type { LocatorListOption, LocatorPreferencesOption, Option } from "../wire/message.ts";
import { failure, type Result, success } from "../wire/result.ts";
import type { LocalLocator, SecurityMode } from "./config.ts";
import { LOCATORS_MAX, METHOD_UNVERIFIED } from "./defaults.ts";
import {
  ERROR_GENERATION,
  ERROR_LOCATOR_VERIFICATION,
  ERROR_PREFERENCE_COUNT,
  LOCATOR_BROKEN,
  LOCATOR_TRANSIENT,
} from "./rfc5533.ts";

/** A locator of the peer's: a row of the paper's table 3. */
export interface PeerLocator {
  readonly address: Address;
  /** Verification method octet (RFC 5533 Table 4); `undefined` for the ULID without a list. */
  readonly method: number | undefined;
  readonly preference: number;
  readonly weight: number;
  readonly transient: boolean;
  readonly broken: boolean;
}

/**
 * The locators to tell the peer about, the ULID first. Without proof the ULID stands alone,
 * because a peer in mode "verified" must not believe any other (RFC 5533 section 7.2).
 */
export function offerLocators(
  security: SecurityMode,
  ulid: Address,
  local: readonly LocalLocator[],
): LocalLocator[] {
  const own = local.find(({ address }) => address === ulid) ?? {
    address: ulid,
    preference: 0,
    operational: true,
  };
  if (security === "verified") return [own];
  const others = local
    .filter(({ address, operational }) => address !== ulid && operational)
    .sort((a, b) => a.preference - b.preference);
  return [own, ...others].slice(0, LOCATORS_MAX);
}

/**
 * What to tell a peer that knows `told` already: locators that we still have stay in their
 * places, marked where they don't work now, those that are gone for good are left out, and new
 * ones come last. The ULID stays first whatever happens to its address.
 */
export function renewOffer(
  security: SecurityMode,
  ulid: Address,
  told: readonly LocalLocator[],
  local: readonly LocalLocator[],
): LocalLocator[] {
  const kept = told.flatMap((known) => {
    const current = local.find(({ address }) => address === known.address);
    if (current !== undefined) return [current];
    return known.address === ulid ? [{ ...known, operational: false }] : [];
  });
  const added = offerLocators(security, ulid, local).filter(
    ({ address }) => !kept.some((known) => known.address === address),
  );
  return [...kept, ...added].slice(0, LOCATORS_MAX);
}

/** The options that carry an offer in I2 and R2; none where only the ULID is offered. */
export function locatorOptions(offer: readonly LocalLocator[], generation: number): Option[] {
  return offer.length < 2 ? [] : listAndPreferences(offer, generation);
}

/** A whole new list; the preferences go with it unless they are equal. */
export function listAndPreferences(offer: readonly LocalLocator[], generation: number): Option[] {
  const list: LocatorListOption = {
    name: "LocatorList",
    critical: false,
    generation,
    locators: offer.map(({ address }) => ({ address, method: METHOD_UNVERIFIED })),
  };
  const [first] = offer;
  const equal = offer.every(
    (locator) => locator.operational && first !== undefined && sameRank(locator, first),
  );
  return equal ? [list] : [list, preferencesOption(offer, generation)];
}

/** Flags, priorities and weights for the list of this generation (RFC 5533 section 5.15.3). */
export function preferencesOption(
  offer: readonly LocalLocator[],
  generation: number,
): LocatorPreferencesOption {
  const weighted = offer.some(({ weight = 0 }) => weight > 0);
  return {
    name: "LocatorPreferences",
    critical: false,
    generation,
    elementLength: weighted ? 3 : 2,
    elements: offer.map((locator) => ({
      flags: flagsOf(locator),
      priority: locator.preference,
      ...(weighted ? { weight: locator.weight ?? 0 } : {}),
    })),
  };
}

function flagsOf({ operational, transient = false }: LocalLocator): number {
  return (operational ? 0 : LOCATOR_BROKEN) | (transient ? LOCATOR_TRANSIENT : 0);
}

export function sameAddresses(a: readonly LocalLocator[], b: readonly LocalLocator[]): boolean {
  return a.length === b.length && a.every(({ address }, i) => address === b[i]?.address);
}

export function sameOffer(a: readonly LocalLocator[], b: readonly LocalLocator[]): boolean {
  return (
    sameAddresses(a, b) &&
    a.every((locator, i) => {
      const other = b[i];
      return (
        other !== undefined && locator.operational === other.operational && sameRank(locator, other)
      );
    })
  );
}

function sameRank(a: LocalLocator, b: LocalLocator): boolean {
  return (
    a.preference === b.preference &&
    (a.weight ?? 0) === (b.weight ?? 0) &&
    (a.transient ?? false) === (b.transient ?? false)
  );
}

/** What a list says of its locators without preferences. */
const UNRANKED = { preference: 0, weight: 0, transient: false, broken: false };

/** A peer's locators, and the generation of the list that they came in. */
export interface PeerLocatorSet {
  readonly locators: readonly PeerLocator[];
  readonly generation: number | undefined;
}

/** Why locators can't be taken: the Error Code, and the option with the offset of the fault in it. */
export interface LocatorFault {
  readonly code: number;
  readonly option: "LocatorList" | "LocatorPreferences";
  readonly offset: number;
}

/** Offsets from an option's Type: its Length, its generation, its first verification method. */
const LENGTH_OFFSET = 2;
const GENERATION_OFFSET = 4;
const METHODS_OFFSET = 9;

/**
 * The peer's locators as the options of I2, I2bis, R2 or an Update Request tell them. Without a
 * list `known` stands, which is the bare ULID at first. A list that can't be believed, and
 * preferences that don't fit it, are a fault: the message is then ignored (RFC 5533 sections
 * 7.2 and 10.4). No HBA or CGA proof is understood yet, so only method 201 in mode
 * "unverified" passes.
 */
export function acceptLocators(
  security: SecurityMode,
  ulid: Address,
  options: readonly Option[],
  known: PeerLocatorSet = { locators: [plainUlid(ulid)], generation: undefined },
): Result<PeerLocatorSet, LocatorFault> {
  const list = options.find((option) => option.name === "LocatorList");
  const preferences = options.find((option) => option.name === "LocatorPreferences");
  const fault = list && findListFault(security, list);
  if (fault !== undefined) return failure(fault);
  const taken = list === undefined ? known : takeList(list);
  if (preferences === undefined) return success(withUlid(ulid, taken));
  if (preferences.generation !== taken.generation) {
    return failure({
      code: ERROR_GENERATION,
      option: "LocatorPreferences",
      offset: GENERATION_OFFSET,
    });
  }
  if (preferences.elements.length !== taken.locators.length) {
    return failure({
      code: ERROR_PREFERENCE_COUNT,
      option: "LocatorPreferences",
      offset: LENGTH_OFFSET,
    });
  }
  return success(withUlid(ulid, takePreferences(taken, preferences)));
}

function findListFault(
  security: SecurityMode,
  { locators }: LocatorListOption,
): LocatorFault | undefined {
  const wrong = locators.findIndex(
    ({ method }, i) => security === "verified" || method !== METHOD_UNVERIFIED || i >= LOCATORS_MAX,
  );
  if (wrong < 0) return undefined;
  return {
    code: ERROR_LOCATOR_VERIFICATION,
    option: "LocatorList",
    offset: METHODS_OFFSET + wrong,
  };
}

function takeList({ generation, locators }: LocatorListOption): PeerLocatorSet {
  return {
    generation,
    locators: locators.map((locator) => ({ ...locator, ...UNRANKED })),
  };
}

function takePreferences(
  { generation, locators }: PeerLocatorSet,
  { elements }: LocatorPreferencesOption,
): PeerLocatorSet {
  return {
    generation,
    locators: locators.map((locator, i) => {
      const { flags, priority = 0, weight = 0 } = elements[i] ?? { flags: 0 };
      const broken = (flags & LOCATOR_BROKEN) !== 0;
      const transient = (flags & LOCATOR_TRANSIENT) !== 0;
      return { ...locator, preference: priority, weight, transient, broken };
    }),
  };
}

/** The ULID is a locator of its host even where the list leaves it out. */
function withUlid(ulid: Address, set: PeerLocatorSet): PeerLocatorSet {
  if (set.locators.some(({ address }) => address === ulid)) return set;
  return { ...set, locators: [plainUlid(ulid), ...set.locators] };
}

export function plainUlid(ulid: Address): PeerLocator {
  return { address: ulid, method: undefined, ...UNRANKED };
}
