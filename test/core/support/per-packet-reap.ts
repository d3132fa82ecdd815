import { KEEPALIVES_PER_TIMEOUT } from "../../../src/core/defaults.ts";
import { Exploration } from "../../../src/core/exploration.ts";
import type { Random } from "../../../src/core/random.ts";
import { REAP, type ReapEvent } from "../../../src/core/reap.ts";
import type { ReapSpans } from "../../../src/core/reap-timers.ts";
import { after, earliest, type Instant, scale } from "../../../src/core/time.ts";
import type { ReapState } from "../../../src/core/view.ts";

export interface Action {
  readonly at: Instant;
  readonly action: string;
}

/**
 * The machine of RFC 5534 section 6 as the text has it: every packet is an event, and both
 * timers are real ones. The reference for the machine that reads snapshots.
 */
export class PerPacketReap {
  readonly actions: Action[] = [];
  state: ReapState = "Operational";
  readonly #spans: ReapSpans;
  readonly #random: Random;
  readonly #exploration = new Exploration();
  #sendTimer: Instant | undefined;
  #keepaliveTimer: Instant | undefined;
  #keepalives = 0;

  constructor(spans: ReapSpans, random: Random) {
    this.#spans = spans;
    this.#random = random;
  }

  /** The next timer to run out. */
  get next(): Instant | undefined {
    return earliest(this.#sendDue, this.#keepaliveDue, this.#exploration.nextProbe);
  }

  timeout(now: Instant): void {
    if (this.#sendDue !== undefined && this.#sendDue <= now)
      return this.handle(now, "send-timeout");
    if (this.#keepaliveDue === undefined || this.#keepaliveDue > now) {
      return this.handle(now, "retransmission");
    }
    if (this.#keepalives + 1 === KEEPALIVES_PER_TIMEOUT)
      return this.handle(now, "keepalive-timeout");
    this.#keepalives += 1;
    this.#act(now, "Keepalive");
  }

  handle(now: Instant, event: ReapEvent): void {
    const before = this.state;
    const { next, sendTimer, keepaliveTimer, message } = REAP[event][before];
    this.state = next ?? before;
    if (sendTimer === "stop") this.#sendTimer = undefined;
    if (sendTimer === "restart") this.#sendTimer = now;
    if (sendTimer === "start") this.#sendTimer ??= now;
    if (keepaliveTimer === "stop") this.#keepaliveTimer = undefined;
    if (keepaliveTimer === "start" && this.#keepaliveTimer === undefined) {
      this.#keepaliveTimer = now;
      this.#keepalives = 0;
    }
    this.#explore(before);
    if (message === "keepalive") this.#act(now, "Keepalive");
    if (message === "probe") this.#probe(now, event);
  }

  get #sendDue(): Instant | undefined {
    return this.#sendTimer && after(this.#sendTimer, this.#spans.sendTimeout);
  }

  get #keepaliveDue(): Instant | undefined {
    const interval = scale(this.#spans.keepaliveTimeout, 1 / KEEPALIVES_PER_TIMEOUT);
    return (
      this.#keepaliveTimer && after(this.#keepaliveTimer, scale(interval, this.#keepalives + 1))
    );
  }

  #explore(before: ReapState): void {
    if (this.state === before) return;
    if (before === "Operational") this.#exploration.begin([]);
    if (before === "Exploring" && this.state === "InboundOk") this.#exploration.restart([]);
    if (this.state === "Operational") this.#exploration.finish();
  }

  #probe(now: Instant, event: ReapEvent): void {
    this.#act(now, `Probe/${this.state.toLowerCase()}`);
    if (this.state === "Operational") return;
    if (event === "probe-exploring") this.#exploration.postpone(now, this.#random);
    else this.#exploration.schedule(now, this.#random);
  }

  #act(now: Instant, action: string): void {
    this.actions.push({ at: now, action });
  }
}
