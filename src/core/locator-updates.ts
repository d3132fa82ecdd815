import type {
  KeepaliveTimeoutOption,
  Option,
  UpdateAcknowledgement,
  UpdateRequest,
} from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { LocalLocator } from "./config.ts";
import type { Context } from "./context.ts";
import { type Received, refuseLocators } from "./errors.ts";
import {
  acceptLocators,
  listAndPreferences,
  preferencesOption,
  renewOffer,
  sameAddresses,
  sameOffer,
} from "./locator-set.ts";
import { fitOffer } from "./message-size.ts";
import { MAX_UPDATE_TIMEOUT, UPDATE_TIMEOUT } from "./rfc5533.ts";
import type { Shim } from "./shim.ts";
import { after, type Duration, type Instant, scale, seconds } from "./time.ts";

/** Requests of the peer's that a late copy is recognized by. */
const REQUESTS_MAX = 8;

/** An Update Request that the peer hasn't acknowledged; at most one (RFC 5533 section 10.3). */
export interface PendingUpdate {
  readonly nonce: number;
  readonly offer: readonly LocalLocator[];
  readonly generation: number;
  readonly sendTimeout: Duration;
  readonly options: readonly Option[];
  readonly sent: number;
  readonly retransmitAt: Instant;
}

/** Tells the peer of changes here, and takes those that it tells (RFC 5533 section 10). */
export class LocatorUpdates {
  readonly #shim: Shim;

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  /**
   * Our locators or our Send Timeout have changed: a newer request takes the place of one under
   * way, and has all that the peer has not acknowledged.
   */
  handleLocalChange(now: Instant, context: Context): void {
    const { localLocators, proofs } = this.#shim;
    const told = context.update ?? context;
    const offer = renewOffer(proofs, context.ulids.local, told.offer, localLocators);
    // A host that never sent a list has no generation that preferences could name.
    const listless = offer.length < 2 && told.offer.length < 2;
    this.#request(now, context, listless ? told.offer : offer, false);
  }

  /** The peer can't take our request (RFC 5533 section 10.4): it may need the whole list. */
  handleRefusal(now: Instant, context: Context, refused: UpdateRequest): void {
    const { update } = context;
    if (update?.nonce !== refused.requestNonce) return this.#shim.counters.add("drop-wrong-nonce");
    const hadList = update.options.some(({ name }) => name === "LocatorList");
    if (!hadList && update.offer.length > 1) {
      return this.#request(now, context, update.offer, true);
    }
    // Trying again would bring the same answer: the old set stays.
    this.#shim.counters.add("update-refused");
    context.update = undefined;
    this.#shim.noteChange(context);
  }

  /** The retransmission deadline has come; there is no end to it but the context's. */
  handleTimeout(now: Instant, context: Context): void {
    if (context.update !== undefined) this.#send(now, context, context.update);
  }

  /** The peer begins anew: what it acknowledged or may still acknowledge is told once more. */
  handlePeerRenewed(now: Instant, context: Context): void {
    if (context.update === undefined) return;
    const nonce = this.#shim.random.uint32();
    context.update = { ...context.update, nonce, sent: 0, retransmitAt: now };
    this.#shim.noteChange(context);
  }

  /**
   * The context comes from an earlier run: what has changed since then is told, and what the
   * peer had not acknowledged is told again.
   */
  takeUp(now: Instant, context: Context): void {
    const before = context.update;
    this.handleLocalChange(now, context);
    if (context.update === before) this.handleTimeout(now, context);
  }

  /** Another pair carries packets now: what waits needn't wait longer. */
  handleSwitch(now: Instant, context: Context): void {
    this.handleTimeout(now, context);
  }

  /** RFC 5533 section 10.4; the caller has found the context and checked the addresses. */
  handleRequest(now: Instant, context: Context, message: UpdateRequest, received: Received): void {
    // A late copy: the preferences in it may have been overtaken, and nothing else says so.
    if (context.requestsTaken.includes(message.requestNonce)) {
      return this.#acknowledge(context, message, received);
    }
    const { options } = message;
    const { proofs } = this.#shim;
    const taken = acceptLocators(now, proofs, context.ulids.peer, options, context.peer);
    if (!taken.ok) return refuseLocators(now, this.#shim, message.options, received, taken.error);
    context.peer = taken.value;
    context.requestsTaken = [message.requestNonce, ...context.requestsTaken].slice(0, REQUESTS_MAX);
    const timeout = keepaliveTimeoutIn(message.options);
    if (timeout !== undefined) context.keepaliveTimeout = timeout;
    this.#shim.noteChange(context);
    this.#acknowledge(context, message, received);
    if (context.peerTag === undefined) return;
    context.reachability?.handleLocatorsChanged(now);
    const locators = taken.value.locators.map(({ address }) => address);
    this.#shim.report(now, context, { event: "peer-locators-changed", locators });
  }

  #acknowledge(context: Context, { requestNonce }: UpdateRequest, { arrival }: Received): void {
    if (context.peerTag === undefined) return;
    const acknowledgement: UpdateAcknowledgement = {
      type: "UpdateAcknowledgement",
      receiverContextTag: context.peerTag,
      requestNonce,
      options: [],
    };
    this.#shim.send(arrival, acknowledgement, context.tag);
    context.reachability?.handleControlTraffic("in");
  }

