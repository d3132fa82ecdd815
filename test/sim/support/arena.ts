import type { LocalLocator, SecurityMode } from "../../../src/core/config.ts";
import { Endpoint } from "../../../src/core/endpoint.ts";
import { type AddressPair, type ContextEvent, pairKey } from "../../../src/core/output.ts";
import { after, type Instant, instant, seconds } from "../../../src/core/time.ts";
import type { ContextView } from "../../../src/core/view.ts";
import { EventQueue } from "../../../src/sim/event-queue.ts";
import { Host, type Surroundings } from "../../../src/sim/host.ts";
import type { Packet, Payload } from "../../../src/sim/packet.ts";
import { type Address, parseAddress } from "../../../src/wire/address.ts";
import { hbaLocators } from "../../core/support/identities.ts";
import { CRYPTO, type TestKey } from "../../identity/support/crypto.ts";
import { named } from "./runs.ts";

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

/** One way; all paths are alike. */
const DELAY = seconds(0.01);
/** Between two datagrams of an application. */
const INTERVAL = seconds(0.1);
/** Packets of one direction that make A open the context; B waits to be asked. */
const TRIGGER = 4;
const NEVER = 1e9;
/** The flow of what nobody keeps account of. */
const ASIDE = 99;

const PREFIXES = {
  a: ["2001:db8:a1::/64", "2001:db8:a2::/64"],
  b: ["2001:db8:b1::/64", "2001:db8:b2::/64"],
};

/** Whoever has an address beside the hosts: an attacker or a victim. */
export interface Station {
  readonly address: Address;
  receive(packet: Packet): void;
  /** Packets that pass where the station listens. */
  overhear?(packet: Packet): void;
}

/** A datagram that an application sent or got. */
interface Datagram {
  readonly at: Instant;
  readonly host: string;
  readonly payload: Payload;
}

/** From an instant to another one. */
interface Span {
  readonly from: Instant;
  readonly to: Instant;
}

/**
 * Two hosts, A and B, with two uplinks and a set of addresses each, whose applications send each
 * other a numbered datagram every 100 ms; and whoever attacks them.
 */
export class Arena implements Surroundings {
  now: Instant = instant(1_000_000);
  readonly a: Host;
  readonly b: Host;
  /** All packets that hosts sent, and when. */
  readonly wire: { readonly at: Instant; readonly packet: Packet }[] = [];
  /** All that hosts' applications got. */
  readonly delivered: Datagram[] = [];
  readonly events: ContextEvent[] = [];
  readonly #sent: Datagram[] = [];
  readonly #security: SecurityMode;
  readonly #queue = new EventQueue();
  readonly #hosts: Host[] = [];
  readonly #stations: Station[] = [];
  readonly #dead = new Set<Address>();
  #sequence = 0;

  /** @param key makes A's addresses CGAs too, so that A can prove addresses that come later */
  constructor(security: SecurityMode = "verified", key?: TestKey) {
    this.#security = security;
    this.a = this.addHost("a", hbaLocators(1, PREFIXES.a, key), TRIGGER);
    this.b = this.addHost("b", hbaLocators(2, PREFIXES.b));
  }

  /** As A has them. */
  get ulids(): AddressPair {
    return { local: first(this.a), peer: first(this.b) };
  }

