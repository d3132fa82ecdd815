import type { Address } from "../wire/address.ts";
import { IPV6_HEADER_LENGTH } from "../wire/ipv6.ts";
import type { I1, I2, I2bis, Option, R1, R1bis, R2 } from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import { Context } from "./context.ts";
import { REPETITION_INTERVAL, SEND_TIMEOUT_JITTER } from "./defaults.ts";
import { type Received, refuseLocators } from "./errors.ts";
import {
  ESTABLISHMENT,
  type EstablishmentAction,
  type EstablishmentEvent,
} from "./establishment.ts";
import {
  forkedInstanceOf,
  kindOfI1,
  takesUdp,
  ulidsOf,
  validatorInput,
} from "./exchange-claims.ts";
import { HandshakeSender, recoveryInput } from "./handshake-sender.ts";
import { acceptLocators, nothingTold, offerLocators, type PeerLocatorSet } from "./locator-set.ts";
import { keepaliveTimeoutIn, type LocatorUpdates } from "./locator-updates.ts";
import { type AddressPair, type FailureCause, inForm, isEncapsulated, samePair } from "./output.ts";
import { PairChoice } from "./pair-choice.ts";
import { Reachability } from "./reachability.ts";
import {
  I1_RETRIES_MAX,
  I2_RETRIES_MAX,
  I2BIS_RETRIES_MAX,
  ICMP_HOLDDOWN_TIME,
  NO_R1_HOLDDOWN_TIME,
} from "./rfc5533.ts";
import { SEND_TIMEOUT } from "./rfc5534.ts";
import type { Shim } from "./shim.ts";
import { after, between, type Duration, type Instant } from "./time.ts";
import type { ValidatorInput } from "./validator.ts";

/** What I2 and R2 tell about the peer, once believed. */
interface PeerState {
  readonly tag: ContextTag;
  readonly set: PeerLocatorSet;
  readonly keepaliveTimeout: Duration;
  /** It takes UDP, as we do. */
  readonly mayEncapsulate: boolean;
  /** The pair that the exchange has proven to reach the peer, seen from here. */
  readonly proven: AddressPair;
  /** Of the packet. */
  readonly octets: number;
}

/** What an action of the table may need beside the context. */
interface Occasion {
  readonly arrival?: AddressPair;
  /** The nonce that R1 and R2 give back. */
  readonly initiatorNonce?: number;
  /** For R1, which answers without a context. */
  readonly validatorInput?: ValidatorInput;
  /** For R1bis: the tag that nobody has. */
  readonly packetTag?: ContextTag;
  readonly peer?: PeerState;
  readonly cause?: FailureCause;
  readonly holdDown?: Duration;
}

/** The common part of I2 and I2bis. */
type SecondMessage = I2 | I2bis;

/** Carries out the table in establishment.ts (RFC 5533 section 7). */
export class Handshake {
  readonly #shim: Shim;
  readonly #updates: LocatorUpdates;
  readonly #sender: HandshakeSender;

  constructor(shim: Shim, updates: LocatorUpdates) {
    this.#shim = shim;
    this.#updates = updates;
    this.#sender = new HandshakeSender(shim);
  }

  /** RFC 5533 section 7.7. False when there is a context or a hold-down, or no room. */
  open(now: Instant, ulids: AddressPair): boolean {
    const existing = this.#shim.contexts.byUlids(ulids, 0);
    if (existing !== undefined) {
      if (existing.holdUntil !== undefined) this.#shim.counters.add("trigger-held-down");
      return false;
    }
    const context = this.#create(now, ulids, 0, true);
    if (context === undefined) return false;
    this.#run(now, context, "open", {});
    return true;
  }

  /**
   * A further context for the ULID pair of an ESTABLISHED one, with a Forked Instance
   * Identifier that the pair has not yet (RFC 5533 section 7.7). The exchange runs where the
   * origin's payload runs. `undefined` when there is no room.
   */
  fork(now: Instant, { ulids, locators, peer, mayEncapsulate }: Context): Context | undefined {
    const { contexts, random } = this.#shim;
    const forkedInstance = fresh(
      () => random.uint32(),
      (identifier) => identifier !== 0 && contexts.byUlids(ulids, identifier) === undefined,
    );
    const context = this.#create(now, ulids, forkedInstance, true);
    if (context === undefined) return undefined;
    context.exchangePair = locators;
    context.peer = peer;
    context.mayEncapsulate = mayEncapsulate;
    this.#run(now, context, "open", {});
    return context;
  }

