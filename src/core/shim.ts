import type { Address } from "../wire/address.ts";
import { encodeControl } from "../wire/control.ts";
import { UDP_HEADER_LENGTH } from "../wire/ipv6.ts";
import type { ControlMessage } from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import { BoundedMap } from "./bounded-map.ts";
import type { EndpointConfig, LocalLocator } from "./config.ts";
import type { Context } from "./context.ts";
import { ContextTable } from "./context-table.ts";
import { Counters } from "./counters.ts";
import {
  ANSWERS_BURST,
  ANSWERS_PER_SECOND,
  CACHED_PROOFS,
  EVICTION_CANDIDATES,
  FAIL_BACK_PROBES_BURST,
  FAIL_BACK_PROBES_PER_SECOND,
  UNPROVEN_PACKETS_BURST,
  UNPROVEN_PACKETS_PER_SECOND,
} from "./defaults.ts";
import { LocatorProofs } from "./locator-proofs.ts";
import {
  type AddressPair,
  type CloseCause,
  type ContextEvent,
  isEncapsulated,
  type Output,
} from "./output.ts";
import { PrefixBuckets } from "./prefix-buckets.ts";
import { Random } from "./random.ts";
import { CONTROL_PACKET_MAX } from "./rfc5533.ts";
import type { Duration, Instant } from "./time.ts";
import { TokenBucket } from "./token-bucket.ts";
import { Validator } from "./validator.ts";

/** An event without what every event has in common. */
export type EventDetails = ContextEvent extends infer Event
  ? Event extends ContextEvent
    ? Omit<Event, "at" | "tag" | "ulids">
    : never
  : never;

/** What the parts of an endpoint share: the tables, and the way out. */
export class Shim {
  readonly config: EndpointConfig;
  readonly random: Random;
  readonly counters = new Counters();
  readonly contexts = new ContextTable();
  readonly validator: Validator;
  readonly proofs: LocatorProofs;
  /** The paper's table 2. */
  localLocators: readonly LocalLocator[] = [];
  /** See {@link EndpointConfig.sendTimeout}; can change. */
  sendTimeout: Duration;
  /** For what is answered without a context: nobody can make us send without bound. */
  readonly #answers = new TokenBucket(ANSWERS_PER_SECOND, ANSWERS_BURST);
  /** Of what we begin ourselves, to locators at which their peers have not answered. */
  readonly unprovenPackets = new PrefixBuckets(UNPROVEN_PACKETS_PER_SECOND, UNPROVEN_PACKETS_BURST);
  /** Of the probes that watch better pairs. */
  readonly failBackProbes = new TokenBucket(FAIL_BACK_PROBES_PER_SECOND, FAIL_BACK_PROBES_BURST);
  /** First generations of the lists that were offered. */
  readonly #generations = new BoundedMap<number>(CACHED_PROOFS);
  readonly #outputs: Output[] = [];
  #nextOrder = 0;
  #taken = 0;

  constructor(config: EndpointConfig) {
    this.config = config;
    this.proofs = new LocatorProofs(config.security, config.identity);
    this.sendTimeout = config.sendTimeout;
    this.random = new Random(config.random);
    this.validator = new Validator(config.keyedHash, this.random);
  }

  /** What a peer is told as Keepalive Timeout for a Send Timeout of ours. */
  keepaliveTimeout(sendTimeout: Duration): Duration {
    return Math.min(sendTimeout, this.config.keepaliveTimeout ?? sendTimeout) as Duration;
  }

  /** Octets of a control packet at most (RFC 5533 section 5.1), also where it goes in UDP. */
  get controlRoom(): number {
    const { encapsulation } = this.config;
    return CONTROL_PACKET_MAX - (encapsulation === undefined ? 0 : UDP_HEADER_LENGTH);
  }

  emit(output: Output): void {
    this.#outputs.push(output);
  }

  /** The oldest output not yet taken. */
  take(): Output | undefined {
    const output = this.#outputs[this.#taken];
    if (output !== undefined) {
      this.#taken += 1;
      return output;
    }
    this.#outputs.length = 0;
    this.#taken = 0;
    return undefined;
  }

