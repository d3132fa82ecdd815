import { type AddressPair, type ContextEvent, samePair } from "../../core/output.ts";
import { between, type Duration, type Instant, latest, seconds } from "../../core/time.ts";
import type { TrafficSnapshot } from "../../core/traffic.ts";
import type { ContextView } from "../../core/view.ts";
import { formatTag } from "../../wire/tag.ts";
import type { DrilledFlow, DrillOutcome } from "../api.ts";
import { inSeconds } from "../clock.ts";
import { locatorPair } from "../control/report.ts";

/** A context to which payload has come so lately shows an interruption by what comes in. */
const HEARD_LATELY = seconds(5);

/** What a drill does to the payload of one context. */
export class FlowWatch {
  readonly #context: Pick<ContextView, "tag" | "ulids" | "locators">;
  readonly #startedAt: Instant;
  readonly #packetsBefore: number;
  readonly #isHeard: boolean;
  /** The end of the longest silence so far is that of its last packet. */
  #silence: Duration | undefined;
  #lastIn: Instant | undefined;
  #packets: number;
  #endedAt: Instant | undefined;
  #movedAt: Instant | undefined;
  #recovered: Extract<ContextEvent, { readonly event: "recovered" }> | undefined;
  #locators: AddressPair;
  #movedTo: AddressPair | undefined;

  constructor(
    context: Pick<ContextView, "tag" | "ulids" | "locators">,
    traffic: TrafficSnapshot,
    startedAt: Instant,
  ) {
    this.#context = context;
    this.#locators = context.locators;
    this.#startedAt = startedAt;
    this.#lastIn = traffic.lastIn;
    this.#packetsBefore = packetsOf(traffic);
    this.#packets = this.#packetsBefore;
    this.#isHeard = traffic.lastIn !== undefined && startedAt - traffic.lastIn < HEARD_LATELY;
  }

  /** Payload of it goes again, or there is nothing to wait for. */
  get isSettled(): boolean {
    return this.#outcome !== "lost";
  }

  /** To be called often: silences are found as precisely as that. */
  look(traffic: TrafficSnapshot): void {
    this.#packets = packetsOf(traffic);
    const { lastIn } = traffic;
    if (lastIn === undefined || lastIn === this.#lastIn) return;
    const silence = between(this.#lastIn ?? this.#startedAt, lastIn);
    if (silence > (this.#silence ?? 0)) this.#silence = silence;
    this.#lastIn = lastIn;
  }

  handleEvent(event: ContextEvent): void {
    if (event.event === "recovered") this.#recovered ??= event;
    if (event.event !== "switched") return;
    this.#locators = event.to;
    if (this.#endedAt !== undefined) return;
    this.#movedAt ??= event.at;
    this.#movedTo = event.to;
  }

  end(at: Instant): void {
    this.#endedAt = at;
  }

  report(): DrilledFlow {
    const { tag, ulids, locators } = this.#context;
    const outcome = this.#outcome;
    const interruption = this.#interruption(outcome);
    const span = (value: Duration | undefined) => (value === undefined ? null : inSeconds(value));
    return {
      context: formatTag(tag),
      localUlid: ulids.local,
      peerUlid: ulids.peer,
      outcome,
      interruption: span(interruption),
      detection: span(this.#recovered?.detection),
      exploration: span(this.#recovered?.exploration),
      from: locatorPair(locators),
      to: this.#movedTo === undefined ? null : locatorPair(this.#movedTo),
      back: this.#movedTo !== undefined && samePair(this.#locators, locators),
    };
  }

  get #outcome(): DrillOutcome {
    if (this.#packets === this.#packetsBefore) return "idle";
    const goesOnAt = this.#movedAt ?? this.#endedAt;
    if (goesOnAt === undefined || !this.#isHeardSince(goesOnAt)) return "lost";
    return this.#movedAt === undefined ? "waited" : "moved";
  }

  /** What only leaves is believed to arrive. */
  #isHeardSince(at: Instant): boolean {
    return !this.#isHeard || (this.#lastIn ?? this.#startedAt) > at;
  }

  #interruption(outcome: DrillOutcome): Duration | undefined {
    if (outcome === "idle" || outcome === "lost") return undefined;
    if (this.#isHeard) return this.#silence;
    return between(this.#startedAt, latest(this.#startedAt, this.#movedAt ?? this.#endedAt));
  }
}

function packetsOf({ packetsIn, packetsOut }: TrafficSnapshot): number {
  return packetsIn + packetsOut;
}
