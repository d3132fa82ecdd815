import { type Address, isMulticast, isUnspecified } from "../wire/address.ts";
import { decodeControl } from "../wire/control.ts";
import { IPV6_HEADER_LENGTH } from "../wire/ipv6.ts";
import type {
  ControlMessage,
  ErrorMessage,
  Keepalive,
  Probe,
  UpdateAcknowledgement,
  UpdateRequest,
} from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { EndpointConfig, LocalLocator } from "./config.ts";
import type { Context } from "./context.ts";
import { outlineContext, viewContext } from "./context-view.ts";
import type { CounterName } from "./counters.ts";
import { findRefused, type Received, sendError } from "./errors.ts";
import type { FlowSelector } from "./flow-selector.ts";
import { Handshake } from "./handshake.ts";
import { findRefusedI1, findUndeliverable, type RefusedI1, refusedI1 } from "./icmp.ts";
import { sameOffer } from "./locator-set.ts";
import { LocatorUpdates } from "./locator-updates.ts";
import { findForeignCriticalOption } from "./options-allowed.ts";
import {
  type AddressPair,
  type Deadline,
  type HostSuspicion,
  inForm,
  type Output,
} from "./output.ts";
import { type RefusedState, Restoration } from "./restoration.ts";
import { ERROR_CRITICAL_OPTION, ERROR_UNKNOWN_TYPE } from "./rfc5533.ts";
import { type SavedContext, saveContext } from "./saved-context.ts";
import { Shim } from "./shim.ts";
import type { SurveyOrder } from "./survey.ts";
import { Surveys } from "./surveys.ts";
import { after, type Duration, type Instant } from "./time.ts";
import type { TrafficSnapshot } from "./traffic.ts";
import type { ContextOutline, ContextView, Pin } from "./view.ts";

/** Of the message type in a control header. */
const TYPE_OFFSET = 2;

/**
 * The host's shim: all contexts, with no clock, randomness or I/O of its own.
 *
 * Call a handler or a command, take every `poll()`, set a timer for `pollTimeout()`. The
 * output "read-traffic" is a question: answer it with `handleTraffic` before going on.
 */
export class Endpoint {
  readonly #shim: Shim;
  readonly #handshake: Handshake;
  readonly #updates: LocatorUpdates;
  readonly #surveys: Surveys;

  constructor(config: EndpointConfig) {
    this.#shim = new Shim(config);
    this.#updates = new LocatorUpdates(this.#shim);
    this.#handshake = new Handshake(this.#shim, this.#updates);
    this.#surveys = new Surveys(this.#shim);
  }

  /** Packets and events by name, among them one for each way a packet is dropped. */
  get counters(): Readonly<Record<CounterName, number>> {
    return this.#shim.counters.values;
  }

  get sendTimeout(): Duration {
    return this.#shim.sendTimeout;
  }

  get localLocators(): readonly LocalLocator[] {
    return this.#shim.localLocators;
  }

