import type { LocalLocator } from "../../src/core/config.ts";
import { Endpoint } from "../../src/core/endpoint.ts";
import type { AddressPair, ContextEvent, Output } from "../../src/core/output.ts";
import { type Instant, instant, minutes, seconds } from "../../src/core/time.ts";
import { TrafficRecord } from "../../src/core/traffic.ts";
import type { Address } from "../../src/wire/address.ts";
import { encodeControl } from "../../src/wire/control.ts";
import { PAYLOAD_HEADER_LENGTH, writePayloadHeader } from "../../src/wire/payload-header.ts";
import type { ContextTag } from "../../src/wire/tag.ts";
import { hmac, seededRandom } from "../core/support/random.ts";
import { address } from "../core/support/world.ts";
import { type Dice, dice, mutate, noise } from "./dice.ts";
import { quote, Vocabulary } from "./grammar.ts";

export const MAX_CONTEXTS = 12;
/** Of one context for one input: the messages, mappings, readings and events that it may cause. */
const OUTPUTS_PER_CONTEXT = 40;
const FLIGHTS_MAX = 32;
const CHECK_INTERVAL = 256;

const SITES = {
  left: ["2001:db8:a1::1", "2001:db8:a2::1", "2001:db8:a3::1"].map(address),
  right: ["2001:db8:b1::1", "2001:db8:b2::1", "2001:db8:b3::1"].map(address),
};
const STRANGERS = ["2001:db8:c1::1", "fe80::1", "::1", "ff02::1", "::"].map(address);

interface Flight {
  readonly source: Address;
  readonly destination: Address;
  readonly bytes: Uint8Array;
}

/** An endpoint under fuzz with the least of a data plane, and what it costs. */
class Target {
  readonly endpoint: Endpoint;
  readonly home: readonly Address[];
  readonly records = new Map<ContextTag, TrafficRecord>();
  readonly sent: Flight[] = [];
  readonly events = new Map<ContextEvent["event"], number>();
  mostOutputs = 0;
  readonly #words: Vocabulary;

