import { type AddressPair, pairKey, samePair } from "../core/output.ts";
import { between, type Duration, type Instant, latest } from "../core/time.ts";
import type { ContextView } from "../core/view.ts";
import { type ContextTag, formatTag } from "../wire/tag.ts";
import type { Host } from "./host.ts";
import type { Packet } from "./packet.ts";

/** What must hold in every run. */
export type InvariantName =
  | "payload-to-right-ulids"
  | "no-exception"
  | "no-leak"
  | "mapping-agrees"
  | "output-bounded"
  | "probes-bounded"
  | "returns-damped"
  | "flow-recovers";

/** An invariant that did not hold: ends the run. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
  readonly invariant: InvariantName;
  /** The hosts concerned: where shrinking looks first. */
  readonly hosts: readonly string[];

  constructor(
    invariant: InvariantName,
    hosts: readonly string[],
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.invariant = invariant;
    this.hosts = hosts;
  }
}

/** Outputs that one input may cause: so many, and so many more for each context. */
const OUTPUTS_PER_INPUT = 64;
const OUTPUTS_PER_CONTEXT = 16;

export function checkOutputs(host: Host, outputs: number): void {
  const limit = OUTPUTS_PER_INPUT + OUTPUTS_PER_CONTEXT * host.plane.size;
  if (outputs <= limit) return;
  const message = `one input caused more than ${limit} outputs at ${host.name}`;
  throw new InvariantViolation("output-bounded", [host.name], message);
}

/**
 * Probes that a context may send in a minute: its own every half second, as an exploration
 * begins (RFC 5534 section 4.3), and as many answers to the peer's. Only links that flap all the
 * time come near; an exploration that nothing disturbs sends 9 in its first minute.
 */
const PROBES_PER_MINUTE = 240;

/** @param probes sent by each context in the last minute */
export function checkProbes(host: Host, probes: ReadonlyMap<ContextTag, number>): void {
  for (const [tag, count] of probes) {
    if (count <= PROBES_PER_MINUTE) continue;
    const message = `${host.name}'s context ${formatTag(tag)} sent ${count} probes in a minute`;
    throw new InvariantViolation("probes-bounded", [host.name], message);
  }
}

/** Payload reaches the sockets that it was sent between, and no others. */
export function checkDelivery(host: Host, packet: Packet, ulids: AddressPair): void {
  if (packet.type !== "payload") return;
  const { local, peer } = packet.payload.ulids;
  if (samePair(ulids, { local: peer, peer: local })) return;
  const message =
    `payload from ${local} to ${peer} came to ${host.name} ` +
    `as from ${ulids.peer} to ${ulids.local}`;
  throw new InvariantViolation("payload-to-right-ulids", [host.name], message);
}

/**
 * Once quiet: the data plane does what the endpoint thinks, and where both ends have a context
 * ESTABLISHED for a ULID pair, each knows the other's tag. One end alone may have one: the other
 * may have collected or lost it, and R1bis waits for the next packet.
 */
export function checkAgreement(hosts: readonly Host[], ownerOf: (pair: AddressPair) => Host): void {
  for (const host of hosts) {
    for (const context of host.endpoint.contexts()) {
      if (context.state !== "ESTABLISHED") continue;
      checkMapping(host, context);
      checkTags(host, context, ownerOf(context.ulids));
    }
  }
}

function checkMapping(host: Host, context: ContextView): void {
  const { ulids, locators, peerTag, forkedInstance } = context;
  const mapping = host.plane.mappingOf(context.tag);
  const isNull = samePair(ulids, locators) && forkedInstance === 0;
  const agrees =
    mapping === undefined
      ? isNull
      : !isNull &&
        mapping.peerTag === peerTag &&
        samePair(mapping.locators, locators) &&
        samePair(mapping.ulids, ulids);
  if (agrees) return;
  const message =
    `${host.name}'s data plane does not send ${pairKey(ulids)} over ${pairKey(locators)} ` +
    "as its endpoint thinks";
  throw new InvariantViolation("mapping-agrees", [host.name], message);
}

function checkTags(host: Host, context: ContextView, peer: Host): void {
  const { local, peer: remote } = context.ulids;
  const opposite = peer.endpoint
    .contexts()
    .find(({ ulids }) => samePair(ulids, { local: remote, peer: local }));
  if (opposite?.state !== "ESTABLISHED" || opposite.tag === context.peerTag) return;
  const message =
    `${host.name} takes ${context.peerTag === undefined ? "nothing" : formatTag(context.peerTag)} ` +
    `for ${peer.name}'s tag of ${local} and ${remote}, which is ${formatTag(opposite.tag)}`;
  throw new InvariantViolation("mapping-agrees", [host.name, peer.name], message);
}

/**
 * No context outlives its use.
 * @param lastUse when an application used a ULID pair last
 * @param bound how long a context may live after that, or after it was established: an end that
 *   explores revives the context that the other has just forgotten
 */
export function checkCollected(
  host: Host,
  now: Instant,
  lastUse: (ulids: AddressPair) => Instant,
  bound: Duration,
): void {
  if (!host.isUp) return;
  for (const { tag, state, ulids, createdAt, establishedAt } of host.endpoint.contexts()) {
    const since = latest(createdAt, establishedAt, lastUse(ulids));
    if (between(since, now) <= bound) continue;
    const message = `${host.name} keeps the context ${formatTag(tag)} (${state}) that nothing uses`;
    throw new InvariantViolation("no-leak", [host.name], message);
  }
}

/** Long after the last packet nothing is left at the endpoint or in its data plane. */
export function checkEmpty(host: Host): void {
  const contexts = host.endpoint.contexts();
  if (contexts.length === 0 && host.plane.size === 0) return;
  const states = contexts.map(({ tag, state }) => `${formatTag(tag)} ${state}`).join(", ");
  const message =
    `${host.name} still has ${contexts.length} contexts (${states}) ` +
    `and ${host.plane.size} records in its data plane`;
  throw new InvariantViolation("no-leak", [host.name], message);
}
