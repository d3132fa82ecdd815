import { generateKeyPairSync } from "node:crypto";
import type { AddressPair } from "../../src/core/output.ts";
import { type Instant, instant } from "../../src/core/time.ts";
import type { EchoSystem } from "../../src/daemon/check/echoes.ts";
import type { Clock } from "../../src/daemon/clock.ts";
import { type RsaKey, readPrivateKey } from "../../src/daemon/crypto/rsa-key.ts";
import type {
  HostNetwork,
  NetworkMonitor,
  NetworkObserver,
  OwnAddress,
  OwnEntries,
  OwnState,
  SourceRoute,
  SourceRule,
} from "../../src/daemon/host/network.ts";
import type { IdentitySystem } from "../../src/daemon/identity/address-sets.ts";
import { IdentityFiles } from "../../src/daemon/identity/identity-files.ts";
import type { Echo, EchoSocket } from "../../src/linux/echo-socket.ts";
import type { OpenPackets, SeenPacket } from "../../src/linux/packet-socket.ts";
import {
  type AddressLabel,
  ANY_PREFIX,
  type InterfaceAddress,
  type Link,
  MAIN_TABLE,
  type Route,
} from "../../src/linux/rtnetlink.ts";
import { type Address, parseAddress } from "../../src/wire/address.ts";

/** What the configuration says of an uplink that it only names. */
export const PLAIN_UPLINK = {
  gateway: undefined,
  priority: undefined,
  backup: false,
  metered: false,
  weight: 0,
  transient: false,
  exclude: false,
  prefix: undefined,
};

export function linkOf(index: number, changes: Partial<Link> = {}): Link {
  return {
    index,
    name: `eth${index}`,
    up: true,
    carrier: true,
    running: true,
    loopback: false,
    ethernet: true,
    mtu: 1500,
    master: undefined,
    alias: undefined,
    group: 0,
    kind: undefined,
    ...changes,
  };
}

export function addressOn(
  link: number,
  text: string,
  changes: Partial<InterfaceAddress> = {},
): InterfaceAddress {
  return {
    address: address(text),
    prefixLength: 64,
    link,
    scope: "global",
    tentative: false,
    optimistic: false,
    dadFailed: false,
    noDad: false,
    deprecated: false,
    temporary: false,
    permanent: true,
    preferredLifetime: undefined,
    validLifetime: undefined,
    protocol: undefined,
    ...changes,
  };
}

/** A default route of the main table via fe80::LINK. */
export function defaultRoute(link: number, changes: Partial<Route> = {}): Route {
  return {
    destination: ANY_PREFIX,
    source: ANY_PREFIX,
    gateway: address(`fe80::${link}`),
    link,
    table: MAIN_TABLE,
    metric: 1024,
    protocol: 4,
    type: "unicast",
    mtu: undefined,
    preferredSource: undefined,
    ...changes,
  };
}

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return parsed;
}

/** Time that stands still until a test moves it. The wall clock starts at 1970. */
export class VirtualClock implements Clock {
  #now: number;
  #slept = 0;
  #worked = 0;
  readonly timers = new Map<object, { at: number; callback: () => void }>();

  constructor(now = 1_000_000) {
    this.#now = now;
  }

  now(): Instant {
    return instant(this.#now);
  }

  /** A clock that goes on while the machine sleeps. */
  bootTime(): Instant {
    return instant(this.#now + this.#slept);
  }

  sleep(span: number): void {
    this.#slept += span;
  }

  wall(): number {
    return this.#now - 1_000_000;
  }

  worked(): number {
    return this.#worked;
  }

  /** Takes so many milliseconds of the processor. */
  work(span: number): void {
    this.#worked += span;
  }

  schedule(at: Instant, callback: () => void): () => void {
    const timer = {};
    this.timers.set(timer, { at, callback });
    return () => this.timers.delete(timer);
  }

  /** Moves on by so many milliseconds; timers fire in order, each at its time. */
  advance(span: number): void {
    const end = this.#now + span;
    for (;;) {
      const due = [...this.timers].sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined || due[1].at > end) break;
      this.timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].callback();
    }
    this.#now = end;
  }
}

/** A host network that tests change by hand. */
export class FakeMonitor implements NetworkMonitor {
  network: HostNetwork;
  observer: NetworkObserver | undefined;

  constructor(network: HostNetwork) {
    this.network = network;
  }

  start(observer: NetworkObserver): void {
    this.observer = observer;
  }

  change(network: HostNetwork): void {
    this.network = network;
    this.observer?.changed();
  }

  close(): void {
    this.observer = undefined;
  }
}

/** The host's tables as far as they are ours; the kernel's refusals can be played. */
export class FakeEntries implements OwnEntries {
  readonly ruleList: SourceRule[] = [];
  readonly routeList: SourceRoute[] = [];
  readonly ulidList: Address[] = [];
  /** Addresses of our making, "on link N, deprecated or preferred" by address. */
  readonly addressList = new Map<Address, string>();
  readonly labelList: AddressLabel[] = [{ prefix: ANY_PREFIX, label: 1 }];
  /** Addresses that stand on the loopback interface and are not ours. */
  readonly foreignUlids = new Set<Address>();
  /** Kernels before 5.18 cannot tell which addresses are ours. */
  marksUlids = true;
  readonly log: string[] = [];
  refuse: (change: string) => boolean = () => false;

  closed = false;
  /** Of the host's addresses, as the kernel says now. */
  lifetimes: readonly InterfaceAddress[] = [];