  /** RFC 5533 section 7.9. */
  handleI1(now: Instant, message: I1, arrival: AddressPair): void {
    const ulids = ulidsOf(message.options, arrival);
    if (!this.#isOurs(ulids.local)) return this.#shim.counters.add("drop-bad-address");
    const forkedInstance = forkedInstanceOf(message.options);
    const context = this.#shim.contexts.byUlids(ulids, forkedInstance);
    const event = kindOfI1(context, message, arrival);
    if (context !== undefined && event !== "i1") {
      if (!this.#mayAnswerI1(now, context)) return this.#shim.counters.add("drop-rate-limit");
      context.i1AnsweredAt = now;
    }
    this.#run(now, context, event, {
      arrival,
      initiatorNonce: message.initiatorNonce,
      validatorInput: validatorInput(message.initiatorContextTag, ulids, arrival, forkedInstance),
    });
    if (event === "i1-concurrent") this.#noteUdp(now, context, arrival);
  }

  /**
   * Protocol 140 may be dropped, and a firewall at the peer may have dropped our I1 in UDP, which
   * came before the peer's own had opened it: another one leaves now. Once in an exchange, for a
   * stranger can have it sent.
   */
  #noteUdp(now: Instant, context: Context | undefined, arrival: AddressPair): void {
    if (context?.state !== "I1-SENT" || !isEncapsulated(arrival) || context.passesInUdp) return;
    context.passesInUdp = true;
    context.retransmitAt = now;
    this.#shim.contexts.reschedule(context);
  }

  /** An R2 may be twenty times as long as the I1, which anybody can send in the peer's name. */
  #mayAnswerI1(now: Instant, { i1AnsweredAt }: Context): boolean {
    const tooSoon = i1AnsweredAt !== undefined && between(i1AnsweredAt, now) < REPETITION_INTERVAL;
    return !tooSoon && this.#shim.takeAnswer(now);
  }

  /** RFC 5533 section 7.11. */
  handleR1(now: Instant, message: R1, arrival: AddressPair): void {
    const context = this.#shim.contexts.byInitiatorNonce(message.initiatorNonce);
    if (context === undefined || !context.hasPair(arrival)) {
      return this.#shim.counters.add("drop-unknown-context");
    }
    const validator = message.options.find((option) => option.name === "ResponderValidator");
    if (validator === undefined) return this.#shim.counters.add("drop-malformed");
    if (context.state === "I1-SENT") {
      context.proof = { nonce: message.responderNonce, validator: validator.validator };
      context.exchangePair = inForm(context.exchangePair, isEncapsulated(arrival));
    }
    this.#run(now, context, "r1", { arrival });
  }

  /** RFC 5533 section 7.13. */
  handleI2(now: Instant, message: I2, received: Received): void {
    const { arrival } = received;
    const ulids = ulidsOf(message.options, arrival);
    const forkedInstance = forkedInstanceOf(message.options);
    const input = validatorInput(message.initiatorContextTag, ulids, arrival, forkedInstance);
    this.#handleSecond(now, message, received, input, "i2");
  }

  /** RFC 5533 section 7.20. */
  handleI2bis(now: Instant, message: I2bis, received: Received): void {
    const input = recoveryInput(message.packetContextTag, received.arrival);
    this.#handleSecond(now, message, received, input, "i2bis");
  }

  /** First the validator, then everything that costs something. */
  #handleSecond(
    now: Instant,
    message: SecondMessage,
    received: Received,
    input: ValidatorInput,
    event: "i2" | "i2bis",
  ): void {
    const { arrival } = received;
    const ulids = ulidsOf(message.options, arrival);
    if (!this.#isOurs(ulids.local)) return this.#shim.counters.add("drop-bad-address");
    const proof = message.options.find((option) => option.name === "ResponderValidator");
    const { validator } = this.#shim;
    if (!proof || !validator.check(now, message.responderNonce, proof.validator, input)) {
      return this.#shim.counters.add("drop-validator");
    }
    const tag = message.initiatorContextTag;
    // R1 or R1bis went there, and came: without it there is no validator.
    const peer = this.#peerState(now, tag, ulids.peer, message.options, received, arrival);
    if (peer === undefined) return;
    const forkedInstance = forkedInstanceOf(message.options);
    const existing = this.#shim.contexts.byUlids(ulids, forkedInstance);
    const known = [...peer.set.locators, ...(existing?.peerLocators ?? [])];
    if (!known.some(({ address }) => address === arrival.peer)) {
      return this.#shim.counters.add("drop-wrong-locator");
    }
    const context = existing ?? this.#create(now, ulids, forkedInstance, false);
    if (context === undefined) return;
    const { initiatorNonce } = message;
    this.#run(now, context, event, { arrival, initiatorNonce, peer });
  }

  /** RFC 5533 section 7.18; on any pair of the context, because probes run on all of them. */
  handleR1bis(now: Instant, message: R1bis, arrival: AddressPair): void {
    const validator = message.options.find((option) => option.name === "ResponderValidator");
    if (validator === undefined) return this.#shim.counters.add("drop-malformed");
    const { contexts } = this.#shim;
    const context = contexts
      .byPeerTag(message.packetContextTag)
      .find((candidate) => candidate.hasPair(arrival));
    if (context === undefined) return this.#shim.counters.add("drop-unknown-context");
    if (context.state === "ESTABLISHED") {
      context.proof = { nonce: message.responderNonce, validator: validator.validator };
      context.exchangePair = arrival;
      const { locators } = context;
      const others = new PairChoice(this.#shim, context).ordered();
      context.pairsToAsk = [locators, ...others.filter((pair) => !samePair(pair, locators))];
      contexts.setInitiatorNonce(context, this.#shim.freshNonce());
      this.#updates.handlePeerRenewed(now, context);
    }
    this.#run(now, context, "r1bis", { arrival });
  }

  /** A tag that nobody here has, or on addresses that don't go with it (RFC 5533 section 7.17). */
  handleUnknownTag(now: Instant, packetTag: ContextTag, arrival: AddressPair): void {
    if (!this.#isOurs(arrival.local)) return this.#shim.counters.add("drop-bad-address");
    this.#run(now, undefined, "unknown-tag", { arrival, packetTag });
  }

  /**
   * RFC 5533 section 7.16; found by nonce and Ls, because R2 may come on any pair. The nonce shows
   * that the peer is where our message went; where R2 comes from shows nothing.
   */
  handleR2(now: Instant, message: R2, received: Received): void {
    const { arrival } = received;
    const context = this.#shim.contexts.byInitiatorNonce(message.initiatorNonce);
    if (context === undefined || !context.hasPair(arrival)) {
      return this.#shim.counters.add("drop-unknown-context");
    }
    const tag = message.responderContextTag;
    const { exchangePair, ulids } = context;
    const { options } = message;
    const peer = this.#peerState(now, tag, ulids.peer, options, received, exchangePair);
    if (peer === undefined) return;
    this.#run(now, context, "r2", { arrival, peer });
  }

  /**
   * The peer refuses our I1, I2 or I2bis, and quotes it (RFC 5533 section 5.14): trying again
   * would bring the same answer.
   */
  handleRefusal(now: Instant, context: Context): void {
    this.#run(now, context, "refused", { cause: "rejected", holdDown: NO_R1_HOLDDOWN_TIME });
  }

  /** RFC 5533 sections 10.4 and 12.2. */
  handleTaggedPacket(now: Instant, context: Context): void {
    this.#run(now, context, "tagged-packet", {});
  }

  /** ICMPv6 says that the peer doesn't know protocol 140 (RFC 5533 section 7.8). */
  handleNoSupport(now: Instant, context: Context): void {
    this.#run(now, context, "no-support", { cause: "no-support", holdDown: ICMP_HOLDDOWN_TIME });
  }

  /** The context's retransmission or hold-down deadline has come. */
  handleTimeout(now: Instant, context: Context): void {
    if (context.holdUntil !== undefined) return this.#run(now, context, "hold-down-over", {});
    const { state, i1Sent, i2Sent, proof } = context;
    const secondMax = state === "I2BIS-SENT" ? I2BIS_RETRIES_MAX : I2_RETRIES_MAX;
    const retry = state === "I1-SENT" ? i1Sent <= I1_RETRIES_MAX : i2Sent <= secondMax;
    if (retry) return this.#run(now, context, "retransmission-timeout", {});
    if (i1Sent <= I1_RETRIES_MAX) return this.#run(now, context, "i2-unanswered", {});
    const cause = proof === undefined ? "no-answer" : "rejected";
    this.#run(now, context, "attempt-failed", { cause, holdDown: NO_R1_HOLDDOWN_TIME });
  }

  /** One step of the table; without a context the state is IDLE. */
  #run(
    now: Instant,
    context: Context | undefined,
    event: EstablishmentEvent,
    occasion: Occasion,
  ): void {
    const transition = ESTABLISHMENT[event][context?.state ?? "IDLE"];
    if (transition === undefined) {
      this.#shim.counters.add("drop-wrong-state");
      return;
    }
    if (context !== undefined) context.state = transition.next ?? context.state;
    for (const action of transition.actions) this.#act(now, context, action, occasion);
    if (context !== undefined) this.#shim.contexts.reschedule(context);
  }

  #act(
    now: Instant,
    context: Context | undefined,
    action: EstablishmentAction,
    occasion: Occasion,
  ): void {
    if (action === "send-r1") return this.#sendR1(now, occasion);
    if (action === "send-r1bis") return this.#sendR1bis(now, occasion);
    if (context === undefined) throw new Error(`no context for ${action}`);
    switch (action) {
      case "send-i1":
        this.#suspend(context);
        return this.#sender.sendI1(now, context);
      case "send-i2":
        return this.#sender.sendI2(now, context);
      case "send-i2bis":
        return this.#sender.sendI2bis(now, context);
      case "repeat":
        return this.#sender.repeat(now, context);
      case "send-r2":
        return this.#sendR2(context, occasion);
      case "adopt":
        return this.#adopt(now, context, occasion);
      case "hold-down":
        return this.#holdDown(now, context, occasion);
      case "forget":
        return this.#shim.forget(now, context, undefined);
    }
  }

  #sendR1(now: Instant, { arrival, initiatorNonce, validatorInput: input }: Occasion): void {
    if (!arrival || initiatorNonce === undefined || !input) throw new Error("R1 answers an I1");
    this.#sender.sendR1(now, arrival, initiatorNonce, input);
  }

  #sendR1bis(now: Instant, { arrival, packetTag }: Occasion): void {
    if (!arrival || packetTag === undefined) throw new Error("R1bis answers an unknown tag");
    this.#sender.sendR1bis(now, arrival, packetTag);
  }

  #sendR2(context: Context, { arrival, initiatorNonce }: Occasion): void {
    if (!arrival || initiatorNonce === undefined) throw new Error("R2 answers an I1 or I2");
    this.#sender.sendR2(context, arrival, initiatorNonce);
  }

  /** In I1-SENT there is no CT(peer): payload leaves as it is, what has our tag is discarded. */
  #suspend(context: Context): void {
    context.reachability = undefined;
    context.secondSentAt = undefined;
    this.#shim.uninstall(context);
  }

  /** Takes over what the peer said of itself, and starts REAP where the context is new. */
  #adopt(now: Instant, context: Context, { peer }: Occasion): void {
    if (peer === undefined) throw new Error("nothing to adopt");
    this.#shim.contexts.setPeerTag(context, peer.tag);
    context.peer = peer.set;
    context.keepaliveTimeout = peer.keepaliveTimeout;
    context.mayEncapsulate = peer.mayEncapsulate;
    context.allowance.heard(peer.octets);
    this.#shim.noteChange(context);
    this.#resolveConfusion(now, context, peer.tag);
    if (context.state !== "ESTABLISHED") return;
    context.endExchange();
    this.#updates.handlePeerRenewed(now, context);
    if (context.installed) this.#shim.emit({ type: "watch", tag: context.tag, on: false });
    if (context.reachability === undefined) this.#establish(now, context, peer);
    else context.reachability.handlePeerRenewed(peer.proven);
    // What has changed here since our I2, I2bis or R2 left.
    this.#updates.handleLocalChange(now, context);
    const locators = peer.set.locators.map(({ address }) => address);
    this.#shim.report(now, context, { event: "peer-locators-changed", locators });
  }

  /** The exchange has just proven the pair that it ran on; payload may need another at once. */
  #establish(now: Instant, context: Context, { tag: peerTag, proven }: PeerState): void {
    context.locators = proven;
    context.establishedAt = now;
    this.#shim.install(context);
    context.reachability = new Reachability(now, this.#shim, context);
    this.#shim.report(now, context, { event: "established", locators: proven, peerTag });
    context.reachability.start();
  }

  /** RFC 5533 section 7.15: one tag of one peer names one context; the older one is gone. */
  #resolveConfusion(now: Instant, context: Context, peerTag: ContextTag): void {
    const addresses = new Set(context.peerLocators.map(({ address }) => address));
    for (const other of this.#shim.contexts.byPeerTag(peerTag)) {
      if (other === context) continue;
      if (other.state !== "ESTABLISHED" && other.state !== "I2BIS-SENT") continue;
      if (!other.peerLocators.some(({ address }) => addresses.has(address))) continue;
      this.#shim.counters.add("context-confusion");
      this.#shim.forget(now, other, "confusion");
    }
  }

  #holdDown(now: Instant, context: Context, { cause, holdDown }: Occasion): void {
    const holdUntil = after(now, holdDown ?? NO_R1_HOLDDOWN_TIME);
    context.retransmitAt = undefined;
    context.holdUntil = holdUntil;
    this.#suspend(context);
    this.#shim.report(now, context, { event: "failed", cause: cause ?? "no-answer", holdUntil });
  }

  #create(
    now: Instant,
    ulids: AddressPair,
    forkedInstance: number,
    initiator: boolean,
  ): Context | undefined {
    const { contexts, random, localLocators, proofs, sendTimeout } = this.#shim;
    if (!this.#shim.makeRoom(now, ulids.peer)) return undefined;
    const offer = offerLocators(proofs, ulids.local, localLocators);
    const context = new Context({
      tag: fresh(
        () => random.tag(),
        (tag) => contexts.byTag(tag) === undefined,
      ),
      initiatorNonce: this.#shim.freshNonce(),
      ulids,
      forkedInstance,
      initiator,
      generation: this.#shim.firstGeneration(offer),
      sendTimeout,
      sendTimerFactor: random.between(1, 1 + SEND_TIMEOUT_JITTER),
      offer,
      createdAt: now,
    });
    contexts.add(context);
    return context;
  }

  #isOurs(address: Address): boolean {
    return this.#shim.localLocators.some((locator) => locator.address === address);
  }

  /** `undefined` when its locators can't be believed; the peer is told so. */
  #peerState(
    now: Instant,
    tag: ContextTag,
    ulid: Address,
    options: readonly Option[],
    received: Received,
    proven: AddressPair,
  ): PeerState | undefined {
    const accepted = acceptLocators(now, this.#shim.proofs, ulid, options, nothingTold(ulid));
    if (!accepted.ok) {
      refuseLocators(now, this.#shim, options, received, accepted.error);
      return undefined;
    }
    const keepaliveTimeout = keepaliveTimeoutIn(options) ?? SEND_TIMEOUT;
    const octets = IPV6_HEADER_LENGTH + received.bytes.length;
    const mayEncapsulate = takesUdp(options, this.#shim.config.encapsulation?.port);
    return { tag, set: accepted.value, keepaliveTimeout, mayEncapsulate, proven, octets };
  }
}

/** A value that is not taken: tags and nonces are unique on the host. */
function fresh<Value>(make: () => Value, isFree: (value: Value) => boolean): Value {
  let value = make();
  while (!isFree(value)) value = make();
  return value;
}
