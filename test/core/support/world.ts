import type { EndpointConfig, LocalLocator } from "../../../src/core/config.ts";
import { Endpoint } from "../../../src/core/endpoint.ts";
import type { AddressPair, ContextEvent, Mapping } from "../../../src/core/output.ts";
import type { RefusedState } from "../../../src/core/restoration.ts";
import type { SurveyedPair } from "../../../src/core/survey.ts";
import {
  after,
  type Duration,
  earliest,
  type Instant,
  instant,
  latest,
  milliseconds,
  minutes,
  seconds,
} from "../../../src/core/time.ts";
import { TrafficRecord } from "../../../src/core/traffic.ts";
import { type Address, parseAddress } from "../../../src/wire/address.ts";
import type { ControlMessage } from "../../../src/wire/message.ts";
import type { ContextTag } from "../../../src/wire/tag.ts";
import { hmac, seededRandom } from "./random.ts";

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

/** A packet on its way: a control message, or payload with the tag that it carries. */
export interface Packet {
  readonly source: Address;
  readonly destination: Address;
  /** In UDP. */
  readonly encapsulated?: boolean;
  readonly control?: { readonly bytes: Uint8Array; readonly message: ControlMessage };
  readonly payload?: { readonly tag: ContextTag | undefined };
}

/** What went out, for tests to look at. */
export interface Sent extends Packet {
  readonly at: Instant;
  readonly lost: boolean;
}

interface Task {
  readonly at: Instant;
  readonly order: number;
  readonly run: (now: Instant) => void;
}

/** A network without sleep: hosts, one delay for all paths, and a rule that loses packets. */
export class World {
  now = instant(1_000_000);
  delay: Duration = milliseconds(10);
  /** True for a packet that the network loses. */
  loses: (packet: Packet) => boolean = () => false;
  readonly hosts: Host[] = [];
  readonly sent: Sent[] = [];
  readonly #tasks: Task[] = [];
  #order = 0;

  host(
    seed: number,
    locators: readonly (string | LocalLocator)[],
    options: Partial<EndpointConfig> = {},
  ): Host {
    const host = new Host(this, seed, locators.map(toLocator), options);
    this.hosts.push(host);
    return host;
  }

  at(at: Instant, run: (now: Instant) => void): void {
    this.#tasks.push({ at, order: this.#order++, run });
  }

  in(span: Duration, run: (now: Instant) => void): void {
    this.at(after(this.now, span), run);
  }

  transmit(packet: Packet): void {
    const lost = this.loses(packet);
    this.sent.push({ ...packet, at: this.now, lost });
    if (lost) return;
    this.in(this.delay, () => {
      const receiver = this.hosts.find((host) => host.owns(packet.destination));
      receiver?.receive(packet);
    });
  }

  /** Runs everything that is due until `span` from now has passed. */
  run(span: Duration): void {
    const end = after(this.now, span);
    for (;;) {
      const next = this.#next(end);
      if (next === undefined) break;
      this.now = latest(this.now, next.at);
      next.run(this.now);
    }
    this.now = end;
  }

  /** Control messages that left, as "type" or "type/state", oldest first. */
  get messages(): string[] {
    return this.sent.flatMap(({ control }) =>
      control === undefined ? [] : [nameOf(control.message)],
    );
  }

  /** What comes next, and is taken off, unless it comes after `end`. */
  #next(end: Instant): { at: Instant; run: (now: Instant) => void } | undefined {
    const task = this.#tasks.reduce<Task | undefined>(
      (first, candidate) =>
        first === undefined ||
        candidate.at < first.at ||
        (candidate.at === first.at && candidate.order < first.order)
          ? candidate
          : first,
      undefined,
    );
    const timers = this.hosts.flatMap((host) => {
      const deadline = host.running ? host.endpoint.pollTimeout() : undefined;
      return deadline === undefined
        ? []
        : [{ at: deadline.at, run: (now: Instant) => host.timeout(now) }];
    });
    const timer = timers.sort((a, b) => a.at - b.at)[0];
    const at = earliest(task?.at, timer?.at);
    if (at === undefined || at > end) return undefined;
    if (task !== undefined && task.at === at) {
      this.#tasks.splice(this.#tasks.indexOf(task), 1);
      return task;
    }
    return timer;
  }
}

export function nameOf(message: ControlMessage): string {
  return message.type === "Probe" ? `Probe/${message.state}` : message.type;
}

function toLocator(locator: string | LocalLocator): LocalLocator {
  if (typeof locator !== "string") return locator;
  return { address: address(locator), preference: 0, operational: true };
}