  constructor(home: readonly Address[], seed: number, words: Vocabulary) {
    this.home = home;
    this.#words = words;
    this.endpoint = new Endpoint({
      security: "unverified",
      sendTimeout: seconds(10),
      contextIdleTimeout: minutes(10),
      maxContexts: MAX_CONTEXTS,
      random: seededRandom(seed),
      keyedHash: hmac,
    });
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

/** How a run of the fuzzer went. */
export interface FuzzReport {
  readonly inputs: number;
  readonly mostOutputs: number;
  readonly mostContexts: number;
  /** How often each event came; without "established" the fuzz would prove little. */
  readonly events: Readonly<Record<string, number>>;
  readonly counters: Readonly<Record<string, number>>;
}

/**
 * Two endpoints that speak with each other while packets are mutated, made up, lost and
 * repeated, and everything else that can be given to an endpoint comes in between. The same
 * seed gives the same inputs.
 */
export class Fuzzer {
  readonly #seed: number;
  readonly #roll: Dice;
  readonly #words: Vocabulary;
  readonly #targets: readonly [Target, Target];
  readonly #flights: Flight[] = [];
  readonly #inputs: readonly ((target: Target) => void)[];
  #now = instant(1_000_000);
  #given = 0;
  #mostContexts = 0;

  constructor(seed: number) {
    const roll = dice(seed);
    this.#seed = seed;
    this.#roll = roll;
    this.#words = new Vocabulary([...SITES.left, ...SITES.right, ...STRANGERS], roll);
    this.#targets = [
      new Target(SITES.left, seed, this.#words),
      new Target(SITES.right, seed + 1, this.#words),
    ];
    for (const target of this.#targets) this.#changeLocators(target);
    this.#inputs = this.#makeInputs();
  }

  /** Gives so many inputs more. @throws Error with the seed, and the cause that an endpoint threw */
  run(inputs: number): void {
    try {
      for (let i = 0; i < inputs; i++) this.#step();
    } catch (cause) {
      throw new Error(`input ${this.#given} from seed ${this.#seed} failed`, { cause });
    }
  }

  #step(): void {
    this.#given += 1;
    this.#now = instant(this.#now + this.#roll(40));
    const target = this.#words.pick(this.#targets);
    this.#words.pick(this.#inputs)(target);
    for (const { sent } of this.#targets) this.#flights.push(...sent.splice(0));
    this.#flights.splice(0, this.#flights.length - FLIGHTS_MAX);
    if (this.#given % CHECK_INTERVAL === 0) this.#check();
  }

  get report(): FuzzReport {
    return {
      inputs: this.#given,
      mostOutputs: Math.max(...this.#targets.map(({ mostOutputs }) => mostOutputs)),
      mostContexts: this.#mostContexts,
      events: sum(this.#targets.map(({ events }) => [...events])),
      counters: sum(this.#targets.map(({ endpoint }) => Object.entries(endpoint.counters))),
    };
  }

  /** What may be given next, the frequent ones repeated. */
  #makeInputs(): ((target: Target) => void)[] {
    const deliver = (): void => this.#deliver();
    const invent = (target: Target): void => this.#invent(target);
    const time = (target: Target): void => this.#passTime(target);
    const payload = (target: Target): void => this.#payload(target);
    return [
      ...[deliver, deliver, deliver, deliver, deliver],
      ...[invent, invent, invent, time, time, payload, payload],
      (target) => this.#control(target, noise(this.#roll)),
      (target) => this.#unknownTag(target),
      (target) => this.#icmp(target),
      (target) => this.#command(target),
    ];
  }

  /** A message under way comes, or is lost, repeated or damaged. */
  #deliver(): void {
    const index = this.#roll(3) === 0 ? this.#roll(FLIGHTS_MAX) : 0;
    const [flight] = this.#flights.splice(index, 1);
    if (flight === undefined || this.#roll(16) === 0) return;
    if (this.#roll(16) === 0) this.#flights.push(flight);
    const { source, destination } = flight;
    const target = this.#targets.find(({ home }) => home.includes(destination));
    const bytes = this.#roll(12) === 0 ? mutate(flight.bytes, this.#roll) : flight.bytes;
    target?.give(this.#now, (endpoint) =>
      endpoint.handleControl(this.#now, source, destination, bytes),
    );
  }

  /** A message of the grammar, mostly as it is. */
  #invent(target: Target): void {
    const bytes = encodeControl(this.#words.message());
    this.#control(target, this.#roll(4) === 0 ? mutate(bytes, this.#roll) : bytes);
  }

  #control(target: Target, bytes: Uint8Array): void {
    const source = this.#words.address();
    const destination = this.#words.pick(target.home);
    target.give(this.#now, (endpoint) =>
      endpoint.handleControl(this.#now, source, destination, bytes),
    );
  }

  /** Sometimes just a while passes, sometimes a timer is due, sometimes long ago. */
  #passTime(target: Target): void {
    const due = target.endpoint.pollTimeout()?.at ?? this.#now;
    if (this.#roll(3) === 0 && due > this.#now) this.#now = due;
    if (this.#roll(5000) === 0) this.#now = instant(this.#now + minutes(this.#roll(15)));
    target.give(this.#now, (endpoint) => endpoint.handleTimeout(this.#now));
  }

  #payload(target: Target): void {
    const [tag, record] = this.#words.pick([...target.records, [undefined, undefined]]);
    if (tag === undefined || record === undefined) return;
    if (this.#roll(2) === 0) return record.out(this.#now, this.#roll(1500));
    record.in(this.#now, this.#roll(1500));
    const tagged = this.#roll(2) === 0;
    target.give(this.#now, (endpoint) => endpoint.handleInboundPayload(this.#now, tag, tagged));
  }

  #unknownTag(target: Target): void {
    const source = this.#words.address();
    const destination = this.#words.pick(target.home);
    const tag = this.#words.tag();
    target.give(this.#now, (endpoint) =>
      endpoint.handleUnknownTag(this.#now, source, destination, tag),
    );
  }

  /** An ICMPv6 error that quotes a message under way, payload or noise. */
  #icmp(target: Target): void {
    const { source, destination, bytes } =
      this.#roll(2) === 0
        ? this.#words.pick([...this.#flights, this.#payloadFlight(target)])
        : this.#payloadFlight(target);
    const header = Uint8Array.of(this.#roll(5), this.#roll(6), 0, 0, 0, 0, 0, this.#roll(100));
    const quoted = quote(source, destination, bytes);
    const whole = Uint8Array.of(...header, ...quoted);
    const error = this.#roll(4) === 0 ? mutate(whole, this.#roll) : whole;
    const from = this.#words.address();
    target.give(this.#now, (endpoint) => endpoint.handleIcmpError(this.#now, from, error));
  }

  #payloadFlight(target: Target): Flight {
    const bytes = new Uint8Array(PAYLOAD_HEADER_LENGTH + 16);
    writePayloadHeader(bytes, 0, 17, this.#words.tag());
    return { source: this.#words.pick(target.home), destination: this.#words.address(), bytes };
  }

  /** What the host itself asks for, or what happens to its links. */
  #command(target: Target): void {
    const now = this.#now;
    const kind = this.#roll(40);
    if (kind === 0) return this.#changeLocators(target);
    const tag = this.#words.pick([...target.records.keys(), this.#words.tag()]);
    if (kind < 3) return target.give(now, (endpoint) => void endpoint.close(now, tag));
    if (kind < 10) return target.give(now, (endpoint) => void endpoint.explore(now, tag));
    const ulids = this.#ulids(target);
    target.give(now, (endpoint) => endpoint.handleTrigger(now, ulids));
  }

  #ulids(target: Target): AddressPair {
    const others = this.#targets.filter((other) => other !== target).flatMap(({ home }) => home);
    const peer = this.#roll(8) === 0 ? this.#words.address() : this.#words.pick(others);
    return { local: this.#words.pick(target.home), peer };
  }

  #changeLocators(target: Target): void {
    const locators = target.home.map(
      (locator): LocalLocator => ({
        address: locator,
        preference: this.#roll(3),
        operational: this.#roll(4) !== 0,
      }),
    );
    const offered = this.#roll(4) === 0 ? locators.slice(this.#roll(3)) : locators;
    target.give(this.#now, (endpoint) => endpoint.handleLocalLocators(this.#now, offered));
  }

  #check(): void {
    for (const { endpoint, records } of this.#targets) {
      const contexts = endpoint.contexts().length;
      this.#mostContexts = Math.max(this.#mostContexts, contexts);
      if (contexts > MAX_CONTEXTS) throw new Error(`${contexts} contexts`);
      if (records.size > contexts) throw new Error("the data plane keeps contexts that are gone");
    }
  }
}

function sum(lists: readonly (readonly (readonly [string, number])[])[]): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const [name, count] of lists.flat()) totals[name] = (totals[name] ?? 0) + count;
  return totals;
}