  addHost(name: string, locators: readonly LocalLocator[], trigger = NEVER): Host {
    const scenario = { ...named("paper"), trigger, sendTimeout: 10, contextIdleTimeout: 600 };
    const provers = new Map(
      locators.flatMap(({ address: own, prover }) => (prover ? [[own, prover] as const] : [])),
    );
    const security = this.#security;
    const addresses = locators.map(({ address: own }) => own);
    const host = new Host(name, addresses, this, {
      ...{ scenario, seed: this.#hosts.length + 1, provers },
      makeEndpoint: (config) => new Endpoint({ ...config, security, identity: CRYPTO }),
    });
    this.#hosts.push(host);
    host.start();
    return host;
  }

  /** Somebody who gets what goes to the address, whoever else claims it. */
  add<Kind extends Station>(station: Kind): Kind {
    this.#stations.push(station);
    return station;
  }

  /** Applications begin to talk; the hosts' context is there before this returns. */
  establish(): void {
    this.#talk();
    this.run(3);
    for (const { state } of [this.context(this.a), this.context(this.b)]) {
      if (state !== "ESTABLISHED") throw new Error(`there is no session: ${state}`);
    }
  }

  /** The one context that A or B has with the other. */
  context(host: Host): ContextView {
    const mine = this.ulids;
    const [context, ...others] = host.endpoint
      .contexts()
      .filter(({ ulids }) => ulids.peer === (host === this.a ? mine.peer : mine.local));
    if (context === undefined || others.length > 0) {
      throw new Error(`${host.name} has ${others.length + (context ? 1 : 0)} contexts`);
    }
    return context;
  }

  /** No packet between hosts gets to or from these addresses any more; nobody is told. */
  cut(...addresses: readonly Address[]): void {
    for (const each of addresses) this.#dead.add(each);
  }

  heal(): void {
    this.#dead.clear();
  }

  run(span: number): void {
    const end = after(this.now, seconds(span));
    for (;;) {
      const host = this.#nextHost();
      const timer = host?.deadline;
      const event = this.#queue.nextAt;
      if (event !== undefined && event <= end && (timer === undefined || event <= timer)) {
        this.now = event;
        this.#queue.runNext();
      } else if (host !== undefined && timer !== undefined && timer <= end) {
        if (timer > this.now) this.now = timer;
        host.handleTimeout();
      } else break;
    }
    this.now = end;
  }

  /** A packet from wherever: its source need not be the sender's. */
  inject(packet: Packet): void {
    this.#queue.schedule(after(this.now, DELAY), () => this.#arrive(packet));
  }

  transmit(_host: Host, packet: Packet): void {
    this.wire.push({ at: this.now, packet });
    for (const station of this.#stations) station.overhear?.(packet);
    if (this.#dead.has(packet.source) || this.#dead.has(packet.destination)) return;
    this.inject(packet);
  }

  deliver(host: Host, payload: Payload): void {
    if (payload.flow === ASIDE) return;
    this.delivered.push({ at: this.now, host: host.name, payload });
  }

  handleEvent(_host: Host, event: ContextEvent): void {
    this.events.push(event);
  }

  reschedule(): void {
    // Deadlines are asked for when they are needed.
  }

  /** Further traffic, of which nobody keeps account. @param key `pairKey` of the ULIDs */
  converse(host: Host, ulids: AddressPair, key: string): void {
    host.send({ flow: ASIDE, kind: "request", sequence: 0, ulids }, key);
  }

  /** What hosts sent to the address, from the `count`-th packet on the wire on. */
  sentTo(destination: Address, count = 0): Packet[] {
    const packets = this.wire.slice(count).map(({ packet }) => packet);
    return packets.filter((packet) => packet.destination === destination);
  }

  /** One sentence for each datagram that came twice, elsewhere, or forged. */
  damage(): string[] {
    const seen = new Set<string>();
    const senders = new Map(this.#sent.map(({ host, payload }) => [nameOf(payload), host]));
    return this.delivered.flatMap(({ host, payload }) => {
      const name = nameOf(payload);
      const sender = senders.get(name);
      if (sender === undefined) return [`${host} got ${name}, which nobody sent`];
      if (sender === host) return [`${host} got its own ${name}`];
      if (seen.has(name)) return [`${host} got ${name} twice`];
      seen.add(name);
      return [];
    });
  }

  /** Datagrams sent in the span, by default all but those under way, that have not come. */
  lost({ from, to }: Span = { from: instant(0), to: this.now }): Datagram[] {
    const came = new Set(this.delivered.map(({ payload }) => nameOf(payload)));
    const end = Math.min(to, this.now - 2 * DELAY);
    return this.#sent.filter(
      ({ at, payload }) => at >= from && at <= end && !came.has(nameOf(payload)),
    );
  }

  #talk(): void {
    this.#sequence += 1;
    const { local, peer } = this.ulids;
    this.#send(this.a, 0, { local, peer });
    this.#send(this.b, 1, { local: peer, peer: local });
    this.#queue.schedule(after(this.now, INTERVAL), () => this.#talk());
  }

  #send(host: Host, flow: number, ulids: AddressPair): void {
    const payload: Payload = { flow, kind: "request", sequence: this.#sequence, ulids };
    this.#sent.push({ at: this.now, host: host.name, payload });
    host.send(payload, pairKey(ulids));
  }

  #arrive(packet: Packet): void {
    const { destination } = packet;
    const station = this.#stations.find((each) => each.address === destination);
    if (station !== undefined) return station.receive(packet);
    this.#hosts.find((host) => host.addresses.includes(destination))?.receive(packet);
  }

  #nextHost(): Host | undefined {
    return this.#hosts
      .filter(({ deadline }) => deadline !== undefined)
      .reduce<Host | undefined>(
        (best, host) =>
          (best?.deadline ?? Number.POSITIVE_INFINITY) <= (host.deadline ?? 0) ? best : host,
        undefined,
      );
  }
}

function first({ name, addresses: [ulid] }: Host): Address {
  if (ulid === undefined) throw new Error(`${name} has no address`);
  return ulid;
}

function nameOf({ flow, sequence }: Payload): string {
  return `datagram ${sequence} of flow ${flow}`;
}