  /** RFC 5533 section 10.5. What the peer knows now can serve from now on. */
  handleAcknowledgement(
    now: Instant,
    context: Context,
    { requestNonce }: UpdateAcknowledgement,
  ): void {
    const { update } = context;
    if (update?.nonce !== requestNonce) return this.#shim.counters.add("drop-wrong-nonce");
    context.offer = update.offer;
    context.generation = update.generation;
    context.sendTimeout = update.sendTimeout;
    context.update = undefined;
    this.#shim.noteChange(context);
    context.reachability?.handleControlTraffic("in");
    context.reachability?.handleLocatorsChanged(now);
  }

  /**
   * Asks the peer to take what it has not been told; with nothing new there is no request.
   * @param whole the whole list again, whatever the peer has been told
   */
  #request(now: Instant, context: Context, offer: readonly LocalLocator[], whole: boolean): void {
    const { sendTimeout } = this.#shim;
    const told = context.update ?? context;
    const isTold = (part: readonly LocalLocator[]) =>
      !whole && sameOffer(part, told.offer) && sendTimeout === told.sendTimeout;
    if (isTold(offer)) return;
    const nonce = this.#shim.random.uint32();
    const generation = nextGeneration(context, offer, whole);
    const fitted = fitOffer(this.#shim.controlRoom, offer, (part): UpdateRequest => {
      const options = this.#changes(context, part, generation);
      const receiverContextTag = context.peerTag ?? context.tag;
      return { type: "UpdateRequest", receiverContextTag, requestNonce: nonce, options };
    });
    // What is new may be what doesn't fit.
    if (isTold(fitted.offer)) return;
    const { options } = fitted.message;
    const request = { nonce, offer: fitted.offer, generation, sendTimeout, options };
    this.#shim.noteChange(context);
    this.#send(now, context, { ...request, sent: 0, retransmitAt: now });
  }

  /** What a request under way says may have arrived, too: it is told anew or taken back. */
  #changes(context: Context, offer: readonly LocalLocator[], generation: number): Option[] {
    const { proofs, sendTimeout } = this.#shim;
    const { update } = context;
    const sameRanks = sameOffer(offer, context.offer) && update === undefined;
    const ranks = sameRanks || offer.length < 2 ? [] : [preferencesOption(offer, generation)];
    const sameList = generation === context.generation;
    const options = sameList ? ranks : listAndPreferences(proofs, offer, generation);
    const sameTimeout =
      sendTimeout === context.sendTimeout && sendTimeout === (update ?? context).sendTimeout;
    if (sameTimeout) return options;
    return [...options, keepaliveTimeoutOption(this.#shim.keepaliveTimeout(sendTimeout))];
  }

  #send(now: Instant, context: Context, update: PendingUpdate): void {
    const sent = update.sent + 1;
    const nominal = Math.min(UPDATE_TIMEOUT * 2 ** (sent - 1), MAX_UPDATE_TIMEOUT) as Duration;
    const timeout = scale(nominal, this.#shim.random.between(0.5, 1.5));
    context.update = { ...update, sent, retransmitAt: after(now, timeout) };
    if (context.peerTag === undefined) return;
    const message = updateRequest(context.peerTag, update);
    this.#shim.send(context.locators, message, context.tag);
    context.reachability?.handleControlTraffic("out");
  }
}

export function updateRequest(
  receiverContextTag: ContextTag,
  { nonce, options }: Pick<PendingUpdate, "nonce" | "options">,
): UpdateRequest {
  return { type: "UpdateRequest", receiverContextTag, requestNonce: nonce, options };
}

/**
 * The generation for an offer: that which the peer knows for the list that it knows, else the
 * next (decision 6). What takes the place of a request under way has a generation of its own, so
 * that the peer can tell which came later.
 */
function nextGeneration(context: Context, offer: readonly LocalLocator[], whole: boolean): number {
  const { generation, update } = context;
  if (sameAddresses(offer, context.offer) && update === undefined && !whole) return generation;
  return ((update?.generation ?? generation) + 1) >>> 0;
}

/** What the peer takes for its Keepalive Timeout, in whole seconds. */
export function keepaliveTimeoutOption(span: Duration): KeepaliveTimeoutOption {
  const timeout = Math.max(1, Math.floor(span / seconds(1)));
  return { name: "KeepaliveTimeout", critical: false, timeout };
}

/** The peer's Send Timeout, where it tells one (RFC 5534 section 5.3). */
export function keepaliveTimeoutIn(options: readonly Option[]): Duration | undefined {
  const option = options.find(
    (candidate): candidate is KeepaliveTimeoutOption => candidate.name === "KeepaliveTimeout",
  );
  return option === undefined || option.timeout === 0 ? undefined : seconds(option.timeout);
}