  contexts(): ContextView[] {
    return Array.from(this.#shim.contexts.values(), (context) => viewContext(context, this.#shim));
  }

  /** All contexts, the oldest first: for whoever counts them, or looks at each in its own time. */
  outlines(): ContextOutline[] {
    return Array.from(this.#shim.contexts.values(), outlineContext);
  }

  context(tag: ContextTag): ContextView | undefined {
    const context = this.#shim.contexts.byTag(tag);
    return context === undefined ? undefined : viewContext(context, this.#shim);
  }

  /**
   * The context for a later run to {@link restore}: plain data that JSON keeps. `undefined` where
   * there is nothing to keep, as long as it is not established. The output "save-context" says
   * when it has changed.
   */
  snapshot(tag: ContextTag): SavedContext | undefined {
    const context = this.#shim.contexts.byTag(tag);
    return context && saveContext(context);
  }

  /**
   * A Shim6 control message has come in.
   * @param bytes from the Shim6 header to the packet's end
   * @param encapsulated it came in UDP
   */
  handleControl(
    now: Instant,
    source: Address,
    destination: Address,
    bytes: Uint8Array,
    encapsulated = false,
  ): void {
    const { counters } = this.#shim;
    counters.add("control-received");
    const decoded = decodeControl(bytes);
    if (!decoded.ok) return counters.add("drop-malformed");
    if (!decoded.value.checksum.valid) return counters.add("drop-bad-checksum");
    if ([source, destination].some((address) => isMulticast(address) || isUnspecified(address))) {
      return counters.add("drop-bad-address");
    }
    const { message, length, optionOffsets } = decoded.value;
    const arrival = inForm({ local: destination, peer: source }, encapsulated);
    const received = { arrival, bytes: bytes.subarray(0, length), optionOffsets };
    const foreign = findForeignCriticalOption(message);
    if (foreign >= 0) {
      counters.add("drop-critical-option");
      return sendError(
        now,
        this.#shim,
        received,
        ERROR_CRITICAL_OPTION,
        optionOffsets[foreign] ?? 0,
      );
    }
    this.#dispatch(now, message, received);
  }

  /** The data plane saw this ULID pair cross the trigger. */
  handleTrigger(now: Instant, ulids: AddressPair): void {
    this.open(now, ulids);
  }

  /** Answer to the output "read-traffic". */
  handleTraffic(now: Instant, tag: ContextTag, snapshot: TrafficSnapshot): void {
    const context = this.#shim.contexts.byTag(tag);
    const reachability = context?.reachability;
    if (context?.state !== "ESTABLISHED" || reachability === undefined) return;
    const { switches } = context;
    reachability.handleTraffic(now, snapshot);
    this.#surveys.handleTraffic(now, context);
    if (context.switches > switches) this.#updates.handleSwitch(now, context);
    if (after(reachability.lastUsed(), this.#shim.config.contextIdleTimeout) <= now) {
      return this.#shim.forget(now, context, "idle");
    }
    this.#shim.contexts.reschedule(context);
  }

  /** Answer to the output "await-traffic": payload has come or gone, after a long quiet. */
  handleTrafficResumed(_now: Instant, tag: ContextTag): void {
    const context = this.#shim.contexts.byTag(tag);
    if (context?.state === "ESTABLISHED") context.reachability?.handleTrafficResumed();
  }

  /** Payload of a watched context has come in. */
  handleInboundPayload(now: Instant, tag: ContextTag, tagged: boolean): void {
    const context = this.#shim.contexts.byTag(tag);
    if (context === undefined) return;
    if (tagged) this.#handshake.handleTaggedPacket(now, context);
    if (context.state === "ESTABLISHED") context.reachability?.handleInboundPayload();
  }

  /**
   * Payload with a tag that the data plane doesn't know (RFC 5533 section 12.2): either nobody
   * has it, or a context that isn't as far yet, whose packets are discarded.
   */
  handleUnknownTag(
    now: Instant,
    source: Address,
    destination: Address,
    tag: ContextTag,
    encapsulated = false,
  ): void {
    this.#shim.counters.add("drop-unknown-tag");
    const context = this.#shim.contexts.byTag(tag);
    if (context !== undefined && context.holdUntil === undefined) {
      return this.#handshake.handleTaggedPacket(now, context);
    }
    const arrival = inForm({ local: destination, peer: source }, encapsulated);
    this.#handshake.handleUnknownTag(now, tag, arrival);
  }

  /** An ICMPv6 error about a packet of ours; `bytes` from the ICMPv6 header on. */
  handleIcmpError(now: Instant, source: Address, bytes: Uint8Array): void {
    // Our own hints to the ULP come by here too.
    if (this.#shim.localLocators.some(({ address }) => address === source)) return;
    this.#shim.counters.add("icmp-error");
    const returned = refusedI1(bytes);
    if (returned !== undefined) return this.#handleRefusedI1(now, returned);
    const { config, contexts } = this.#shim;
    const suspect = findUndeliverable(bytes, contexts, config.encapsulation?.port);
    if (suspect?.state === "ESTABLISHED") suspect.reachability?.handleSuspicion(now);
  }

  /** The whole set of this host's locators, whenever it or a locator's state changed. */
  handleLocalLocators(now: Instant, locators: readonly LocalLocator[]): void {
    const before = this.#shim.localLocators;
    const sameProvers = locators.every(({ prover }, i) => prover === before[i]?.prover);
    if (sameProvers && sameOffer(locators, before)) return;
    this.#shim.localLocators = locators;
    const current = this.#operational();
    for (const context of this.#shim.contexts.values()) {
      this.#shim.report(now, context, { event: "local-locators-changed", locators: current });
      context.reachability?.handleLocatorsChanged(now);
      if (context.state === "ESTABLISHED") this.#updates.handleLocalChange(now, context);
      this.#shim.contexts.reschedule(context);
    }
  }

  /**
   * Paths from these addresses may have died: contexts that are on one of them explore at once.
   * Payload moves when another pair is confirmed.
   */
  handleHostSuspicion(now: Instant, locals: readonly Address[], cause: HostSuspicion): void {
    for (const context of this.#shim.contexts.values()) {
      if (context.state !== "ESTABLISHED" || !locals.includes(context.locators.local)) continue;
      context.reachability?.handleSuspicion(now, cause);
    }
  }

  /** The instant that `pollTimeout()` named has come. */
  handleTimeout(now: Instant): void {
    this.#surveys.handleTimeout(now);
    for (;;) {
      const context = this.#shim.contexts.popDue(now);
      if (context === undefined) return;
      if (context.state === "ESTABLISHED") this.#handleEstablishedTimeout(now, context);
      else this.#handshake.handleTimeout(now, context);
    }
  }

  /**
   * Takes contexts over from an earlier run, whose data plane may still carry their packets. To
   * be called once the host's locators are known, and before anything else is handled: a peer's
   * message would find its context forgotten.
   * @param states what `snapshot` gave; the monotonic clock must have gone on since then
   * @returns those that could not be taken over, and why
   */
  restore(now: Instant, states: readonly unknown[]): RefusedState[] {
    return new Restoration(this.#shim, this.#updates).run(now, states);
  }

  /** Establishes a context for the pair now. False when there is one already, or a hold-down. */
  open(now: Instant, ulids: AddressPair): boolean {
    if (!this.#shim.isOperational(ulids.local)) {
      this.#shim.counters.add("drop-bad-address");
      return false;
    }
    return this.#handshake.open(now, ulids);
  }

  /**
   * Takes another Send Timeout for all contexts, and tells their peers (RFC 5534 section 5.3).
   * A shorter one holds for a context once its peer has acknowledged it.
   */
  setSendTimeout(now: Instant, sendTimeout: Duration): void {
    if (sendTimeout === this.#shim.sendTimeout) return;
    this.#shim.sendTimeout = sendTimeout;
    for (const context of this.#shim.contexts.values()) {
      if (context.state === "ESTABLISHED") this.#updates.handleLocalChange(now, context);
      this.#shim.contexts.reschedule(context);
    }
  }

  /** Forgets a context (unilaterally, RFC 5533 section 9). False when there is none. */
  close(now: Instant, tag: ContextTag): boolean {
    const context = this.#shim.contexts.byTag(tag);
    if (context === undefined) return false;
    this.#shim.forget(now, context, "command");
    return true;
  }

  /**
   * Makes outbound packets that `selector` fits leave on a context of their own, over
   * `preferred` where that works (RFC 5533 section 4.2). A default context gets a fork; a
   * forked one, also where the peer forked it, carries these packets from now on.
   * @returns the tag of the forked context; `undefined` when `tag` is no ESTABLISHED context,
   *   the pair is not among its own, or there is no room for another context
   */
  fork(
    now: Instant,
    tag: ContextTag,
    selector: FlowSelector,
    preferred?: AddressPair,
  ): ContextTag | undefined {
    const origin = this.#shim.contexts.byTag(tag);
    if (origin?.state !== "ESTABLISHED") return undefined;
    if (preferred !== undefined && !origin.hasPair(preferred)) return undefined;
    const forked = origin.forkedInstance === 0 ? this.#handshake.fork(now, origin) : origin;
    if (forked === undefined) return undefined;
    forked.selector = selector;
    forked.preferred = preferred;
    this.#shim.noteChange(forked);
    forked.reachability?.start();
    return forked.tag;
  }

  /**
   * Uses this locator pair of the context whenever it works, `undefined` for whichever works; ends
   * a pin. The pair is asked at once, and payload moves when it answers.
   * @returns false when there is no such ESTABLISHED context, or the pair is not among its own
   */
  prefer(_now: Instant, tag: ContextTag, pair: AddressPair | undefined): boolean {
    return this.#keepTo(tag, pair, undefined);
  }

  /**
   * Prefers the pair, and lets nothing else take the context off it: "until-failure" but its own
   * failure, after which it comes back; "strict" not even that.
   * @param pair `undefined` for the current one
   * @returns as {@link prefer}
   */
  pin(_now: Instant, tag: ContextTag, pair: AddressPair | undefined, pin: Pin): boolean {
    return this.#keepTo(tag, pair ?? this.#shim.contexts.byTag(tag)?.locators, pin);
  }

  /** Ends a pin. False when there is none. */
  unpin(_now: Instant, tag: ContextTag): boolean {
    if (this.#shim.contexts.byTag(tag)?.pin === undefined) return false;
    return this.#keepTo(tag, undefined, undefined);
  }

  /** Starts an exploration of an Operational context. False when it can't. */
  explore(_now: Instant, tag: ContextTag): boolean {
    const reachability = this.#shim.contexts.byTag(tag)?.reachability;
    if (reachability?.state !== "Operational") return false;
    reachability.explore("command");
    return true;
  }

  /**
   * Tries these locator pairs in both directions, and leaves sessions where they are. The output
   * "surveyed" tells what came of it, a second after the last round at the latest.
   * @returns its number; `undefined` when one of this ULID pair, or too many, are under way
   */
  survey(now: Instant, order: SurveyOrder): number | undefined {
    return this.#surveys.begin(now, order);
  }

  /** The next thing to be done; `undefined` when there is nothing more. */
  poll(): Output | undefined {
    return this.#shim.take();
  }

  /** When to call `handleTimeout`, and why. */
  pollTimeout(): Deadline | undefined {
    const next = this.#shim.contexts.nextDeadline();
    const at = this.#surveys.deadline;
    if (at === undefined || (next !== undefined && next.at <= at)) return next;
    return { at, reason: "survey", tag: undefined };
  }

  #handleRefusedI1(now: Instant, returned: RefusedI1): void {
    if (this.#surveys.handleRefusal(now, returned.message, returned.sent)) return;
    const refused = findRefusedI1(returned, this.#shim.contexts);
    if (refused !== undefined) this.#handshake.handleNoSupport(now, refused);
  }

  #keepTo(tag: ContextTag, pair: AddressPair | undefined, pin: Pin | undefined): boolean {
    const context = this.#shim.contexts.byTag(tag);
    if (context?.state !== "ESTABLISHED") return false;
    if (pair !== undefined && !context.hasPair(pair)) return false;
    context.preferred = pair;
    context.pin = pin;
    this.#shim.noteChange(context);
    context.reachability?.handleChoiceChanged();
    return true;
  }

  #handleEstablishedTimeout(now: Instant, context: Context): void {
    if (context.update !== undefined && context.update.retransmitAt <= now) {
      this.#updates.handleTimeout(now, context);
    }
    context.reachability?.handleTimeout();
  }

  /** RFC 5533 section 12.4. */
  #dispatch(now: Instant, message: ControlMessage, received: Received): void {
    const { arrival } = received;
    switch (message.type) {
      case "I1":
        return this.#handshake.handleI1(now, message, arrival);
      case "R1":
        if (this.#surveys.handleAnswer(now, message, arrival)) return;
        return this.#handshake.handleR1(now, message, arrival);
      case "I2":
        return this.#handshake.handleI2(now, message, received);
      case "R2":
        if (this.#surveys.handleAnswer(now, message, arrival)) return;
        return this.#handshake.handleR2(now, message, received);
      case "R1bis":
        return this.#handshake.handleR1bis(now, message, arrival);
      case "I2bis":
        return this.#handshake.handleI2bis(now, message, received);
      case "Probe":
        return this.#established(now, message, received)?.reachability?.handleProbe(
          message,
          arrival,
        );
      case "Keepalive":
        return this.#established(now, message, received)?.reachability?.handleKeepalive();
      case "UpdateRequest":
        return this.#handleUpdateRequest(now, message, received);
      case "UpdateAcknowledgement":
        return this.#handleUpdateAcknowledgement(now, message, received);
      case "Error":
        return this.#handleError(now, message);
      case "Unknown":
        this.#shim.counters.add("drop-unknown-type");
        return sendError(now, this.#shim, received, ERROR_UNKNOWN_TYPE, TYPE_OFFSET);
    }
  }

  /** Never answered, whatever it says (RFC 5533 section 5.14). */
  #handleError(now: Instant, message: ErrorMessage): void {
    this.#shim.counters.add("error-received");
    const refused = findRefused(message, this.#shim);
    if (refused === undefined) return;
    const { context, message: ours } = refused;
    if (ours.type === "UpdateRequest") this.#updates.handleRefusal(now, context, ours);
    else this.#handshake.handleRefusal(now, context);
    this.#shim.contexts.reschedule(context);
  }

  #handleUpdateRequest(now: Instant, message: UpdateRequest, received: Received): void {
    const context = this.#known(now, message.receiverContextTag, received);
    if (context === undefined) return;
    this.#handshake.handleTaggedPacket(now, context);
    if (context.state !== "I1-SENT") {
      this.#updates.handleRequest(now, context, message, received);
    }
    this.#shim.contexts.reschedule(context);
  }

  #handleUpdateAcknowledgement(
    now: Instant,
    message: UpdateAcknowledgement,
    received: Received,
  ): void {
    const context = this.#known(now, message.receiverContextTag, received);
    if (context === undefined) return;
    // Section 10.5 says R2 here, and means I2 or I2bis (decision 5).
    this.#handshake.handleTaggedPacket(now, context);
    if (context.state !== "I1-SENT") {
      this.#updates.handleAcknowledgement(now, context, message);
    }
    this.#shim.contexts.reschedule(context);
  }

  /** The context of a Probe or Keepalive, when it is ESTABLISHED: only then REAP runs. */
  #established(
    now: Instant,
    { receiverContextTag }: Probe | Keepalive,
    received: Received,
  ): Context | undefined {
    const context = this.#known(now, receiverContextTag, received);
    if (context === undefined || context.state === "ESTABLISHED") return context;
    this.#handshake.handleTaggedPacket(now, context);
    return undefined;
  }

  /**
   * The context of a control message by its tag. An unknown tag, or addresses that don't go
   * with it, is answered by R1bis (RFC 5533 section 12.4).
   */
  #known(now: Instant, tag: ContextTag, received: Received): Context | undefined {
    const { arrival, bytes } = received;
    const context = this.#shim.contexts.byTag(tag);
    const problem = contextProblem(context, arrival);
    if (problem === undefined) {
      context?.allowance.heard(IPV6_HEADER_LENGTH + bytes.length);
      return context;
    }
    this.#shim.counters.add(problem);
    this.#handshake.handleUnknownTag(now, tag, arrival);
    return undefined;
  }

  #operational(): Address[] {
    return this.#shim.localLocators
      .filter(({ operational }) => operational)
      .map(({ address }) => address);
  }
}

/** In E-FAILED and NO-SUPPORT packets are handled as in IDLE (decision 7). */
function contextProblem(
  context: Context | undefined,
  arrival: AddressPair,
): CounterName | undefined {
  if (context === undefined || context.holdUntil !== undefined) return "drop-unknown-context";
  return context.hasPair(arrival) ? undefined : "drop-wrong-locator";
}
