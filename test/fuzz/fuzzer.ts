import type { LocalLocator } from "../../src/core/config.ts";
import type { AddressPair } from "../../src/core/output.ts";
import { I1_RETRIES_MAX } from "../../src/core/rfc5533.ts";
import { after, instant, minutes, seconds } from "../../src/core/time.ts";
import type { Address } from "../../src/wire/address.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, ErrorMessage } from "../../src/wire/message.ts";
import { PAYLOAD_HEADER_LENGTH, writePayloadHeader } from "../../src/wire/payload-header.ts";
import { address } from "../core/support/world.ts";
import { type Dice, dice, mutate, noise } from "./dice.ts";
import { type Flight, quote, Vocabulary } from "./grammar.ts";
import { dearest, type MessageCost, NO_COST } from "./message-costs.ts";
import { MAX_CONTEXTS, Target } from "./target.ts";

const FLIGHTS_MAX = 32;
/** Messages of exchanges that somebody on the path has kept, to replay them. */
const KEPT_MAX = 64;
const CHECK_INTERVAL = 256;
/** One in so many times a peer is asked that answers late: minutes pass with it. */
const LATE_ANSWER_ODDS = 100;
/** Timers that may run out until the fifth I1. */
const TIMEOUTS_MAX = 200;
/** Validators that an intruder has at hand. */
const PROVEN_MAX = 16;
/** For so many inputs a type of message is lost, or none: exchanges fail at each of their steps. */
const LOSS_INTERVAL = 16_384;
const LOST_TYPES = ["I2", "R2", "R1", undefined, undefined] as const;

const SITES = {
  left: ["2001:db8:a1::1", "2001:db8:a2::1", "2001:db8:a3::1"].map(address),
  right: ["2001:db8:b1::1", "2001:db8:b2::1", "2001:db8:b3::1"].map(address),
};
const STRANGERS = ["2001:db8:c1::1", "fe80::1", "::1", "ff02::1", "::"].map(address);

interface KnownFlight extends Flight {
  readonly message?: ControlMessage;
}

