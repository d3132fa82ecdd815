import { FAIL_BACK } from "../../src/core/defaults.ts";
import { Endpoint } from "../../src/core/endpoint.ts";
import { type ContextEvent, isEncapsulated, type Output } from "../../src/core/output.ts";
import { type Instant, minutes, seconds } from "../../src/core/time.ts";
import { TrafficRecord } from "../../src/core/traffic.ts";
import type { Address } from "../../src/wire/address.ts";
import type { ContextTag } from "../../src/wire/tag.ts";
import { hmac, seededRandom } from "../core/support/random.ts";
import { type Flight, UDP_PORT, type Vocabulary } from "./grammar.ts";
import { costOf, dearest, NO_COST } from "./message-costs.ts";

export const MAX_CONTEXTS = 12;
/** Of one context for one input: the messages, mappings, readings and events that it may cause. */
const OUTPUTS_PER_CONTEXT = 40;
/**
 * What one control message may cause: an acknowledgement, a probe or two, and what waited for
 * another locator pair. Whom no context vouches for gets one packet of less than twice the size.
 */
const PACKETS_MAX = 8;
const ANSWERS_MAX = 1;
const AMPLIFICATION_MAX = 2;

type Sent = Output & { readonly type: "send" };

/** An endpoint under fuzz with the least of a data plane, and what it costs. */
export class Target {
  readonly endpoint: Endpoint;
  readonly home: readonly Address[];
  readonly records = new Map<ContextTag, TrafficRecord>();
  readonly sent: Sent[] = [];
  readonly events = new Map<ContextEvent["event"], number>();
  mostOutputs = 0;
  /** Orders to send payload in UDP. */
  mappingsInUdp = 0;
  mostCost = NO_COST;
  readonly #words: Vocabulary;

  constructor(home: readonly Address[], seed: number, words: Vocabulary) {
    this.home = home;
    this.#words = words;
    this.endpoint = new Endpoint({
      security: "unverified",
      sendTimeout: seconds(10),
      contextIdleTimeout: minutes(10),
      maxContexts: MAX_CONTEXTS,
      failBack: FAIL_BACK,
      encapsulation: { port: UDP_PORT },
      random: seededRandom(seed),
      keyedHash: hmac,
    });
  }

  /** Gives a control message. @throws Error when it causes more to be sent than it may */
  giveControl(now: Instant, { source, destination, bytes, encapsulated }: Flight): void {
    const before = this.sent.length;
    this.give(now, (endpoint) =>
      endpoint.handleControl(now, source, destination, bytes, encapsulated),
    );
    const cost = costOf(bytes.length, this.sent.slice(before));
    this.mostCost = dearest(this.mostCost, cost);
    const { packets, answers, amplification } = cost;
    if (packets > PACKETS_MAX || answers > ANSWERS_MAX || amplification >= AMPLIFICATION_MAX) {
      throw new Error(`one message costs too much: ${JSON.stringify(cost)}`);
    }
  }

  /** Gives one input, and takes all that comes of it. */
  give(now: Instant, input: (endpoint: Endpoint) => void): void {
    input(this.endpoint);
    let outputs = 0;
    for (let output = this.endpoint.poll(); output !== undefined; output = this.endpoint.poll()) {
      outputs += 1;
      if (outputs > OUTPUTS_PER_CONTEXT * (1 + MAX_CONTEXTS)) throw new Error("output without end");
      this.#carryOut(now, output);
    }
    this.mostOutputs = Math.max(this.mostOutputs, outputs);
  }

  #carryOut(now: Instant, output: Output): void {
    switch (output.type) {
      case "send":
        this.#words.learn(output.message);
        this.sent.push(output);
        return;
      case "set-context":
        this.records.set(output.tag, new TrafficRecord());
        return;
      case "clear-context":
        this.records.delete(output.tag);
        return;
      case "await-traffic":
        return this.records
          .get(output.tag)
          ?.await((at) =>
            this.give(at, (endpoint) => endpoint.handleTrafficResumed(at, output.tag)),
          );
      case "set-mapping":
        if (isEncapsulated(output.mapping.locators)) this.mappingsInUdp += 1;
        return;
      case "mark-traffic":
        return this.records.get(output.tag)?.mark(output.direction);
      case "read-traffic": {
        const record = this.records.get(output.tag);
        if (record) this.endpoint.handleTraffic(now, output.tag, record.snapshot);
        return;
      }
      case "event": {
        const { event } = output.event;
        this.events.set(event, (this.events.get(event) ?? 0) + 1);
        return;
      }
      default:
        return;
    }
  }
}
