import { encodeParameters } from "../identity/parameters.ts";
import { encodeControl } from "../wire/control.ts";
import { toHex } from "../wire/hex.ts";
import { failure, type Result, success } from "../wire/result.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { LocalLocator } from "./config.ts";
import type { Context } from "./context.ts";
import { type PendingUpdate, updateRequest } from "./locator-updates.ts";
import { isEncapsulated } from "./output.ts";
import {
  finite,
  flag,
  list,
  nullable,
  PlainDataError,
  type Reader,
  ranged,
  record,
  whole,
} from "./plain-data.ts";
import {
  ADDRESS,
  COUNT,
  INSTANT,
  OCTET,
  OCTETS,
  PAIR,
  PIN,
  SELECTOR,
  TAG,
  UINT32,
} from "./plain-values.ts";
import type { Duration } from "./time.ts";

/** Of the form below: a change that older or newer releases would misread gets another number. */
const VERSION = 3;

/** What an option can say: 1 to 65,535 s. */
const TIMEOUT = ranged(1000, 65_535_000) as Reader<Duration>;
const LOCATORS = record({ local: ADDRESS, peer: ADDRESS, encapsulated: flag });

const OWN_LOCATORS = list(
  record({
    address: ADDRESS,
    preference: OCTET,
    weight: OCTET,
    transient: flag,
    operational: flag,
  }),
);
const PEER_LOCATORS = list(
  record({
    address: ADDRESS,
    method: nullable(OCTET),
    preference: OCTET,
    weight: OCTET,
    transient: flag,
    broken: flag,
  }),
);

/** What REAP needs to know of the time before a restart. */
const REAP_PAST = record({
  heardAt: INSTANT,
  /** The exploration under way, if there is one. */
  outage: nullable(record({ lastHeard: INSTANT, startedAt: INSTANT, initiative: flag })),
  /** What is left for probes to unproven locators. */
  allowance: record({ packets: finite, octets: finite }),
});

const CONTEXT = record({
  version: whole(VERSION),
  tag: TAG,
  peerTag: TAG,
  ulids: PAIR,
  forkedInstance: UINT32,
  initiator: flag,
  initiatorNonce: UINT32,
  /** The data plane was told of contexts in this order. */
  order: COUNT,
  createdAt: INSTANT,
  establishedAt: INSTANT,
  lastSwitchAt: nullable(INSTANT),
  switches: COUNT,
  locators: LOCATORS,
  mayEncapsulate: flag,
  preferred: nullable(PAIR),
  pin: nullable(PIN),
  selector: nullable(SELECTOR),
  keepaliveTimeout: TIMEOUT,
  sendTimerFactor: ranged(1, 2),
  /** What the peer knows of us, and has acknowledged. */
  told: record({
    locators: OWN_LOCATORS,
    generation: UINT32,
    sendTimeout: TIMEOUT,
    /** The CGA parameters of our ULID, where it has some; never a key. */
    parameters: nullable(OCTETS),
  }),
  /** What it is being told, with the Update Request itself. */
  update: nullable(
    record({
      locators: OWN_LOCATORS,
      generation: UINT32,
      sendTimeout: TIMEOUT,
      request: OCTETS,
    }),
  ),
  peer: record({
    locators: PEER_LOCATORS,
    generation: nullable(UINT32),
    parameters: nullable(OCTETS),
    requestsTaken: list(UINT32),
    /** Those at which it has answered a probe. */
    reachable: list(ADDRESS),
  }),
  reap: REAP_PAST,
});

/** See {@link Reachability.takeUp}. */
export type ReapPast = ReturnType<typeof REAP_PAST>;

/**
 * A context as plain data, for a later run of the daemon to go on with: numbers, strings and
 * lists that JSON keeps. It has no key and no secret but tags and nonces, which are what keeps
 * strangers from speaking in the peer's name.
 */
export type SavedContext = ReturnType<typeof CONTEXT>;

/** One of our locators in a {@link SavedContext}. */
export type SavedLocator = SavedContext["told"]["locators"][number];

/** @returns why it is none, naming the member */
export function readSavedContext(data: unknown): Result<SavedContext, string> {
  const version = (data as { version?: unknown } | null | undefined)?.version;
  if (typeof version === "number" && version !== VERSION) {
    return failure(`its version is ${version}, and this release reads ${VERSION}`);
  }
  try {
    return success(CONTEXT(data, "state"));
  } catch (error) {
    if (error instanceof PlainDataError) return failure(error.message);
    throw error;
  }
}

/** `undefined` for a context that the data plane has not, or not any more: there is nothing to keep. */
export function saveContext(context: Context): SavedContext | undefined {
  const { establishedAt, peerTag, reachability, selector } = context;
  if (reachability === undefined || peerTag === undefined || establishedAt === undefined) {
    return undefined;
  }
  return {
    version: VERSION,
    tag: context.tag,
    peerTag,
    ulids: context.ulids,
    forkedInstance: context.forkedInstance,
    initiator: context.initiator,
    initiatorNonce: context.initiatorNonce,
    order: context.order,
    createdAt: context.createdAt,
    establishedAt,
    lastSwitchAt: context.lastSwitchAt ?? null,
    switches: context.switches,
    locators: { ...context.locators, encapsulated: isEncapsulated(context.locators) },
    mayEncapsulate: context.mayEncapsulate,
    preferred: context.preferred ?? null,
    pin: context.pin ?? null,
    selector: selector ?? null,
    keepaliveTimeout: context.keepaliveTimeout,
    sendTimerFactor: context.sendTimerFactor,
    told: saveTold(context),
    update: saveUpdate(context.update, peerTag),
    peer: savePeer(context),
    reap: reachability.past,
  };
}

function saveTold({ offer, generation, sendTimeout }: Context): SavedContext["told"] {
  const prover = offer[0]?.prover;
  const parameters = prover === undefined ? null : toHex(encodeParameters(prover.parameters));
  return { locators: offer.map(saveLocator), generation, sendTimeout, parameters };
}

function saveUpdate(
  update: PendingUpdate | undefined,
  peerTag: ContextTag,
): SavedContext["update"] {
  if (update === undefined) return null;
  const { offer, generation, sendTimeout } = update;
  const request = toHex(encodeControl(updateRequest(peerTag, update)));
  return { locators: offer.map(saveLocator), generation, sendTimeout, request };
}

function savePeer({ peer, reachable, requestsTaken }: Context): SavedContext["peer"] {
  const { locators, generation = null, parameters } = peer;
  return {
    locators: locators.map((locator) => ({ ...locator, method: locator.method ?? null })),
    generation,
    parameters: parameters === undefined ? null : toHex(encodeParameters(parameters)),
    requestsTaken,
    reachable: [...reachable],
  };
}

function saveLocator(locator: LocalLocator): SavedLocator {
  const { address, preference, operational, weight = 0, transient = false } = locator;
  return { address, preference, weight, transient, operational };
}
