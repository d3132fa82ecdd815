import type { Endpoint } from "../core/endpoint.ts";
import type { AddressPair, ContextEvent, DeadlineReason, Output } from "../core/output.ts";
import type { SurveyedPair } from "../core/survey.ts";
import type { Instant } from "../core/time.ts";
import type { TrafficSnapshot } from "../core/traffic.ts";
import type { DataPlane, DataPlaneEvents } from "../dataplane/dataplane.ts";
import { type ContextTag, formatTag } from "../wire/tag.ts";
import type { Clock } from "./clock.ts";

export type SendOutput = Extract<Output, { readonly type: "send" }>;

/** Why there is a step. */
export type StepCause =
  | "trigger"
  | "control message"
  | "unknown tag"
  | "payload"
  | "ICMPv6 error"
  | "command"
  | `timer: ${DeadlineReason}`;

/** What the driver tells the rest of the daemon. */
export interface DriverObserver {
  /** All that comes until the next one, or until `stepEnded`, has this cause. */
  stepBegan(cause: StepCause): void;
  event(event: ContextEvent): void;
  controlSent(now: Instant, output: SendOutput): void;
  controlReceived(...message: Parameters<DataPlaneEvents["control"]>): void;
  /** The system would not send this message; the protocol's retransmissions make up for it. */
  sendFailed(output: SendOutput, error: Error): void;
  /** A context began to need its ULIDs, or needs them no more. */
  contextSet(tag: ContextTag, ulids: AddressPair): void;
  /** @param traffic of its life, where the data plane has it */
  contextCleared(tag: ContextTag, traffic: TrafficSnapshot | undefined): void;
  /** `Endpoint.snapshot` gives something else for it now, or nothing. */
  contextChanged(tag: ContextTag): void;
  surveyed(survey: number, pairs: readonly SurveyedPair[]): void;
  /** All that followed from one thing that happened has been carried out. */
  stepEnded(): void;
  /** Some context's payload has left the way that it went before. */
  mappingInForce(): void;
  /** The endpoint or the data plane broke: the daemon must stop. Raised once. */
  failed(error: Error): void;
}

/**
 * Connects the endpoint with the data plane and the clock: what the plane reports goes into
 * the endpoint, what the endpoint puts out goes to the plane, and one timer is armed for the
 * endpoint's next deadline. Everything happens in one step at a time.
 */