/** A driver with a data plane of Maps: what the daemon and a real plane do, without packets. */
export class Host {
  endpoint: Endpoint;
  /** False between `kill` and `start`: the data plane goes on without its daemon. */
  running = true;
  /** Contexts as text, as a daemon keeps them for its next run. */
  readonly saved = new Map<ContextTag, string>();
  readonly events: ContextEvent[] = [];
  readonly surveys: (readonly SurveyedPair[])[] = [];
  readonly delivered: { readonly at: Instant; readonly ulids: AddressPair }[] = [];
  readonly records = new Map<ContextTag, TrafficRecord>();
  readonly mappings = new Map<ContextTag, Mapping>();
  readonly watched = new Set<ContextTag>();
  /** Contexts whose ICMPv6 errors the ULP doesn't get. */
  readonly withholding = new Set<ContextTag>();
  readonly armed: AddressPair[] = [];
  /** Of any context's traffic. */
  readings = 0;
  readonly #ulids = new Map<ContextTag, AddressPair>();
  readonly #defaults = new Set<ContextTag>();
  readonly #world: World;
  #options: Partial<EndpointConfig>;
  /** Contexts of the earlier run that the present one has not set. */
  #left = new Set<ContextTag>();
  readonly #addresses = new Set<Address>();
  locators: readonly LocalLocator[];

  constructor(
    world: World,
    seed: number,
    locators: readonly LocalLocator[],
    options: Partial<EndpointConfig>,
  ) {
    this.#world = world;
    this.locators = locators;
    this.#options = options;
    this.endpoint = this.#newEndpoint(seed);
    this.setLocators(locators);
  }

