import { decodeParameters, encodeParameters } from "../identity/parameters.ts";
import type { Prover } from "../identity/prove-locators.ts";
import { decodeControl } from "../wire/control.ts";
import { fromHex, toHex } from "../wire/hex.ts";
import { failure, type Result, success } from "../wire/result.ts";
import { formatTag } from "../wire/tag.ts";
import type { LocalLocator } from "./config.ts";
import { Context } from "./context.ts";
import { METHOD_UNVERIFIED } from "./defaults.ts";
import type { PeerLocatorSet } from "./locator-set.ts";
import type { LocatorUpdates, PendingUpdate } from "./locator-updates.ts";
import { inForm } from "./output.ts";
import { Reachability } from "./reachability.ts";
import { readSavedContext, type SavedContext, type SavedLocator } from "./saved-context.ts";
import type { Shim } from "./shim.ts";
import type { Instant } from "./time.ts";

/** A state that could not be taken over. */
export interface RefusedState {
  /** The context's tag, or the state's place in the list where it has none. */
  readonly name: string;
  readonly reason: string;
}

/** Takes contexts over from an earlier run: a bad state costs its own context and no other. */
export class Restoration {
  readonly #shim: Shim;
  readonly #updates: LocatorUpdates;
  readonly #refused: RefusedState[] = [];

  constructor(shim: Shim, updates: LocatorUpdates) {
    this.#shim = shim;
    this.#updates = updates;
  }

  run(now: Instant, states: readonly unknown[]): RefusedState[] {
    const read = states.flatMap((state, i) => this.#read(now, state, i));
    // Of several forks the data plane prefers the one that it was told of last.
    read.sort((a, b) => a.order - b.order);
    for (const saved of read) {
      const made = this.#make(now, saved);
      if (made.ok) this.#takeUp(now, made.value, saved);
      else this.#refused.push({ name: formatTag(saved.tag), reason: made.error });
    }
    return this.#refused;
  }

  #read(now: Instant, state: unknown, index: number): SavedContext[] {
    const read = readSavedContext(state);
    if (!read.ok) {
      this.#refused.push({ name: `number ${index + 1}`, reason: read.error });
      return [];
    }
    if (read.value.establishedAt <= now) return [read.value];
    const reason = "it is of a later time: the clock is another one";
    this.#refused.push({ name: formatTag(read.value.tag), reason });
    return [];
  }

  #make(now: Instant, saved: SavedContext): Result<Context, string> {
    const obstacle = this.#findObstacle(saved);
    if (obstacle !== undefined) return failure(obstacle);
    const prover = this.#proverOf(saved);
    if (!prover.ok) return prover;
    const offer = this.#offerOf(saved.told.locators, prover.value);
    const update = this.#updateOf(now, saved, prover.value);
    if (!update.ok) return update;
    const peer = this.#peerOf(saved);
    if (!peer.ok) return peer;
    if (![offer, update.value?.offer ?? []].every((part) => this.#canProve(part))) {
      return failure("what proves the locators that its peer knows is gone");
    }
    const context = makeContext(saved, offer);
    context.peer = peer.value;
    this.#takeForm(context, saved);
    context.update = update.value;
    return success(context);
  }

