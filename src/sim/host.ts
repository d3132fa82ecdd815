import type { EndpointConfig, LocalLocator } from "../core/config.ts";
import { ADAPTIVE_KEEPALIVE_TIMEOUT } from "../core/defaults.ts";
import { Endpoint } from "../core/endpoint.ts";
import { type AddressPair, type ContextEvent, type Output, pairKey } from "../core/output.ts";
import { type Instant, seconds } from "../core/time.ts";
import type { Prover } from "../identity/prove-locators.ts";
import type { Address } from "../wire/address.ts";
import type { ContextTag } from "../wire/tag.ts";
import { checkDelivery, checkOutputs } from "./invariants.ts";
import { PAYLOAD_BYTES, type Packet, type Payload } from "./packet.ts";
import { type PlaneContext, SimPlane } from "./plane.ts";
import { SimRandom, simKeyedHash } from "./random.ts";
import type { Scenario } from "./scenario.ts";

/** What a host sees of the world around it. */
export interface Surroundings {
  readonly now: Instant;
  transmit(host: Host, packet: Packet): void;
  /** Payload has reached the application. */
  deliver(host: Host, payload: Payload): void;
  handleEvent(host: Host, event: ContextEvent): void;
  /** The host's next deadline may have changed. */
  reschedule(host: Host): void;
}

/** How a host's endpoint is made; tests plant broken ones. */
export type EndpointMaker = (config: EndpointConfig) => Endpoint;

/** A driver with a data plane of Maps: what the daemon and a real plane do. */
export class Host {
  readonly name: string;
  /** When a failure that touches this host last began or ended. */
  changedAt: Instant;
  readonly #surroundings: Surroundings;
  readonly #scenario: Scenario;
  readonly #seed: number;
  readonly #makeEndpoint: EndpointMaker;
  readonly #provers: ReadonlyMap<Address, Prover> | undefined;
  #addresses: readonly Address[];
  /** Probes sent for each context since somebody last asked. */
  #probes = new Map<ContextTag, number>();
  readonly #lost = new Map<number, number>();
  #endpoint: Endpoint;
  #plane: SimPlane;
  #boots = 0;
  #halts = 0;

  constructor(
    name: string,
    addresses: readonly Address[],
    surroundings: Surroundings,
    { scenario, seed, provers, makeEndpoint = (config) => new Endpoint(config) }: HostOptions,
  ) {
    this.name = name;
    this.#addresses = addresses;
    this.#surroundings = surroundings;
    this.#scenario = scenario;
    this.#seed = seed;
    this.#makeEndpoint = makeEndpoint;
    this.#provers = provers;
    this.changedAt = surroundings.now;
    this.#plane = new SimPlane(scenario.trigger);
    this.#endpoint = this.#boot();
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** In the order of its uplinks. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  get plane(): SimPlane {
    return this.#plane;
  }

  get isUp(): boolean {
    return this.#halts === 0;
  }

  /** The next instant at which `handleTimeout` must be called. */
  get deadline(): Instant | undefined {
    return this.isUp ? this.#endpoint.pollTimeout()?.at : undefined;
  }

  /** Probes sent for each context since the last call. */
  takeProbeCounts(): ReadonlyMap<ContextTag, number> {
    const probes = this.#probes;
    if (probes.size > 0) this.#probes = new Map();
    return probes;
  }

  /** Gives the endpoint the addresses that it starts with. */
  start(): void {
    this.#announceLocators();
  }

  /** Power off: state is gone, packets pass unheard. */
  halt(): void {
    this.#halts += 1;
    this.#plane = new SimPlane(this.#scenario.trigger);
    this.#surroundings.reschedule(this);
  }

  /** Power on, with a new endpoint, once every halt has ended. */
  resume(): void {
    this.#halts -= 1;
    if (!this.isUp) return;
    this.#endpoint = this.#boot();
    this.#announceLocators();
  }

  /** One more (or, with -1, one fewer) failure that the host sees takes the uplink away. */
  changeUplink(uplink: number, change: 1 | -1): void {
    this.#lost.set(uplink, (this.#lost.get(uplink) ?? 0) + change);
    if (this.isUp) this.#announceLocators();
  }

  /** Its uplinks have other addresses now. */
  changeAddresses(addresses: readonly Address[]): void {
    this.#addresses = addresses;
    if (this.isUp) this.#announceLocators();
  }

  handleTimeout(): void {
    this.#endpoint.handleTimeout(this.#surroundings.now);
    this.#drain();
  }

  /** An application sends a packet. @param key `pairKey` of its ULIDs */
  send(payload: Payload, key: string): void {
    if (!this.isUp) return;
    const context = this.#plane.byUlids(key);
    if (context === undefined) this.#count(payload.ulids, key);
    else context.traffic.out(this.#surroundings.now, PAYLOAD_BYTES);
    const mapping = this.#plane.outbound(key);
    const { local, peer } = mapping?.locators ?? payload.ulids;
    const tag = mapping?.peerTag;
    const packet: Packet = { type: "payload", source: local, destination: peer, payload, tag };
    this.#surroundings.transmit(this, packet);
  }

  receive(packet: Packet): void {
    if (!this.isUp) return;
    if (packet.type === "payload") return this.#receivePayload(packet);
    const { source, destination, bytes } = packet;
    this.#endpoint.handleControl(this.#surroundings.now, source, destination, bytes);
    this.#drain();
  }

  #receivePayload(packet: Extract<Packet, { readonly type: "payload" }>): void {
    const { now } = this.#surroundings;
    const { source, destination, payload, tag } = packet;
    if (tag === undefined) {
      const pair = { local: destination, peer: source };
      const key = pairKey(pair);
      const context = this.#plane.byUlids(key);
      checkDelivery(this, packet, pair);
      if (context === undefined) this.#count(pair, key);
      else this.#noteInbound(context, false);
    } else {
      const context = this.#plane.byTag(tag);
      if (context === undefined) {
        this.#endpoint.handleUnknownTag(now, source, destination, tag);
        return this.#drain();
      }
      checkDelivery(this, packet, context.ulids);
      this.#noteInbound(context, true);
    }
    this.#surroundings.deliver(this, payload);
  }

  #noteInbound({ traffic, watched, tag }: PlaneContext, tagged: boolean): void {
    const { now } = this.#surroundings;
    traffic.in(now, PAYLOAD_BYTES);
    if (!watched) return;
    this.#endpoint.handleInboundPayload(now, tag, tagged);
    this.#drain();
  }