  read(): OwnState {
    return {
      rules: [...this.ruleList],
      routes: [...this.routeList],
      ulids: this.marksUlids ? [...this.ulidList] : [],
    };
  }

  readAddresses(): readonly InterfaceAddress[] {
    return this.lifetimes;
  }

  close(): void {
    this.closed = true;
  }

  addRule(rule: SourceRule): void {
    this.#note(`add rule ${rule.priority} from ${rule.from} table ${rule.table}`);
    this.ruleList.push(rule);
  }

  removeRule(rule: SourceRule): void {
    this.#note(`remove rule ${rule.priority} from ${rule.from} table ${rule.table}`);
    this.ruleList.splice(this.ruleList.indexOf(rule), 1);
  }

  addRoute(route: SourceRoute): void {
    this.#note(`add route table ${route.table} via ${route.gateway}`);
    this.routeList.push(route);
  }

  removeRoute(route: SourceRoute): void {
    this.#note(`remove route table ${route.table} via ${route.gateway}`);
    this.routeList.splice(this.routeList.indexOf(route), 1);
  }

  addUlid(ulid: Address): boolean {
    if (this.foreignUlids.has(ulid)) return false;
    if (this.ulidList.includes(ulid)) return this.marksUlids;
    this.#note(`add ulid ${ulid}`);
    this.ulidList.push(ulid);
    return true;
  }

  removeUlid(ulid: Address): void {
    this.#note(`remove ulid ${ulid}`);
    const at = this.ulidList.indexOf(ulid);
    if (at >= 0) this.ulidList.splice(at, 1);
  }

  setAddress({ address: own, link, deprecated }: OwnAddress): void {
    const state = `on link ${link}, ${deprecated ? "deprecated" : "preferred"}`;
    this.#note(`set address ${own} ${state}`);
    this.addressList.set(own, state);
  }

  removeAddress({ address: own, link }: OwnAddress): void {
    this.#note(`remove address ${own} on link ${link}`);
    this.addressList.delete(own);
  }

  readLabels(): AddressLabel[] {
    return [...this.labelList];
  }

  addLabel(label: AddressLabel): void {
    this.#note(`add label ${label.label} of ${label.prefix.address}/${label.prefix.length}`);
    this.labelList.push(label);
  }

  removeLabel({ prefix, label }: AddressLabel): void {
    this.#note(`remove label ${label} of ${prefix.address}/${prefix.length}`);
    const at = this.labelList.findIndex(
      (other) => other.prefix.address === prefix.address && other.prefix.length === prefix.length,
    );
    this.labelList.splice(at, 1);
  }

  dropWaiting(link: number, neighbor: Address): void {
    this.#note(`drop what waits for ${neighbor} on link ${link}`);
  }

  #note(change: string): void {
    if (this.refuse(change)) throw new Error(`refused: ${change}`);
    this.log.push(change);
  }
}

/** Paths that answer every echo soon, but for what a test takes away. */
export class FakeEchoes implements EchoSystem {
  /** Whether a packet of this size (octets) gets there and back. */
  passes: (pair: AddressPair, size: number) => boolean = () => true;
  /** What the kernel knows of the path. */
  mtuOf: (pair: AddressPair) => number = () => 1500;

  open(onReply: (reply: Echo) => void): EchoSocket {
    return {
      send: (request) => {
        const { local, peer, length } = request;
        if (this.passes({ local, peer }, length + 40)) setImmediate(() => onReply(request));
      },
      close: () => undefined,
    };
  }

  mtu(pair: AddressPair): number {
    return this.mtuOf(pair);
  }

  identifier(): number {
    return 7;
  }
}

/** The packets of interfaces, which a test lets pass. */
export class FakePackets {
  /** What goes by unseen until the next packet. */
  missed = 0;
  readonly #taps = new Map<object, FakeTap>();

  readonly open: OpenPackets = (length, onBatch, onError) => {
    const tap = {
      takeMissed: () => {
        const { missed } = this;
        this.missed = 0;
        return missed;
      },
      close: () => this.#taps.delete(tap),
    };
    this.#taps.set(tap, { length, onBatch, onError });
    return tap;
  };

  get isOpen(): boolean {
    return this.#taps.size > 0;
  }

  pass(packet: SeenPacket): void {
    for (const { length, onBatch } of this.#taps.values()) {
      onBatch([{ ...packet, bytes: packet.bytes.subarray(0, length) }]);
    }
  }

  fail(error: Error): void {
    for (const { onError } of this.#taps.values()) onError(error);
  }
}

interface FakeTap {
  readonly length: number;
  readonly onBatch: (packets: readonly SeenPacket[]) => void;
  readonly onError: (error: Error) => void;
}

let testKey: RsaKey | undefined;
let randomCalls = 0;

/** Identity files in a directory, virtual time, and cryptography that takes none of it. */
export function identitySystem(directory: string, clock: VirtualClock): IdentitySystem {
  return {
    files: new IdentityFiles(directory),
    clock,
    crypto: {
      random: (length) => new Uint8Array(length).fill(++randomCalls),
      newKey: () => Promise.resolve(fixedKey()),
      findModifier: (_sec, { modifier }) => Promise.resolve(modifier),
    },
  };
}

/** The same in all of a file's tests: making one takes a while. */
function fixedKey(): RsaKey {
  if (testKey !== undefined) return testKey;
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const key = readPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" }) as string);
  if (!key.ok) throw new Error(key.error.message);
  testKey = key.value;
  return testKey;
}