  /** Sends a control message over a locator pair. */
  send(pair: AddressPair, message: ControlMessage, tag: ContextTag | undefined): void {
    this.counters.add("control-sent");
    const bytes = encodeControl(message);
    const { local: source, peer: destination } = pair;
    const encapsulated = isEncapsulated(pair);
    this.emit({ type: "send", source, destination, encapsulated, bytes, message, tag });
  }

  /** Answers a message that no context vouches for, within the rate for all such answers. */
  answer(now: Instant, pair: AddressPair, message: ControlMessage): void {
    if (this.takeAnswer(now)) this.send(pair, message, undefined);
    else this.counters.add("drop-rate-limit");
  }

  /** Whether one more such answer is within the rate. */
  takeAnswer(now: Instant): boolean {
    return this.#answers.take(now);
  }

  report(now: Instant, context: Context, details: EventDetails): void {
    const { tag, ulids } = context;
    this.emit({ type: "event", event: { at: now, tag, ulids, ...details } });
  }

  /** What `saveContext` gives for the context has changed, or it gives nothing any more. */
  noteChange({ tag }: Context): void {
    this.emit({ type: "save-context", tag });
  }

  /**
   * Random for each list, and the same for all contexts that begin with it, so that one
   * signature serves them all.
   */
  firstGeneration(offer: readonly LocalLocator[]): number {
    const list = offer.map(({ address }) => address).join(" ");
    const known = this.#generations.get(list);
    if (known !== undefined) return known;
    const generation = this.random.uint32();
    this.#generations.set(list, generation);
    return generation;
  }

  /** A nonce that no context has. */
  freshNonce(): number {
    let nonce = this.random.uint32();
    while (this.contexts.byInitiatorNonce(nonce) !== undefined) nonce = this.random.uint32();
    return nonce;
  }

  /** The address serves as a source at this moment. */
  isOperational(address: string): boolean {
    return this.localLocators.some((locator) => locator.address === address && locator.operational);
  }

  /**
   * Makes the data plane know the context's tag.
   * @param order of one that an earlier run told it of; else it comes last
   */
  install(context: Context, order = this.#nextOrder): void {
    if (context.installed) return;
    context.installed = true;
    context.order = order;
    this.#nextOrder = Math.max(this.#nextOrder, order + 1);
    const { tag, ulids, forkedInstance } = context;
    this.emit({ type: "set-context", tag, ulids, forkedInstance });
  }

  /** Makes the data plane forget the context, its mapping included. */
  uninstall(context: Context): void {
    if (!context.installed) return;
    context.installed = false;
    this.emit({ type: "clear-context", tag: context.tag });
    this.noteChange(context);
  }

  /**
   * Room for one more context with the peer. A full table gives it the place of a context of the
   * prefix that has most, when that has more than the peer's would have then: so nobody who
   * fills the table keeps others out. False when there is none.
   */
  makeRoom(now: Instant, peer: Address): boolean {
    const { contexts, config, counters } = this;
    const held = contexts.countOfPrefix(peer);
    if (held >= (config.maxContextsPerPrefix ?? Number.POSITIVE_INFINITY)) {
      counters.add("drop-prefix-limit");
      return false;
    }
    if (contexts.size < config.maxContexts) return true;
    const candidates = contexts.oldestOfLargestPrefix(held + 2, EVICTION_CANDIDATES);
    const [first, ...others] = candidates;
    if (first === undefined) {
      counters.add("drop-context-limit");
      return false;
    }
    const victim = others.reduce((a, b) => (b.lastUsed < a.lastUsed ? b : a), first);
    counters.add("context-evicted");
    this.forget(now, victim, "evicted");
    return true;
  }

  /** Takes the context out of the table; its ULID pair may trigger a new one. */
  forget(now: Instant, context: Context, cause: CloseCause | undefined): void {
    this.uninstall(context);
    this.contexts.remove(context);
    if (context.forkedInstance === 0) this.emit({ type: "arm-trigger", ulids: context.ulids });
    if (cause !== undefined) this.report(now, context, { event: "closed", cause });
  }
}