  #count(ulids: AddressPair, key: string): void {
    if (!this.#plane.count(key)) return;
    this.#endpoint.handleTrigger(this.#surroundings.now, ulids);
    this.#drain();
  }

  #announceLocators(): void {
    const locators = this.#addresses.map((address, uplink): LocalLocator => {
      const operational = (this.#lost.get(uplink) ?? 0) === 0;
      const prover = this.#provers?.get(address);
      return { address, preference: 0, operational, ...(prover === undefined ? {} : { prover }) };
    });
    this.#endpoint.handleLocalLocators(this.#surroundings.now, locators);
    this.#drain();
  }

  #boot(): Endpoint {
    this.#boots += 1;
    const random = new SimRandom(this.#seed, `host ${this.name} ${this.#boots}`);
    return this.#makeEndpoint({
      security: "unverified",
      sendTimeout: seconds(this.#scenario.sendTimeout),
      ...detection(this.#scenario),
      ...failBack(this.#scenario),
      contextIdleTimeout: seconds(this.#scenario.contextIdleTimeout),
      maxContexts: 10_000,
      random: (length) => random.octets(length),
      keyedHash: simKeyedHash,
    });
  }

  /** Carries out what the endpoint wants done, and has its next timeout noted. */
  #drain(): void {
    let outputs = 0;
    for (let next = this.#endpoint.poll(); next !== undefined; next = this.#endpoint.poll()) {
      outputs += 1;
      checkOutputs(this, outputs);
      this.#carryOut(next);
    }
    this.#surroundings.reschedule(this);
  }

  #carryOut(output: Output): void {
    const plane = this.#plane;
    switch (output.type) {
      case "send": {
        const { source, destination, bytes, message, tag } = output;
        if (message.type === "Probe" && tag !== undefined) {
          this.#probes.set(tag, (this.#probes.get(tag) ?? 0) + 1);
        }
        const packet: Packet = { type: "control", source, destination, bytes, message };
        return this.#surroundings.transmit(this, packet);
      }
      case "set-context":
        return plane.set(output.tag, output.ulids);
      case "clear-context":
        return plane.clear(output.tag);
      case "arm-trigger":
        return plane.arm(output.ulids);
      case "event":
        return this.#surroundings.handleEvent(this, output.event);
      case "save-context":
        // Nobody restarts here with what he knew.
        return;
      case "surveyed":
        // Nobody asks for one here.
        return;
      default:
        return this.#carryOutForContext(output);
    }
  }

  #carryOutForContext(output: ContextOutput): void {
    const context = this.#plane.byTag(output.tag);
    if (context === undefined) return;
    switch (output.type) {
      case "set-mapping":
        return this.#plane.setMapping(output.tag, output.mapping);
      case "clear-mapping":
        return this.#plane.clearMapping(output.tag);
      case "watch":
        context.watched = output.on;
        return;
      case "withhold-errors":
        // There are no routers here that would send ICMPv6 errors.
        return;
      case "read-traffic": {
        const { now } = this.#surroundings;
        return this.#endpoint.handleTraffic(now, output.tag, context.traffic.snapshot);
      }
      case "await-traffic":
        return context.traffic.await((now) => {
          this.#endpoint.handleTrafficResumed(now, output.tag);
          this.#drain();
        });
      case "mark-traffic":
        return context.traffic.mark(output.direction);
    }
  }
}

/** As the daemon has it by default. */
function detection({
  detect = "rfc",
}: Scenario): Pick<EndpointConfig, "detect" | "keepaliveTimeout"> {
  if (detect === "rfc") return { detect };
  return { detect, keepaliveTimeout: ADAPTIVE_KEEPALIVE_TIMEOUT };
}

function failBack({ failBack: policy }: Scenario): Pick<EndpointConfig, "failBack"> {
  if (policy === undefined) return {};
  return { failBack: { hold: seconds(policy.hold), maxHold: seconds(policy.maxHold) } };
}

export interface HostOptions {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly makeEndpoint?: EndpointMaker | undefined;
  /** What proves the addresses that are CGAs or of an HBA set. */
  readonly provers?: ReadonlyMap<Address, Prover>;
}

/** Outputs about a context that the data plane has. */
type ContextOutput = Extract<
  Output,
  {
    readonly type:
      | "set-mapping"
      | "clear-mapping"
      | "watch"
      | "withhold-errors"
      | "read-traffic"
      | "await-traffic"
      | "mark-traffic";
  }
>;
