import type { Probe } from "../wire/message.ts";
import type { Context } from "./context.ts";
import { askPair } from "./question.ts";
import type { Shim } from "./shim.ts";
import { Suspicion } from "./suspicion.ts";
import type { Duration, Instant } from "./time.ts";
import type { TrafficSnapshot } from "./traffic.ts";

/** Sends what {@link Suspicion} wants sent for one context, and counts. */
export class Detector {
  readonly suspicion = new Suspicion();
  readonly #shim: Shim;
  readonly #context: Context;

  constructor(shim: Shim, context: Context) {
    this.#shim = shim;
    this.#context = context;
  }

  /** @returns what has been done: a probe has left, or the current pair has failed its test */
  run(
    now: Instant,
    traffic: TrafficSnapshot,
    sendTimeout: Duration,
  ): "sent" | "failed" | undefined {
    const step = this.suspicion.step(now, traffic, sendTimeout);
    if (step === undefined) return undefined;
    if (step === "suspect") this.#shim.counters.add("suspicion");
    if (step === "failed") this.#shim.counters.add("suspicion-confirmed");
    else this.#ask(now);
    return step === "failed" ? "failed" : "sent";
  }

  /** Whether a probe of the peer's says that the current pair works, both ways. */
  takeAnswer(now: Instant, { receivedProbes }: Probe, traffic: TrafficSnapshot): boolean {
    const nonces = receivedProbes.map(({ nonce }) => nonce);
    return this.suspicion.handleReports(now, traffic, nonces);
  }

  #ask(now: Instant): void {
    const nonce = askPair(now, this.#shim, this.#context, this.#context.locators);
    if (nonce !== undefined) this.suspicion.handleSent(now, nonce);
  }
}