/** How a run of the fuzzer went. */
export interface FuzzReport {
  readonly inputs: number;
  readonly mostOutputs: number;
  readonly mostCost: MessageCost;
  readonly mostContexts: number;
  /** How often payload was to go in UDP from then on. */
  readonly mappingsInUdp: number;
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
  readonly #flights: KnownFlight[] = [];
  readonly #kept: KnownFlight[] = [];
  readonly #proven: Flight[] = [];
  readonly #inputs: readonly ((target: Target) => void)[];
  #now = instant(1_000_000);
  #given = 0;
  #mostContexts = 0;
  #lostType: ControlMessage["type"] | undefined;

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
    for (const { sent } of this.#targets) {
      this.#kept.push(...sent.filter(({ message }) => "initiatorNonce" in message));
      this.#flights.push(...sent.splice(0));
    }
    this.#kept.splice(0, this.#kept.length - KEPT_MAX);
    this.#flights.splice(0, this.#flights.length - FLIGHTS_MAX);
    if (this.#given % CHECK_INTERVAL === 0) this.#check();
    if (this.#given % LOSS_INTERVAL === 0) this.#lostType = this.#words.pick(LOST_TYPES);
  }

  get report(): FuzzReport {
    return {
      inputs: this.#given,
      mostOutputs: Math.max(...this.#targets.map(({ mostOutputs }) => mostOutputs)),
      mostContexts: this.#mostContexts,
      mappingsInUdp: this.#targets.reduce((sum, target) => sum + target.mappingsInUdp, 0),
      mostCost: this.#targets.map(({ mostCost }) => mostCost).reduce(dearest, NO_COST),
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
      () => this.#noSupport(),
      (target) => this.#refuse(target),
      () => this.#replay(),
      (target) => this.#intrude(target),
      (target) => this.#answerLate(target),
      (target) => this.#command(target),
    ];
  }

  /** A message under way comes, or is lost, repeated or damaged. */
  #deliver(): void {
    const index = this.#roll(3) === 0 ? this.#roll(FLIGHTS_MAX) : 0;
    const [flight] = this.#flights.splice(index, 1);
    if (flight === undefined || this.#roll(16) === 0) return;
    if (this.#roll(16) === 0) this.#flights.push(flight);
    const bytes = this.#roll(12) === 0 ? mutate(flight.bytes, this.#roll) : flight.bytes;
    // Somebody on the path may take a message out of UDP, or put it in.
    const encapsulated = flight.encapsulated !== (this.#roll(64) === 0);
    this.#arrive({ ...flight, bytes, encapsulated });
  }

  #arrive(flight: KnownFlight): void {
    if (flight.message !== undefined && flight.message.type === this.#lostType) return;
    this.#at(flight.destination)?.giveControl(this.#now, flight);
  }

  #at(address: Address): Target | undefined {
    return this.#targets.find(({ home }) => home.includes(address));
  }

  /** A message that has come or was lost long ago comes once more. */
  #replay(): void {
    if (this.#kept.length > 0) this.#arrive(this.#words.pick(this.#kept));
  }

  /** A message of the grammar, mostly as it is. */
  #invent(target: Target): void {
    const bytes = encodeControl(this.#words.message());
    this.#control(target, this.#roll(4) === 0 ? mutate(bytes, this.#roll) : bytes);
  }

  /** Somebody on the path gets an R1 in a host's name, and sends the I2 whenever it likes. */
  #intrude(target: Target): void {
    if (this.#proven.length > 0 && this.#roll(2) === 0) {
      return this.#arrive(this.#words.pick(this.#proven));
    }
    const { local, peer } = this.#ulids(target);
    const said = { initiatorContextTag: this.#words.tag(), initiatorNonce: this.#words.nonce() };
    const i1 = encodeControl({ type: "I1", ...said, options: [] });
    const way = { source: peer, destination: local, encapsulated: this.#roll(4) === 0 };
    target.giveControl(this.#now, { ...way, bytes: i1 });
    const answer = target.sent.at(-1)?.message;
    if (answer?.type !== "R1") return;
    const { responderNonce, options } = answer;
    const bytes = encodeControl({ type: "I2", ...said, responderNonce, options });
    this.#proven.push({ ...way, bytes });
    this.#proven.splice(0, this.#proven.length - PROVEN_MAX);
  }

  /** A peer that answers the last I1 alone, and is silent then. */
  #answerLate(target: Target): void {
    if (this.#roll(LATE_ANSWER_ODDS) !== 0) return;
    const { local, peer } = this.#ulids(target);
    target.give(this.#now, (endpoint) => endpoint.handleTrigger(this.#now, { local, peer }));
    const i1 = target.sent.at(-1);
    if (i1?.message.type !== "I1") return;
    const { encapsulated, message } = i1;
    const { initiatorNonce } = message;
    const sent = () =>
      target.sent.filter(
        ({ message }) => message.type === "I1" && message.initiatorNonce === initiatorNonce,
      ).length;
    for (let i = 0; i < TIMEOUTS_MAX && sent() <= I1_RETRIES_MAX; i++) this.#expire(target);
    const validator = new Uint8Array(16);
    const r1 = encodeControl({
      type: "R1",
      initiatorNonce,
      responderNonce: this.#words.nonce(),
      options: [{ name: "ResponderValidator", critical: false, validator }],
    });
    const way = { source: peer, destination: local, encapsulated };
    target.giveControl(this.#now, { ...way, bytes: r1 });
    const end = after(this.#now, minutes(1));
    while (this.#now < end) this.#expire(target);
  }

  /** The target's next timer runs out. */
  #expire(target: Target): void {
    const due = target.endpoint.pollTimeout()?.at ?? after(this.#now, seconds(10));
    if (due > this.#now) this.#now = due;
    target.give(this.#now, (endpoint) => endpoint.handleTimeout(this.#now));
  }

  /** From anywhere, or as if it answered something that the target has sent. */
  #control(target: Target, bytes: Uint8Array): void {
    const sent = this.#kept.filter(({ source }) => target.home.includes(source));
    if (sent.length > 0 && this.#roll(2) === 0) {
      return this.#arrive({ ...reversed(this.#words.pick(sent)), bytes });
    }
    const source = this.#words.address();
    const destination = this.#words.pick(target.home);
    const encapsulated = this.#roll(4) === 0;
    target.giveControl(this.#now, { source, destination, bytes, encapsulated });
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
    const encapsulated = this.#roll(4) === 0;
    target.give(this.#now, (endpoint) =>
      endpoint.handleUnknownTag(this.#now, source, destination, tag, encapsulated),
    );
  }

  /** An ICMPv6 error that quotes a message under way, payload or noise. */
  #icmp(target: Target): void {
    const flight =
      this.#roll(2) === 0
        ? this.#words.pick([...this.#flights, this.#payloadFlight(target)])
        : this.#payloadFlight(target);
    const header = Uint8Array.of(this.#roll(5), this.#roll(6), 0, 0, 0, 0, 0, this.#roll(100));
    const quoted = quote(flight);
    const whole = Uint8Array.of(...header, ...quoted);
    const error = this.#roll(4) === 0 ? mutate(whole, this.#roll) : whole;
    const from = this.#words.address();
    target.give(this.#now, (endpoint) => endpoint.handleIcmpError(this.#now, from, error));
  }

  /** A peer's kernel that doesn't know protocol 140, or somebody who says so late. */
  #noSupport(): void {
    if (this.#kept.length === 0) return;
    const flight = this.#words.pick(this.#kept);
    const header = Uint8Array.of(4, 1, 0, 0, 0, 0, 0, 6);
    const error = Uint8Array.of(...header, ...quote(flight));
    this.#at(flight.source)?.give(this.#now, (endpoint) =>
      endpoint.handleIcmpError(this.#now, flight.destination, error),
    );
  }

  /** A Shim6 Error about a message under way, as its receiver or a stranger would send it. */
  #refuse(target: Target): void {
    const flight = this.#words.pick([...this.#flights, this.#payloadFlight(target)]);
    const packet = quote(flight);
    const message: ErrorMessage = {
      type: "Error",
      errorCode: this.#roll(8),
      pointer: this.#roll(packet.length),
      packetInError: this.#roll(4) === 0 ? mutate(packet, this.#roll) : packet,
    };
    this.#arrive({ ...reversed(flight), bytes: encodeControl(message) });
  }

  #payloadFlight(target: Target): Flight {
    const bytes = new Uint8Array(PAYLOAD_HEADER_LENGTH + 16);
    writePayloadHeader(bytes, 0, 17, this.#words.tag());
    const way = { source: this.#words.pick(target.home), destination: this.#words.address() };
    return { ...way, bytes, encapsulated: this.#roll(4) === 0 };
  }

  /** What the host itself asks for, or what happens to its links. */
  #command(target: Target): void {
    const now = this.#now;
    const kind = this.#roll(40);
    if (kind === 0) return this.#changeLocators(target);
    const tag = this.#words.pick([...target.records.keys(), this.#words.tag()]);
    const ulids = this.#ulids(target);
    const timeout = seconds(5 + this.#roll(10));
    const selector = { protocol: this.#roll(256) };
    target.give(now, (endpoint) => {
      if (kind < 3) endpoint.close(now, tag);
      else if (kind < 10) endpoint.explore(now, tag);
      else if (kind < 14) endpoint.prefer(now, tag, ulids);
      else if (kind < 16) endpoint.fork(now, tag, selector, ulids);
      else if (kind < 17) endpoint.setSendTimeout(now, timeout);
      else endpoint.handleTrigger(now, ulids);
    });
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

/** The way that an answer to it takes. */
function reversed({ source, destination, encapsulated }: Flight): Omit<Flight, "bytes"> {
  return { source: destination, destination: source, encapsulated };
}

function sum(lists: readonly (readonly (readonly [string, number])[])[]): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const [name, count] of lists.flat()) totals[name] = (totals[name] ?? 0) + count;
  return totals;
}