  #newEndpoint(seed: number): Endpoint {
    return new Endpoint({
      security: "unverified",
      sendTimeout: seconds(15),
      contextIdleTimeout: minutes(10),
      maxContexts: 1000,
      random: seededRandom(seed),
      keyedHash: hmac,
      ...this.#options,
    });
  }

  /** For the next run. */
  setOptions(options: Partial<EndpointConfig>): void {
    this.#options = options;
  }

  /** `kill -9`: the data plane goes on as it was last told. */
  kill(): void {
    this.running = false;
  }

  /**
   * A new daemon over the data plane of the one that was killed.
   * @param states what it finds of the old one
   */
  start(seed: number, states: readonly unknown[] = this.savedStates): RefusedState[] {
    this.running = true;
    this.#left = new Set(this.records.keys());
    this.endpoint = this.#newEndpoint(seed);
    this.setLocators(this.locators);
    const refused = this.endpoint.restore(this.#world.now, states);
    this.drain();
    for (const tag of this.#left) this.#clear(tag);
    return refused;
  }

  get savedStates(): unknown[] {
    return [...this.saved.values()].map((text): unknown => JSON.parse(text));
  }

  owns(candidate: Address): boolean {
    return this.#addresses.has(candidate);
  }

  setLocators(locators: readonly LocalLocator[]): void {
    this.locators = locators;
    for (const locator of locators) this.#addresses.add(locator.address);
    this.endpoint.handleLocalLocators(this.#world.now, locators);
    this.drain();
  }

  /** Takes one locator out of operation, or back into it. */
  setOperational(text: string, operational: boolean): void {
    const target = address(text);
    this.setLocators(
      this.locators.map((locator) =>
        locator.address === target ? { ...locator, operational } : locator,
      ),
    );
  }

  open(local: string, peer: string): boolean {
    const opened = this.endpoint.open(this.#world.now, {
      local: address(local),
      peer: address(peer),
    });
    this.drain();
    return opened;
  }

  command(run: (endpoint: Endpoint, now: Instant) => void): void {
    run(this.endpoint, this.#world.now);
    this.drain();
  }

  timeout(now: Instant): void {
    this.endpoint.handleTimeout(now);
    this.drain();
  }

  /**
   * An application sends one packet between two ULIDs.
   * @param fork the forked context whose selector the packet meets
   */
  send(ulids: AddressPair, fork?: ContextTag): void {
    const [tag, mapping] =
      [...this.mappings].find(([of, { ulids: mapped, selector }]) =>
        fork === undefined ? selector === undefined && same(mapped, ulids) : of === fork,
      ) ?? [];
    const context = tag ?? this.#tagOf(ulids);
    if (context !== undefined) this.records.get(context)?.out(this.#world.now, 100);
    const { local, peer } = mapping?.locators ?? ulids;
    const { encapsulated = false } = mapping?.locators ?? {};
    const payload = { tag: mapping?.peerTag };
    this.#world.transmit({ source: local, destination: peer, encapsulated, payload });
  }

  receive({ source, destination, encapsulated = false, control, payload }: Packet): void {
    const { now } = this.#world;
    // Without the setting there is no socket for it.
    if (encapsulated && this.#options.encapsulation === undefined) return;
    if (!this.running) {
      if (payload !== undefined)
        this.#deliver(now, { local: destination, peer: source }, payload.tag);
      return;
    }
    if (control !== undefined) {
      this.endpoint.handleControl(now, source, destination, control.bytes, encapsulated);
    }
    if (payload !== undefined)
      this.#receivePayload(now, { local: destination, peer: source }, payload.tag);
    this.drain();
  }

  drain(): void {
    for (let output = this.endpoint.poll(); output !== undefined; output = this.endpoint.poll()) {
      this.#carryOut(output);
    }
  }

  #carryOut(output: NonNullable<ReturnType<Endpoint["poll"]>>): void {
    switch (output.type) {
      case "send": {
        const { source, destination, encapsulated, bytes, message } = output;
        const control = { bytes, message };
        return this.#world.transmit({ source, destination, encapsulated, control });
      }
      case "set-context":
        this.#ulids.set(output.tag, output.ulids);
        if (output.forkedInstance === 0) this.#defaults.add(output.tag);
        if (!this.#left.delete(output.tag)) this.records.set(output.tag, new TrafficRecord());
        return;
      case "clear-context":
        return this.#clear(output.tag);
      case "save-context":
        return this.#save(output.tag);
      case "set-mapping":
        this.mappings.set(output.tag, output.mapping);
        return;
      case "clear-mapping":
        this.mappings.delete(output.tag);
        return;
      case "watch":
        if (output.on) this.watched.add(output.tag);
        else this.watched.delete(output.tag);
        return;
      case "withhold-errors":
        if (output.on) this.withholding.add(output.tag);
        else this.withholding.delete(output.tag);
        return;
      case "read-traffic": {
        const record = this.records.get(output.tag);
        this.readings += 1;
        if (record) this.endpoint.handleTraffic(this.#world.now, output.tag, record.snapshot);
        return;
      }
      case "await-traffic":
        return this.records.get(output.tag)?.await(() => {
          if (this.running) {
            this.command((endpoint, now) => endpoint.handleTrafficResumed(now, output.tag));
          }
        });
      case "mark-traffic":
        return this.records.get(output.tag)?.mark(output.direction);
      case "arm-trigger":
        this.armed.push(output.ulids);
        return;
      case "event":
        this.events.push(output.event);
        return;
      case "surveyed":
        this.surveys.push(output.pairs);
        return;
    }
  }

  #clear(tag: ContextTag): void {
    this.#ulids.delete(tag);
    this.#defaults.delete(tag);
    this.records.delete(tag);
    this.mappings.delete(tag);
    this.watched.delete(tag);
    this.withholding.delete(tag);
  }

  #save(tag: ContextTag): void {
    const state = this.endpoint.snapshot(tag);
    if (state === undefined) this.saved.delete(tag);
    else this.saved.set(tag, JSON.stringify(state));
  }

  #receivePayload(now: Instant, pair: AddressPair, tag: ContextTag | undefined): void {
    if (!this.#deliver(now, pair, tag)) {
      if (tag !== undefined) this.endpoint.handleUnknownTag(now, pair.peer, pair.local, tag);
      return;
    }
    const context = tag ?? this.#tagOf(pair);
    if (context !== undefined && this.watched.has(context))
      this.endpoint.handleInboundPayload(now, context, tag !== undefined);
  }

  /** The data plane's part, which needs no daemon. False when it has no such tag. */
  #deliver(now: Instant, pair: AddressPair, tag: ContextTag | undefined): boolean {
    const ulids = tag === undefined ? pair : this.#ulids.get(tag);
    if (ulids === undefined) return false;
    this.delivered.push({ at: now, ulids });
    const context = tag ?? this.#tagOf(pair);
    if (context !== undefined) this.records.get(context)?.in(now, 100);
    return true;
  }

  #tagOf(ulids: AddressPair): ContextTag | undefined {
    return [...this.#ulids].find(
      ([tag, known]) => this.#defaults.has(tag) && same(known, ulids),
    )?.[0];
  }
}

function same(a: AddressPair, b: AddressPair): boolean {
  return a.local === b.local && a.peer === b.peer;
}
