import type { I1, I2, I2bis, Option, R1, R1bis, R2 } from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { LocalLocator } from "./config.ts";
import type { Context, ResponderProof } from "./context.ts";
import { REPETITION_INTERVAL } from "./defaults.ts";
import { locatorOptions } from "./locator-set.ts";
import { keepaliveTimeoutOption } from "./locator-updates.ts";
import { fitOffer } from "./message-size.ts";
import { type AddressPair, inForm, isEncapsulated, sameEnds } from "./output.ts";
import { I1_TIMEOUT, I2_TIMEOUT, I2BIS_TIMEOUT } from "./rfc5533.ts";
import { SEND_TIMEOUT } from "./rfc5534.ts";
import type { Shim } from "./shim.ts";
import { after, between, type Duration, type Instant, scale } from "./time.ts";
import type { ValidatorInput } from "./validator.ts";

/** Makes and sends the messages of an exchange, and sets its retransmission timer. */
export class HandshakeSender {
  readonly #shim: Shim;

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  sendI1(now: Instant, context: Context): void {
    context.i1Sent += 1;
    this.#changePair(context);
    context.i2Sent = 0;
    context.retransmitAt = this.#backOff(now, I1_TIMEOUT, context.i1Sent);
    const message: I1 = {
      type: "I1",
      initiatorContextTag: context.tag,
      initiatorNonce: context.initiatorNonce,
      options: identityOptions(context),
    };
    this.#ask(now, context, message);
  }

  sendI2(now: Instant, context: Context): void {
    context.i2Sent += 1;
    context.retransmitAt = this.#backOff(now, I2_TIMEOUT, context.i2Sent);
    this.#shim.install(context);
    this.#sendSecond(now, context);
  }

  sendI2bis(now: Instant, context: Context): void {
    context.i2Sent += 1;
    context.retransmitAt = this.#backOff(now, I2BIS_TIMEOUT, context.i2Sent);
    this.#sendSecond(now, context);
  }

  /** The peer has our tag, so that its R2 was lost; but not once more for each of its packets. */
  repeat(now: Instant, context: Context): void {
    if (between(context.secondSentAt ?? now, now) >= REPETITION_INTERVAL) {
      this.#sendSecond(now, context);
    }
  }

