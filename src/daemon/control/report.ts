import type { LocalLocator } from "../../core/config.ts";
import { type AddressPair, isEncapsulated } from "../../core/output.ts";
import type { Instant } from "../../core/time.ts";
import type { TrafficSnapshot } from "../../core/traffic.ts";
import type { ContextOutline, ContextView, WatchedPairView } from "../../core/view.ts";
import type { TriggerPolicy } from "../../dataplane/dataplane.ts";
import type { Address } from "../../wire/address.ts";
import { formatTag } from "../../wire/tag.ts";
import type {
  ContextStatus,
  HostLocator,
  LocatorPairStatus,
  PathStatus,
  PeerSurvey,
  StatusReply,
  UplinkStatus,
  WatchedPairStatus,
} from "../api.ts";
import { type Clock, inSeconds, isoTime } from "../clock.ts";
import type { Uplink } from "../host/uplinks.ts";
import { proofOf } from "../identity/proof.ts";

/** A context in the form of the control API. @param traffic newer than the view's, if any */
export function contextStatus(
  view: ContextView,
  traffic: TrafficSnapshot | undefined,
  clock: Clock,
  survey: PeerSurvey | undefined,
  path: PathStatus | null,
): ContextStatus {
  const figures = traffic ?? view.traffic;
  const time = (at: Instant | undefined) => (at === undefined ? null : isoTime(clock, at));
  return {
    state: view.state,
    reapState: view.reapState ?? null,
    localUlid: view.ulids.local,
    peerUlid: view.ulids.peer,
    ...locatorPair(view.locators),
    preferred: view.preferred === undefined ? null : locatorPair(view.preferred),
    pin: view.pin ?? null,
    survey: survey ?? null,
    betterPairs: view.betterPairs.map((watched) => watchedPair(watched, clock)),
    localTag: formatTag(view.tag),
    peerTag: view.peerTag === undefined ? null : formatTag(view.peerTag),
    forkedInstance: view.forkedInstance,
    selector: view.selector ?? null,
    initiator: view.initiator,
    localLocators: view.localLocators,
    peerLocators: view.peerLocators.map((locator) => ({
      ...locator,
      method: locator.method ?? null,
    })),
    packetsIn: figures?.packetsIn ?? 0,
    packetsOut: figures?.packetsOut ?? 0,
    bytesIn: figures?.bytesIn ?? 0,
    bytesOut: figures?.bytesOut ?? 0,
    lastIn: time(figures?.lastIn),
    lastOut: time(figures?.lastOut),
    createdAt: isoTime(clock, view.createdAt),
    establishedAt: time(view.establishedAt),
    lastSwitchAt: time(view.lastSwitchAt),
    switches: view.switches,
    path,
    probesSent: view.probesSent,
    probesReceived: view.probesReceived,
    keepalivesSent: view.keepalivesSent,
    keepalivesReceived: view.keepalivesReceived,
    next: nextStep(view, clock),
  };
}

function watchedPair(watched: WatchedPairView, clock: Clock): WatchedPairStatus {
  const { locators, failures, next } = watched;
  const { at } = next;
  return {
    ...locatorPair(locators),
    goodFor: inSeconds(watched.goodFor),
    hold: inSeconds(watched.hold),
    failures,
    next: {
      reason: next.reason,
      at: at === undefined ? null : isoTime(clock, at),
      in: at === undefined ? null : inSeconds(Math.max(0, at - clock.now())),
    },
  };
}

export function locatorPair(pair: AddressPair): LocatorPairStatus {
  const { local: localLocator, peer: peerLocator } = pair;
  const addresses = { localLocator, peerLocator };
  return isEncapsulated(pair) ? { ...addresses, encapsulated: true } : addresses;
}

function nextStep(view: ContextView, clock: Clock): ContextStatus["next"] {
  if (view.next === undefined) return null;
  const { reason, at } = view.next;
  return { reason, at: isoTime(clock, at), in: inSeconds(Math.max(0, at - clock.now())) };
}

/** How many contexts are in each state. */
export function countContexts(outlines: readonly ContextOutline[]): StatusReply["contexts"] {
  return {
    total: outlines.length,
    byState: countBy(outlines.map(({ state }) => state)),
    byReapState: countBy(outlines.flatMap(({ reapState }) => reapState ?? [])),
  };
}

function countBy<Key extends string>(keys: readonly Key[]): Partial<Record<Key, number>> {
  const counts: Partial<Record<Key, number>> = {};
  for (const key of keys) counts[key] = (counts[key] ?? 0) + 1;
  return counts;
}

export function triggerStatus({ packets, age }: TriggerPolicy): StatusReply["trigger"] {
  return { packets, age: age === undefined ? null : inSeconds(age) };
}

export function uplinkStatus(uplink: Uplink): UplinkStatus {
  return {
    interface: uplink.interface,
    operational: uplink.problem === undefined,
    problem: uplink.problem ?? null,
    gateway: uplink.gateway ?? null,
    role: uplink.role,
    preference: uplink.preference,
    weight: uplink.weight,
    transient: uplink.transient,
    locators: uplink.locators.map((locator) => locator.address),
  };
}

/** The paper's table 2, uplink by uplink, then the ULIDs that no uplink has any more. */
export function hostLocators(
  uplinks: readonly Uplink[],
  outlines: readonly ContextOutline[],
  locators: readonly LocalLocator[],
): HostLocator[] {
  const present = uplinks.flatMap((uplink) =>
    uplink.locators.map(({ address, preference, operational, problem }) => ({
      address,
      interface: uplink.interface,
      gateway: uplink.gateway ?? null,
      preference,
      weight: uplink.weight,
      transient: uplink.transient,
      operational,
      problem: problem ?? null,
      proof: proofOf(address, locators),
      ...countUsers(outlines, address),
    })),
  );
  const gone = locators
    .filter(({ address }) => !present.some((row) => row.address === address))
    .map(({ address, preference, weight = 0, transient = false }) => ({
      address,
      interface: null,
      gateway: null,
      preference,
      weight,
      transient,
      operational: false,
      problem: "no uplink has this address any more",
      proof: proofOf(address, locators),
      ...countUsers(outlines, address),
    }));
  return [...present, ...gone];
}

function countUsers(outlines: readonly ContextOutline[], address: Address) {
  return {
    ulidOf: outlines.filter(({ ulids }) => ulids.local === address).length,
    locatorOf: outlines.filter(({ locators }) => locators.local === address).length,
  };
}
