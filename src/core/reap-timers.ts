import { KEEPALIVES_PER_TIMEOUT, READINGS_PER_SPAN } from "./defaults.ts";
import type { TimerAction } from "./reap.ts";
import {
  after,
  between,
  type Duration,
  earliest,
  type Instant,
  instant,
  latest,
  scale,
} from "./time.ts";
import type { TrafficSnapshot } from "./traffic.ts";
import type { ReapState } from "./view.ts";

export type ReapTimeout = "send-timeout" | "keepalive" | "keepalive-timeout";

/** When to read the traffic again, and whether a timer runs out then. */
export interface ReapCheck {
  readonly at: Instant;
  readonly reason: "send-timeout" | "keepalive" | "pair-test" | "traffic-check" | "idle";
}

/**
 * The Send Timer and the Keepalive Timer of RFC 5534 section 6 without a call per packet.
 * Payload starts and stops them in the data plane's snapshot; what control messages and the
 * state machine do to them is kept here. Both views together give the instant at which a
 * machine fed with every packet would have started each timer.
 */
export class ReapTimers {
  #sendStarted: Instant | undefined;
  #keepaliveStarted: Instant | undefined;
  /** The start of the keepalive run that `#keepalivesSent` counts. */
  #keepaliveRun: Instant | undefined;
  #keepalivesSent = 0;
  /** The Send Timer counts from here at the earliest. */
  #sendFloor: Instant | undefined;

  /**
   * Carries out the table's action on the Send Timer.
   * @returns true when the data plane has to forget unanswered outbound payload.
   */
  applySend(now: Instant, action: TimerAction | undefined, running: boolean): boolean {
    if (action === undefined || (action === "start" && running)) return false;
    this.#sendStarted = action === "stop" ? undefined : now;
    return true;
  }

  /**
   * Carries out the table's action on the Keepalive Timer.
   * @returns true when the data plane has to forget unanswered inbound payload.
   */
  applyKeepalive(now: Instant, action: TimerAction | undefined, running: boolean): boolean {
    if (action === undefined || (action === "start" && running)) return false;
    this.#keepaliveStarted = action === "stop" ? undefined : now;
    return true;
  }

  /**
   * The traffic is of a time when nobody handled control messages. Keepalives of the peer's may
   * have been missed: it gets half a Send Timeout for the next one. Keepalives of ours that
   * were due count as sent, but for the last.
   */
  takeUp(now: Instant, state: ReapState, traffic: TrafficSnapshot, spans: ReapSpans): void {
    this.#sendFloor = after(now, scale(spans.sendTimeout, -0.5));
    const start = this.keepaliveStart(state, traffic);
    if (start === undefined) return;
    const due = Math.floor(between(start, now) / keepaliveInterval(spans));
    this.#keepaliveRun = start;
    this.#keepalivesSent = Math.min(Math.max(0, due - 1), KEEPALIVES_PER_TIMEOUT - 1);
  }

  /** When the Send Timer started; `undefined` while it doesn't run. */
  sendStart(state: ReapState, traffic: TrafficSnapshot): Instant | undefined {
    if (state === "Exploring") return undefined;
    if (!isAfter(this.#sendStarted, traffic.lastIn)) this.#sendStarted = undefined;
    const start = earliest(this.#sendStarted, traffic.firstUnansweredOut);
    return start && latest(start, this.#sendFloor);
  }

  /** When the Keepalive Timer started; `undefined` while it doesn't run. */
  keepaliveStart(state: ReapState, traffic: TrafficSnapshot): Instant | undefined {
    if (state !== "Operational") return undefined;
    if (!isAfter(this.#keepaliveStarted, traffic.lastOut)) this.#keepaliveStarted = undefined;
    return earliest(this.#keepaliveStarted, traffic.firstUnansweredIn);
  }

  isRunning(state: ReapState, traffic: TrafficSnapshot): boolean {
    const starts = [this.sendStart(state, traffic), this.keepaliveStart(state, traffic)];
    return starts.some((start) => start !== undefined);
  }

  /** The timeout that is due now, if any; call again after acting on it. */
  due(
    now: Instant,
    state: ReapState,
    traffic: TrafficSnapshot,
    spans: ReapSpans,
  ): ReapTimeout | undefined {
    const send = this.sendStart(state, traffic);
    if (send !== undefined && after(send, spans.sendTimeout) <= now) return "send-timeout";
    const keepalive = this.#nextKeepalive(state, traffic, spans);
    if (keepalive === undefined || keepalive > now) return undefined;
    return this.#keepalivesSent + 1 >= KEEPALIVES_PER_TIMEOUT ? "keepalive-timeout" : "keepalive";
  }

  /** A keepalive within the run has been sent (the last one is the Keepalive Timeout's). */
  keepaliveSent(): void {
    this.#keepalivesSent += 1;
  }

  /** Reading the traffic at this instant misses no timeout, whatever payload comes until then. */
  nextCheck(
    now: Instant,
    state: ReapState,
    traffic: TrafficSnapshot,
    spans: ReapSpans,
  ): ReapCheck | undefined {
    if (state === "Exploring") return undefined;
    const checks: ReapCheck[] = [];
    const send = this.sendStart(state, traffic);
    checks.push(
      send === undefined
        ? { at: nextReading(now, spans.sendTimeout), reason: "traffic-check" }
        : { at: after(send, spans.sendTimeout), reason: "send-timeout" },
    );
    if (state === "Operational") {
      const keepalive = this.#nextKeepalive(state, traffic, spans);
      checks.push(
        keepalive === undefined
          ? { at: nextReading(now, keepaliveInterval(spans)), reason: "traffic-check" }
          : { at: keepalive, reason: "keepalive" },
      );
    }
    return checks.reduce((first, check) => (check.at < first.at ? check : first));
  }

  #nextKeepalive(
    state: ReapState,
    traffic: TrafficSnapshot,
    spans: ReapSpans,
  ): Instant | undefined {
    const start = this.keepaliveStart(state, traffic);
    if (start !== this.#keepaliveRun) {
      this.#keepaliveRun = start;
      this.#keepalivesSent = 0;
    }
    if (start === undefined) return undefined;
    return after(start, scale(keepaliveInterval(spans), this.#keepalivesSent + 1));
  }
}

/** The variables of RFC 5534 section 7. */
export interface ReapSpans {
  readonly sendTimeout: Duration;
  readonly keepaliveTimeout: Duration;
}

/** A third of the Keepalive Timeout, so that two lost keepalives do no harm. */
function keepaliveInterval(spans: ReapSpans): Duration {
  return scale(spans.keepaliveTimeout, 1 / KEEPALIVES_PER_TIMEOUT);
}

/**
 * Within `span`, on a grid that all contexts have in common: a host with thousands of quiet ones
 * wakes up a few times in each span, and not for every context.
 */
function nextReading(now: Instant, span: Duration): Instant {
  const grid = scale(span, 1 / READINGS_PER_SPAN);
  return instant(Math.floor(after(now, span) / grid) * grid);
}

function isAfter(started: Instant | undefined, stopped: Instant | undefined): boolean {
  return started !== undefined && (stopped === undefined || stopped <= started);
}
