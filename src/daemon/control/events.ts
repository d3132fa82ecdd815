import type { ContextEvent } from "../../core/output.ts";
import type { Instant } from "../../core/time.ts";
import { formatTag } from "../../wire/tag.ts";
import type { ContextMonitorEvent, Happening, MonitorEvent } from "../api.ts";
import { type Clock, inSeconds, isoTime } from "../clock.ts";
import { History } from "../history/history.ts";
import { locatorPair } from "./report.ts";

export interface Subscription {
  /** Control messages too. */
  readonly messages: boolean;
  receive(event: MonitorEvent): void;
  /** The daemon stops. */
  end(): void;
}

/** Hands what happens to every subscriber of the event stream, and keeps it. */
export class EventHub {
  readonly history = new History();
  readonly #clock: Clock;
  readonly #all = new Set<Subscription>();
  #sequence = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True while somebody wants control messages: they cost a decoding each. */
  get wantsMessages(): boolean {
    for (const subscription of this.#all) if (subscription.messages) return true;
    return false;
  }

  /** How many listen. */
  get subscriptions(): number {
    return this.#all.size;
  }

  /** The function returned ends the subscription. */
  subscribe(subscription: Subscription): () => void {
    this.#all.add(subscription);
    return () => this.#all.delete(subscription);
  }

  publish(at: Instant, happening: Happening): void {
    this.#sequence += 1;
    const event: MonitorEvent = {
      time: isoTime(this.#clock, at),
      ...happening,
      sequence: this.#sequence,
      monotonic: inSeconds(at),
    };
    this.history.keep(event);
    for (const subscription of this.#all) {
      if (event.event !== "message" || subscription.messages) subscription.receive(event);
    }
  }

  end(): void {
    for (const subscription of this.#all) subscription.end();
    this.#all.clear();
  }
}

/**
 * The endpoint's event in the form of the control API.
 * @param forkedInstance of its context; only "established" and "restored" say it
 */
export function monitorEvent(
  event: ContextEvent,
  forkedInstance: number,
  clock: Clock,
): ContextMonitorEvent {
  return {
    event: event.event,
    context: formatTag(event.tag),
    localUlid: event.ulids.local,
    peerUlid: event.ulids.peer,
    ...eventDetails(event, forkedInstance, clock),
  } as ContextMonitorEvent;
}

function eventDetails(event: ContextEvent, forkedInstance: number, clock: Clock): object {
  switch (event.event) {
    case "established":
    case "restored":
      return {
        peerTag: formatTag(event.peerTag),
        forkedInstance,
        ...locatorPair(event.locators),
      };
    case "failed":
      return { cause: event.cause, holdUntil: isoTime(clock, event.holdUntil) };
    case "exploring":
    case "closed":
      return { cause: event.cause };
    case "inboundok":
      return {};
    case "switched":
      return { from: locatorPair(event.from), to: locatorPair(event.to), cause: event.cause };
    case "recovered":
      return {
        ...locatorPair(event.locators),
        detection: inSeconds(event.detection),
        exploration: inSeconds(event.exploration),
        probesSent: event.probesSent,
        probesReceived: event.probesReceived,
      };
    case "local-locators-changed":
    case "peer-locators-changed":
      return { locators: event.locators };
  }
}
