import { METHOD_CGA, METHOD_HBA } from "../identity/methods.ts";
import { prefixOf } from "../identity/subnet-prefix.ts";
import type { UlidParameters } from "../identity/verify-locators.ts";
import type { Address } from "../wire/address.ts";
import type { LocatorListOption, LocatorPreferencesOption, Option } from "../wire/message.ts";
import { failure, type Result, success } from "../wire/result.ts";
import type { LocalLocator } from "./config.ts";
import { LOCATORS_MAX } from "./defaults.ts";
import type { LocatorFault, LocatorProofs } from "./locator-proofs.ts";
import {
  ERROR_GENERATION,
  ERROR_PREFERENCE_COUNT,
  LOCATOR_BROKEN,
  LOCATOR_TRANSIENT,
} from "./rfc5533.ts";
import type { Instant } from "./time.ts";

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
 * The locators to tell the peer about, the ULID first. What can't be proven is left out, because
 * the peer must not believe it (RFC 5533 section 7.2); and so is what costs a signature and
 * leads nowhere that an address of the ULID's HBA set doesn't: another address in its network.
 */
export function offerLocators(
  proofs: LocatorProofs,
  ulid: Address,
  local: readonly LocalLocator[],
): LocalLocator[] {
  const own = local.find(({ address }) => address === ulid) ?? {
    address: ulid,
    preference: 0,
    operational: true,
  };
  const rows = [own, ...local.filter(({ address }) => address !== ulid)]
    .filter(({ operational }) => operational)
    .map((locator) => ({ locator, method: proofs.methodFor(own, locator.address) }));
  const covered = new Set(
    rows.flatMap(({ locator, method }) => (method === METHOD_HBA ? prefixOf(locator.address) : [])),
  );
  const others = rows.flatMap(({ locator, method }) => {
    const isDetour = method === METHOD_CGA && covered.has(prefixOf(locator.address));
    return method === undefined || isDetour || locator === own ? [] : [locator];
  });
  others.sort((a, b) => a.preference - b.preference);
  return [own, ...others].slice(0, LOCATORS_MAX);
}

/**
 * What to tell a peer that knows `told` already: locators that we still have stay in their
 * places, marked where they don't work now, those that are gone for good are left out, and new
 * ones come last. The ULID stays first whatever happens to its address.
 */
export function renewOffer(
  proofs: LocatorProofs,
  ulid: Address,
  told: readonly LocalLocator[],
  local: readonly LocalLocator[],
): LocalLocator[] {
  const kept = told.flatMap((known) => {
    const current = local.find(({ address }) => address === known.address);
    if (current === undefined) return known.address === ulid ? [{ ...known, ...GONE }] : [];
    // An address that comes back need not come with what proves the locators of old contexts.
    return [known.prover === undefined ? current : { ...current, prover: known.prover }];
  });
  const added = offerLocators(proofs, ulid, [...kept, ...local]).filter(
    ({ address }) => !kept.some((known) => known.address === address),
  );
  return [...kept, ...added].slice(0, LOCATORS_MAX);
}

const GONE = { operational: false };

/** The options that carry an offer in I2 and R2; none where only the ULID is offered. */
export function locatorOptions(
  proofs: LocatorProofs,
  offer: readonly LocalLocator[],
  generation: number,
): Option[] {
  return offer.length < 2 ? [] : listAndPreferences(proofs, offer, generation);
}

/** A whole new list with its proof; the preferences go with it unless they are equal. */
export function listAndPreferences(
  proofs: LocatorProofs,
  offer: readonly LocalLocator[],
  generation: number,
): Option[] {
  const list = proofs.prove(offer, generation);
  const [first] = offer;
  const equal = offer.every(
    (locator) => locator.operational && first !== undefined && sameRank(locator, first),
  );
  return equal ? list : [...list, preferencesOption(offer, generation)];
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

/** A peer's locators, the generation of the list that they came in, and what proves them. */
export interface PeerLocatorSet {
  readonly locators: readonly PeerLocator[];
  readonly generation: number | undefined;
  readonly parameters: UlidParameters | undefined;
}

/** What is known of a peer that has told nothing. */
export function nothingTold(ulid: Address): PeerLocatorSet {
  return { locators: [plainUlid(ulid)], generation: undefined, parameters: undefined };
}

/** Offsets from an option's Type: its Length, its generation. */
const LENGTH_OFFSET = 2;
const GENERATION_OFFSET = 4;

/**
 * The peer's locators as the options of I2, I2bis, R2 or an Update Request tell them. Without a
 * list `known` stands, which is the bare ULID at first. A list that can't be believed, and
 * preferences that don't fit it, are a fault: the message is then ignored (RFC 5533 sections
 * 7.2, 7.13 and 10.4). What costs least is checked first.
 */
export function acceptLocators(
  now: Instant,
  proofs: LocatorProofs,
  ulid: Address,
  options: readonly Option[],
  known: PeerLocatorSet,
): Result<PeerLocatorSet, LocatorFault> {
  const checked = proofs.checkParameters(ulid, options, known.parameters);
  if (!checked.ok) return checked;
  const parameters = checked.value;
  const list = options.find((option) => option.name === "LocatorList");
  if (list === undefined) return rankLocators(ulid, options, { ...known, parameters });
  const ranked = rankLocators(ulid, options, takeList(list, parameters));
  if (!ranked.ok) return ranked;
  const proven = proofs.checkList(now, list, options, parameters);
  return proven.ok ? ranked : proven;
}

/** The locators with the preferences that the message has for them. */
function rankLocators(
  ulid: Address,
  options: readonly Option[],
  taken: PeerLocatorSet,
): Result<PeerLocatorSet, LocatorFault> {
  const preferences = options.find((option) => option.name === "LocatorPreferences");
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

function takeList(
  { generation, locators }: LocatorListOption,
  parameters: UlidParameters | undefined,
): PeerLocatorSet {
  return {
    generation,
    parameters,
    locators: locators.map((locator) => ({ ...locator, ...UNRANKED })),
  };
}

function takePreferences(
  taken: PeerLocatorSet,
  { elements }: LocatorPreferencesOption,
): PeerLocatorSet {
  return {
    ...taken,
    locators: taken.locators.map((locator, i) => {
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

function plainUlid(ulid: Address): PeerLocator {
  return { address: ulid, method: undefined, ...UNRANKED };
}
