import type { Context } from "./context.ts";
import { QUIET_TIME } from "./defaults.ts";
import type { ReapCheck, ReapSpans, ReapTimers } from "./reap-timers.ts";
import type { Shim } from "./shim.ts";
import type { Suspicion } from "./suspicion.ts";
import { after, type Instant, latest } from "./time.ts";
import type { TrafficSnapshot } from "./traffic.ts";
import type { ReapState } from "./view.ts";

/** When the traffic of one ESTABLISHED context is to be read, if nothing happens before. */
export class Readings {
  readonly #shim: Shim;
  readonly #context: Context;
  readonly #timers: ReapTimers;
  readonly #suspicion: Suspicion | undefined;

  constructor(shim: Shim, context: Context, timers: ReapTimers, suspicion: Suspicion | undefined) {
    this.#shim = shim;
    this.#context = context;
    this.#timers = timers;
    this.#suspicion = suspicion;
  }

  request(): void {
    this.#shim.emit({ type: "read-traffic", tag: this.#context.tag });
  }

  /** After `traffic` has been acted on. */
  next(
    now: Instant,
    state: ReapState,
    traffic: TrafficSnapshot,
    spans: ReapSpans,
  ): ReapCheck | undefined {
    const check = this.#timers.nextCheck(now, state, traffic, spans);
    if (state !== "Operational") return check;
    const sooner = this.#suspicion?.nextCheck(now, traffic, spans.sendTimeout);
    if (sooner?.reason === "pair-test") return first(check, sooner);
    const isQuiet = after(this.lastUsed(traffic), QUIET_TIME) <= now;
    if (isQuiet && !this.#timers.isRunning(state, traffic)) return this.#await(traffic);
    return first(check, sooner);
  }

  lastUsed({ lastIn, lastOut }: Partial<TrafficSnapshot> = {}): Instant {
    const { establishedAt, createdAt } = this.#context;
    return latest(establishedAt ?? createdAt, lastIn, lastOut);
  }

  /** Only payload can start a timer now, and the data plane tells of it. */
  #await(traffic: TrafficSnapshot): ReapCheck {
    const packets = traffic.packetsOut + traffic.packetsIn;
    this.#shim.emit({ type: "await-traffic", tag: this.#context.tag, packets });
    const { contextIdleTimeout } = this.#shim.config;
    return { at: after(this.lastUsed(traffic), contextIdleTimeout), reason: "idle" };
  }
}

function first(a: ReapCheck | undefined, b: ReapCheck | undefined): ReapCheck | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.at < a.at ? b : a;
}