  /** This run may not take UDP any more; then the peer's REAP, too, finds what works. */
  #takeForm(context: Context, { locators, mayEncapsulate }: SavedContext): void {
    const takesUdp = this.#shim.config.encapsulation !== undefined;
    context.mayEncapsulate = takesUdp && mayEncapsulate;
    context.locators = inForm(locators, takesUdp && locators.encapsulated);
    context.exchangePair = context.locators;
  }

  #findObstacle(saved: SavedContext): string | undefined {
    const { told, peer, ulids } = saved;
    if (told.locators[0]?.address !== ulids.local) return "our ULID is not its first locator";
    if (!peer.locators.some(({ address }) => address === ulids.peer)) {
      return "the peer's ULID is none of its locators";
    }
    const { contexts, config } = this.#shim;
    if (contexts.byTag(saved.tag) !== undefined) return "another context has its tag";
    if (contexts.byUlids(saved.ulids, saved.forkedInstance) !== undefined) {
      return "another context has its ULIDs";
    }
    if (contexts.byInitiatorNonce(saved.initiatorNonce) !== undefined) {
      return "another context has its initiator nonce";
    }
    const { maxContexts, maxContextsPerPrefix = maxContexts } = config;
    const held = contexts.countOfPrefix(saved.ulids.peer);
    if (contexts.size >= maxContexts || held >= maxContextsPerPrefix) {
      return "there is no room for it";
    }
    return undefined;
  }

  /** As the host has it now, with the key; else what the state has, which proves HBAs alone. */
  #proverOf({ ulids, told }: SavedContext): Result<Prover | undefined, string> {
    const { prover } =
      this.#shim.localLocators.find(({ address }) => address === ulids.local) ?? {};
    if (told.parameters === null) return success(prover);
    if (prover !== undefined && toHex(encodeParameters(prover.parameters)) === told.parameters) {
      return success(prover);
    }
    const parameters = decodeParameters(octets(told.parameters));
    if (!parameters.ok) return failure(`state.told.parameters: ${parameters.error.message}`);
    return success({ parameters: parameters.value });
  }

  /** The ULID stands first; its prover is the one that counts. */
  #offerOf(locators: readonly SavedLocator[], prover: Prover | undefined): LocalLocator[] {
    const [ulid, ...others] = locators;
    if (ulid === undefined) return [];
    return [prover === undefined ? ulid : { ...ulid, prover }, ...others];
  }

  #canProve(offer: readonly LocalLocator[]): boolean {
    const [ulid, ...others] = offer;
    if (ulid === undefined || others.length === 0) return true;
    return offer.every(({ address }) => this.#shim.proofs.methodFor(ulid, address) !== undefined);
  }

  /** It is sent at once, as if for the first time: its nonce stays, so that a late answer counts. */
  #updateOf(
    now: Instant,
    { update }: SavedContext,
    prover: Prover | undefined,
  ): Result<PendingUpdate | undefined, string> {
    if (update === null) return success(undefined);
    const decoded = decodeControl(octets(update.request));
    if (!decoded.ok) return failure(`state.update.request: ${decoded.error.message}`);
    const { message } = decoded.value;
    if (message.type !== "UpdateRequest") return failure("state.update.request is no such message");
    const { generation, sendTimeout, locators } = update;
    return success({
      nonce: message.requestNonce,
      options: message.options,
      offer: this.#offerOf(locators, prover),
      generation,
      sendTimeout,
      sent: 0,
      retransmitAt: now,
    });
  }

  #peerOf({ ulids, peer }: SavedContext): Result<PeerLocatorSet, string> {
    const locators = peer.locators.map((known) => ({
      ...known,
      method: known.method ?? undefined,
    }));
    const isTrusting = this.#shim.config.security === "unverified";
    if (!isTrusting && locators.some(({ method }) => method === METHOD_UNVERIFIED)) {
      return failure("its peer's locators are not proven, and must be now");
    }
    const generation = peer.generation ?? undefined;
    if (peer.parameters === null) return success({ locators, generation, parameters: undefined });
    const option = {
      name: "CgaParameterDataStructure" as const,
      critical: false,
      parameters: octets(peer.parameters),
    };
    const checked = this.#shim.proofs.checkParameters(ulids.peer, [option], undefined);
    if (!checked.ok) return failure("its peer's CGA parameters are not of the peer's ULID");
    return success({ locators, generation, parameters: checked.value });
  }

  #takeUp(now: Instant, context: Context, saved: SavedContext): void {
    const { contexts } = this.#shim;
    contexts.add(context);
    contexts.setPeerTag(context, saved.peerTag);
    context.state = "ESTABLISHED";
    this.#shim.install(context, saved.order);
    context.reachability = new Reachability(now, this.#shim, context);
    context.reachability.takeUp(saved.reap);
    const { locators } = context;
    const { peerTag } = saved;
    this.#shim.report(now, context, { event: "restored", locators, peerTag });
    this.#updates.takeUp(now, context);
    contexts.reschedule(context);
  }
}

function makeContext(saved: SavedContext, offer: readonly LocalLocator[]): Context {
  const { told } = saved;
  const context = new Context({
    tag: saved.tag,
    ulids: saved.ulids,
    forkedInstance: saved.forkedInstance,
    initiator: saved.initiator,
    initiatorNonce: saved.initiatorNonce,
    generation: told.generation,
    sendTimeout: told.sendTimeout,
    sendTimerFactor: saved.sendTimerFactor,
    offer,
    createdAt: saved.createdAt,
  });
  context.establishedAt = saved.establishedAt;
  context.lastSwitchAt = saved.lastSwitchAt ?? undefined;
  context.switches = saved.switches;
  context.preferred = saved.preferred ?? undefined;
  context.pin = saved.pin ?? undefined;
  context.selector = saved.selector ?? undefined;
  context.keepaliveTimeout = saved.keepaliveTimeout;
  context.requestsTaken = saved.peer.requestsTaken;
  for (const address of saved.peer.reachable) context.reachable.add(address);
  return context;
}

function octets(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array();
}
