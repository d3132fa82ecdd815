import { type AddressPair, pairKey } from "../core/output.ts";
import { type Duration, type Instant, seconds } from "../core/time.ts";
import type { Host } from "./host.ts";
import type { Payload } from "./packet.ts";
import type { SimRandom } from "./random.ts";
import type { FlowSpec } from "./scenario.ts";

/** What a flow needs of the world. */
export interface FlowClock {
  readonly now: Instant;
  in(span: Duration, run: () => void): void;
}

/** A span without progress, from one instant to another. */
export interface Interruption {
  readonly from: number;
  readonly to: number;
}

/** What a flow's user noticed. */
export interface FlowReport {
  readonly kind: FlowSpec["kind"];
  readonly from: string;
  readonly to: string;
  readonly sent: number;
  readonly answered: number;
  /** In seconds. */
  readonly longestInterruption: number;
}

/** Interruptions no longer than this beyond the flow's interval are not kept: nobody sees them. */
const NOTICEABLE = seconds(1);
/** RFC 6298 sections 2.1 and 2.4: both the first timeout and the smallest one. */
const RETRANSMISSION_TIMEOUT = seconds(1);
const RETRANSMISSION_TIMEOUT_MAX = seconds(60);

/**
 * A toy application on two hosts. "udp" asks at a steady pace, whatever comes
 * back; so does "one-way", which nobody answers: what has arrived counts. "tcp" sends
 * a segment, waits for its acknowledgement, and sends it again with a timeout that doubles.
 */
export class Flow {
  readonly spec: FlowSpec;
  readonly from: Host;
  readonly to: Host;
  /** As `from` has them. */
  readonly ulids: AddressPair;
  /** Since when the flow has been active; `undefined` while it is silent. */
  activeSince: Instant | undefined;
  /** Since when it has been silent; `undefined` while it is active. */
  silentSince: Instant | undefined;
  /** When an answer last came, or the flow became active. */
  progressAt: Instant;
  /** Those that a user would notice. */
  readonly interruptions: Interruption[] = [];
  readonly #number: number;
  readonly #clock: FlowClock;
  readonly #random: SimRandom;
  readonly #key: string;
  readonly #reverse: { readonly ulids: AddressPair; readonly key: string };
  #sequence = 0;
  #acknowledged = 0;
  #sent = 0;
  #answered = 0;
  #timeout: Duration = RETRANSMISSION_TIMEOUT;
  /** Counts the timers set; one that is not the last has been overtaken. */
  #timer = 0;
  #finished = false;
  #longest = 0;

  constructor(number: number, spec: FlowSpec, ends: FlowEnds, clock: FlowClock) {
    this.#number = number;
    this.spec = spec;
    this.from = ends.from;
    this.to = ends.to;
    this.ulids = ends.ulids;
    this.#key = pairKey(ends.ulids);
    const reverse = { local: ends.ulids.peer, peer: ends.ulids.local };
    this.#reverse = { ulids: reverse, key: pairKey(reverse) };
    this.#random = ends.random;
    this.#clock = clock;
    this.progressAt = clock.now;
    this.silentSince = clock.now;
  }

  get report(): FlowReport {
    return {
      ...{ kind: this.spec.kind, from: this.spec.from, to: this.spec.to },
      ...{ sent: this.#sent, answered: this.#answered },
      longestInterruption: this.#longest / 1000,
    };
  }

  /** The flow becomes active, and silent again as its phases say. */
  start(): void {
    const { phases } = this.spec;
    if (this.#finished) return;
    this.activeSince = this.#clock.now;
    this.silentSince = undefined;
    this.progressAt = this.#clock.now;
    this.#timeout = RETRANSMISSION_TIMEOUT;
    this.#sequence += 1;
    this.#request();
    if (phases === undefined) return;
    this.#clock.in(seconds(this.#random.exponential(phases.active)), () => {
      if (this.#finished) return;
      this.stop();
      this.#clock.in(seconds(this.#random.exponential(phases.silent)), () => this.start());
    });
  }

  stop(): void {
    this.#noteInterruption();
    this.activeSince = undefined;
    this.silentSince = this.#clock.now;
    this.#timer += 1;
  }

  /** The flow ends for good. */
  finish(): void {
    this.#finished = true;
    if (this.activeSince !== undefined) this.stop();
  }

  /** A packet of the flow has reached the application at `host`. */
  handlePayload(host: Host, { kind, sequence }: Payload): void {
    if (kind === "request" && this.spec.kind !== "one-way") {
      const { ulids, key } = this.#reverse;
      return host.send({ flow: this.#number, kind: "reply", sequence, ulids }, key);
    }
    if (sequence <= this.#acknowledged || this.activeSince === undefined) return;
    this.#acknowledged = sequence;
    this.#answered += 1;
    this.#noteInterruption();
    this.progressAt = this.#clock.now;
    if (this.spec.kind !== "tcp") return;
    this.#timeout = RETRANSMISSION_TIMEOUT;
    this.#sequence += 1;
    this.#setTimer(seconds(this.spec.interval), () => this.#request());
  }

  #request(): void {
    const { kind, interval } = this.spec;
    this.#sent += 1;
    const sequence = this.#sequence;
    const { ulids } = this;
    this.from.send({ flow: this.#number, kind: "request", sequence, ulids }, this.#key);
    if (kind !== "tcp") {
      this.#setTimer(seconds(interval), () => {
        this.#sequence += 1;
        this.#request();
      });
      return;
    }
    this.#setTimer(this.#timeout, () => {
      this.#timeout = Math.min(this.#timeout * 2, RETRANSMISSION_TIMEOUT_MAX) as Duration;
      this.#request();
    });
  }

  #setTimer(span: Duration, run: () => void): void {
    this.#timer += 1;
    const timer = this.#timer;
    this.#clock.in(span, () => {
      if (timer === this.#timer) run();
    });
  }

  #noteInterruption(): void {
    const { now } = this.#clock;
    const length = now - this.progressAt;
    this.#longest = Math.max(this.#longest, length);
    if (length < NOTICEABLE + seconds(this.spec.interval)) return;
    this.interruptions.push({ from: this.progressAt, to: now });
  }
}

interface FlowEnds {
  readonly from: Host;
  readonly to: Host;
  readonly ulids: AddressPair;
  readonly random: SimRandom;
}