  #sendSecond(now: Instant, context: Context): void {
    const { proof, tag } = context;
    if (proof === undefined) throw new Error("I2 and I2bis give back what R1 and R1bis gave");
    if (context.secondSentAt === undefined) {
      this.#shim.emit({ type: "watch", tag, on: true });
    }
    context.secondSentAt = now;
    const { message, offer } = fitOffer(this.#shim.controlRoom, context.offer, (part) =>
      this.#second(context, proof, part),
    );
    context.offer = offer;
    this.#ask(now, context, message);
  }

  /** Whoever names a victim as its locator can have us ask there: see `unprovenPackets`. */
  #ask(now: Instant, context: Context, message: I1 | I2 | I2bis): void {
    const { exchangePair, tag } = context;
    const { peer } = exchangePair;
    if (!context.isProvenAt(peer) && !this.#shim.unprovenPackets.take(now, peer)) {
      return this.#shim.counters.add("drop-probe-allowance");
    }
    this.#shim.send(exchangePair, message, tag);
  }

  /**
   * An R1bis that was forged names any pair, also one that is dead, and a pair may die meanwhile:
   * once I2bis has had no answer, each I1 goes over another pair, first over the payload's.
   */
  #changePair(context: Context): void {
    const [next, ...others] = context.pairsToAsk;
    if (next === undefined) return this.#changeForm(context);
    context.pairsToAsk = [...others, next];
    context.exchangePair = next;
    this.#shim.contexts.setInitiatorNonce(context, this.#shim.freshNonce());
  }

  /** Where the path drops protocol 140 UDP may pass: I1s take turns. */
  #changeForm(context: Context): void {
    if (this.#shim.config.encapsulation === undefined || context.i1Sent === 1) return;
    const { exchangePair, passesInUdp } = context;
    context.exchangePair = inForm(exchangePair, passesInUdp || !isEncapsulated(exchangePair));
  }

  #second(context: Context, proof: ResponderProof, offer: readonly LocalLocator[]): I2 | I2bis {
    const { initiatorNonce, peerTag, state, tag } = context;
    const { nonce: responderNonce, validator } = proof;
    const options: Option[] = [
      { name: "ResponderValidator", critical: false, validator },
      ...identityOptions(context),
      ...this.#ownOptions(context, offer),
    ];
    const common = { initiatorContextTag: tag, initiatorNonce, responderNonce, options };
    if (state === "I2-SENT") return { type: "I2", ...common };
    if (peerTag === undefined) throw new Error("I2bis needs CT(peer)");
    return { type: "I2bis", packetContextTag: peerTag, ...common };
  }

  /** Without a context: all that the responder keeps is in the validator (section 7.10). */
  sendR1(now: Instant, arrival: AddressPair, initiatorNonce: number, input: ValidatorInput): void {
    const { nonce, validator } = this.#shim.validator.create(now, input);
    const message: R1 = {
      type: "R1",
      initiatorNonce,
      responderNonce: nonce,
      options: [{ name: "ResponderValidator", critical: false, validator }],
    };
    this.#shim.answer(now, arrival, message);
  }

  sendR1bis(now: Instant, arrival: AddressPair, packetTag: ContextTag): void {
    const input = recoveryInput(packetTag, arrival);
    const { nonce, validator } = this.#shim.validator.create(now, input);
    const message: R1bis = {
      type: "R1bis",
      packetContextTag: packetTag,
      responderNonce: nonce,
      options: [{ name: "ResponderValidator", critical: false, validator }],
    };
    this.#shim.answer(now, arrival, message);
  }

  sendR2(context: Context, arrival: AddressPair, initiatorNonce: number): void {
    const { message, offer } = fitOffer(this.#shim.controlRoom, context.offer, (part): R2 => {
      const options = this.#ownOptions(context, part);
      return { type: "R2", responderContextTag: context.tag, initiatorNonce, options };
    });
    context.offer = offer;
    this.#shim.send(arrival, message, context.tag);
  }

  /** Binary exponential back-off, then a factor of 0.5 to 1.5 (RFC 5533 section 14). */
  #backOff(now: Instant, timeout: Duration, sent: number): Instant {
    const nominal = scale(timeout, 2 ** (sent - 1));
    return after(now, scale(nominal, this.#shim.random.between(0.5, 1.5)));
  }

  /**
   * Our locators, the peer's Keepalive Timeout where it isn't the default (RFC 5534 section 5.3),
   * and whether we take UDP.
   */
  #ownOptions({ generation, sendTimeout }: Context, offer: readonly LocalLocator[]): Option[] {
    const { config, proofs } = this.#shim;
    const options = locatorOptions(proofs, offer, generation);
    const keepaliveTimeout = this.#shim.keepaliveTimeout(sendTimeout);
    if (keepaliveTimeout !== SEND_TIMEOUT) options.push(keepaliveTimeoutOption(keepaliveTimeout));
    if (config.encapsulation === undefined) return options;
    const { port } = config.encapsulation;
    return [...options, { name: "UdpEncapsulation", critical: false, port }];
  }
}

/** What I1, I2 and I2bis need where addresses and FII zero don't name the context. */
function identityOptions({ exchangePair, forkedInstance, ulids }: Context): Option[] {
  const options: Option[] = [];
  if (!sameEnds(exchangePair, ulids)) {
    const { local: senderUlid, peer: receiverUlid } = ulids;
    options.push({ name: "UlidPair", critical: false, senderUlid, receiverUlid });
  }
  if (forkedInstance !== 0) {
    const identifier = forkedInstance;
    options.push({ name: "ForkedInstanceIdentifier", critical: false, identifier });
  }
  return options;
}

/** What R1bis is bound to (RFC 5533 section 7.17.1). */
export function recoveryInput(packetTag: ContextTag, arrival: AddressPair): ValidatorInput {
  return {
    exchange: "recovery",
    packetTag,
    initiatorLocator: arrival.peer,
    responderLocator: arrival.local,
  };
}