export class Driver {
  readonly #endpoint: Endpoint;
  readonly #plane: DataPlane;
  readonly #clock: Clock;
  readonly #observer: DriverObserver;
  /** The endpoint's time never runs backwards, though a packet may have waited in a queue. */
  #now: Instant;
  #stepping = false;
  /** The plane is being opened: what it reports waits until contexts have been taken over. */
  #opening = false;
  #stopped = false;
  readonly #waiting: ((now: Instant) => void)[] = [];
  #armedFor: Instant | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(endpoint: Endpoint, plane: DataPlane, clock: Clock, observer: DriverObserver) {
    this.#endpoint = endpoint;
    this.#plane = plane;
    this.#clock = clock;
    this.#observer = observer;
    this.#now = clock.now();
  }

  /**
   * Opens the data plane; from then on packets move.
   * @param takeOver restores the contexts of an earlier run, before anything else is handled
   * @throws DataPlaneError
   */
  async start(takeOver: (now: Instant) => void): Promise<void> {
    this.#opening = true;
    await this.#plane.open(this.#planeEvents());
    this.#opening = false;
    this.#waiting.unshift(takeOver, () => this.#plane.settle());
    this.#work(this.#clock.now());
  }

  /** Takes the data plane down: plain IPv6 from here on. Safe to call twice. */
  async stop(): Promise<void> {
    this.#end();
    await this.#plane.close();
  }

  /** Leaves the data plane to a successor. Safe to call twice. */
  async release(): Promise<void> {
    this.#end();
    await this.#plane.release();
  }

  /** Runs a handler or command of the endpoint now, and what follows from it. */
  run<Value>(command: (endpoint: Endpoint, now: Instant) => Value): Value | undefined {
    let value: Value | undefined;
    this.#step(this.#clock.now(), "command", (now) => {
      value = command(this.#endpoint, now);
    });
    return value;
  }

  #planeEvents(): DataPlaneEvents {
    const endpoint = this.#endpoint;
    return {
      trigger: (now, ulids) =>
        this.#step(now, "trigger", (at) => endpoint.handleTrigger(at, ulids)),
      control: (now, source, destination, ...message) =>
        this.#step(now, "control message", (at) => {
          this.#observer.controlReceived(at, source, destination, ...message);
          endpoint.handleControl(at, source, destination, ...message);
        }),
      unknownTag: (now, ...packet) =>
        this.#step(now, "unknown tag", (at) => endpoint.handleUnknownTag(at, ...packet)),
      trafficResumed: (now, tag) =>
        this.#step(now, "payload", (at) => endpoint.handleTrafficResumed(at, tag)),
      inboundPayload: (now, tag, tagged) =>
        this.#step(now, "payload", (at) => endpoint.handleInboundPayload(at, tag, tagged)),
      mappingInForce: () => {
        if (!this.#stopped) this.#observer.mappingInForce();
      },
      icmpError: (now, source, bytes) =>
        this.#step(now, "ICMPv6 error", (at) => endpoint.handleIcmpError(at, source, bytes)),
      failed: (error) => this.#fail(error),
    };
  }

  /**
   * One step: the action, every output, the next timer. What the plane reports meanwhile
   * waits, so that no handler runs inside another.
   */
  #step(now: Instant, cause: StepCause, action: (now: Instant) => void): void {
    if (this.#stopped) return;
    this.#waiting.push((at) => {
      this.#observer.stepBegan(cause);
      action(at);
    });
    this.#work(now);
  }

  #work(now: Instant): void {
    if (now > this.#now) this.#now = now;
    if (this.#stepping || this.#opening || this.#stopped) return;
    this.#stepping = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        next(this.#now);
        this.#drain();
      }
      this.#armTimer();
      this.#observer.stepEnded();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#stepping = false;
    }
  }

  #drain(): void {
    for (let output = this.#endpoint.poll(); output !== undefined; output = this.#endpoint.poll()) {
      this.#perform(output);
    }
  }

  #perform(output: Output): void {
    const plane = this.#plane;
    switch (output.type) {
      case "send":
        return this.#send(output);
      case "set-context":
        this.#observer.contextSet(output.tag, output.ulids);
        return plane.setContext(output.tag, output.ulids, output.forkedInstance);
      case "clear-context":
        return this.#clearContext(output.tag);
      case "set-mapping":
        return plane.setMapping(output.tag, output.mapping);
      case "clear-mapping":
        return plane.clearMapping(output.tag);
      case "watch":
        return plane.watch(output.tag, output.on);
      case "withhold-errors":
        return plane.withholdErrors(output.tag, output.on);
      case "read-traffic":
        return this.#readTraffic(output.tag);
      case "await-traffic":
        return this.#awaitTraffic(output.tag, output.packets);
      case "mark-traffic":
        return plane.markTraffic(output.tag, output.direction);
      case "arm-trigger":
        return plane.armTrigger(output.ulids);
      case "event":
        return this.#observer.event(output.event);
      case "save-context":
        return this.#observer.contextChanged(output.tag);
      case "surveyed":
        return this.#observer.surveyed(output.survey, output.pairs);
    }
  }

  /** What it has carried is read before the plane forgets it. */
  #clearContext(tag: ContextTag): void {
    const traffic = this.#plane.traffic(tag);
    this.#plane.clearContext(tag);
    this.#observer.contextCleared(tag, traffic);
  }

  /** The endpoint's question is answered before anything else happens. */
  #readTraffic(tag: ContextTag): void {
    this.#endpoint.handleTraffic(this.#now, tag, this.#trafficOf(tag));
  }

  /** Packets pass while the endpoint thinks: one may have, since it read, that nobody told of. */
  #awaitTraffic(tag: ContextTag, packets: number): void {
    this.#plane.awaitTraffic(tag);
    const { packetsOut, packetsIn } = this.#trafficOf(tag);
    if (packetsOut + packetsIn !== packets) this.#endpoint.handleTrafficResumed(this.#now, tag);
  }

  #trafficOf(tag: ContextTag): TrafficSnapshot {
    const snapshot = this.#plane.traffic(tag);
    if (snapshot === undefined) throw new Error(`the data plane lost context ${formatTag(tag)}`);
    return snapshot;
  }

  /** A locator may vanish between the endpoint's decision and the system call. */
  #send(output: SendOutput): void {
    try {
      const { source, destination, bytes, encapsulated } = output;
      this.#plane.sendControl(source, destination, bytes, encapsulated);
    } catch (error) {
      this.#observer.sendFailed(output, error as Error);
      return;
    }
    this.#observer.controlSent(this.#now, output);
  }

  #armTimer(): void {
    const at = this.#endpoint.pollTimeout()?.at;
    if (at === this.#armedFor) return;
    this.#cancelTimer?.();
    this.#armedFor = at;
    this.#cancelTimer = at === undefined ? undefined : this.#clock.schedule(at, () => this.#tick());
  }

  #tick(): void {
    this.#armedFor = undefined;
    const reason = this.#endpoint.pollTimeout()?.reason ?? "traffic-check";
    this.#step(this.#clock.now(), `timer: ${reason}`, (now) => this.#endpoint.handleTimeout(now));
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.#end();
    this.#observer.failed(error);
  }

  #end(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#cancelTimer?.();
  }
}
