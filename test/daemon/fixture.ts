import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Endpoint } from "../../src/core/endpoint.ts";
import type { HostFacts } from "../../src/daemon/check/host-facts.ts";
import { parseConfig } from "../../src/daemon/config/config.ts";
import { ContextFiles } from "../../src/daemon/contexts/context-files.ts";
import { Authority } from "../../src/daemon/control/authority.ts";
import { IDENTITY_PRIMITIVES } from "../../src/daemon/crypto/primitives.ts";
import { Daemon } from "../../src/daemon/daemon.ts";
import type { HostNetwork } from "../../src/daemon/host/network.ts";
import { UlidFile } from "../../src/daemon/host/ulid-file.ts";
import type { Uplink } from "../../src/daemon/host/uplinks.ts";
import type { Address } from "../../src/wire/address.ts";
import { FakePlane } from "./fake-planes.ts";
import {
  address,
  addressOn,
  defaultRoute,
  FakeEchoes,
  FakeEntries,
  FakeMonitor,
  FakePackets,
  identitySystem,
  linkOf,
  VirtualClock,
} from "./fakes.ts";

/** A daemon on fakes: a scripted network, a plane without packets, virtual time. */
export interface TestDaemon {
  readonly daemon: Daemon;
  readonly plane: FakePlane;
  readonly monitor: FakeMonitor;
  readonly own: FakeEntries;
  readonly clock: VirtualClock;
  readonly socket: string;
  readonly echoes: FakeEchoes;
  readonly packets: FakePackets;
  /** By which link packets from an address leave, if not by its own. */
  readonly egress: Map<Address, number>;
  readonly failures: Error[];
  readonly logged: Record<string, unknown>[];
}

export const A1 = address("2001:db8:a1::a");
export const A2 = address("2001:db8:a2::a");
export const B1 = address("2001:db8:b1::b");
export const B2 = address("2001:db8:b2::b");

/** Uplinks up0, up1 … with one address each. */
export function networkOf(...addresses: readonly string[]): HostNetwork {
  return {
    links: addresses.map((_, i) => linkOf(i + 1, { name: `up${i}` })),
    addresses: addresses.map((text, i) => addressOn(i + 1, text)),
    routes: addresses.map((_, i) => defaultRoute(i + 1)),
  };
}

/** What a daemon may find of an earlier one. */
interface Surroundings {
  readonly plane?: FakePlane;
  readonly own?: FakeEntries;
  /** Of the machine. */
  readonly boot?: string;
}

/** Makes daemons and removes what they leave. */
export class Workshop {
  readonly directory = mkdtempSync(join(tmpdir(), "l3shim-test-"));
  readonly #daemons: TestDaemon[] = [];

  /** @param name also seeds its random numbers */
  create(
    name: string,
    network: HostNetwork,
    clock = new VirtualClock(),
    extraConfig = "",
    authority = new Authority(),
    { plane = new FakePlane(), own = new FakeEntries(), boot = "boot" }: Surroundings = {},
  ): TestDaemon {
    const config = parseConfig(
      `security = "unverified"\nsend-timeout = 10\ndetect = "rfc"\n${extraConfig}`,
      "test.toml",
    );
    const monitor = new FakeMonitor(network);
    const failures: Error[] = [];
    const echoes = new FakeEchoes();
    const packets = new FakePackets();
    const egress = new Map<Address, number>();
    const logged: Record<string, unknown>[] = [];
    const daemon = new Daemon({
      config,
      version: "0.0.0-test",
      authority,
      clock,
      bootTime: () => clock.bootTime(),
      endpoint: new Endpoint({
        ...config,
        random: seededRandom(name),
        keyedHash,
        identity: IDENTITY_PRIMITIVES,
      }),
      plane,
      system: {
        monitor,
        own,
        ulidFile: new UlidFile(this.stateOf(name), boot),
        identity: identitySystem(this.stateOf(name), clock),
      },
      readFacts: (uplinks) => Promise.resolve(lookAt(uplinks, monitor.network, egress)),
      echoes,
      openPackets: packets.open,
      contextFiles: new ContextFiles(this.stateOf(name), boot),
      tcpSessions: (local) => [{ local, localPort: 40_000, peer: B2, peerPort: 22 }],
      log: pino(
        { level: "info", base: null },
        { write: (line: string) => logged.push(JSON.parse(line) as Record<string, unknown>) },
      ),
      failed: (error) => failures.push(error),
    });
    const socket = join(this.directory, `${name}.sock`);
    const made = {
      echoes,
      packets,
      egress,
      daemon,
      plane,
      monitor,
      own,
      clock,
      socket,
      failures,
      logged,
    };
    this.#daemons.push(made);
    return made;
  }

  /** The state directory of the daemons of this name. */
  stateOf(name: string): string {
    return join(this.directory, name);
  }

  /** Two daemons, started, whose control messages reach each other at once. */
  async createPair(configOfFirst = ""): Promise<readonly [TestDaemon, TestDaemon]> {
    const clock = new VirtualClock();
    const a = this.create("a", networkOf(A1, A2), clock, configOfFirst);
    const b = this.create("b", networkOf(B1, B2), clock);
    await a.daemon.start(a.socket);
    await b.daemon.start(b.socket);
    connect(a, b);
    connect(b, a);
    return [a, b];
  }

  /** Two daemons with an ESTABLISHED context on A1 and B1, by its tag at the first. */
  async establish(configOfFirst = "") {
    const [a, b] = await this.createPair(configOfFirst);
    a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
    const tag = [...a.daemon.contexts()][0]?.localTag;
    if (tag === undefined) throw new Error("no context");
    return { a, b, tag };
  }

  async close(): Promise<void> {
    for (const { daemon } of this.#daemons) await daemon.stop();
    rmSync(this.directory, { recursive: true });
  }
}

export function connect(from: TestDaemon, to: TestDaemon): void {
  from.plane.sendControl = (source, destination, bytes) => {
    to.plane.events.control(to.clock.now(), source, destination, bytes.slice());
  };
}

function keyedHash(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHash("sha256").update(key).update(data).digest();
}

function lookAt(
  uplinks: readonly Uplink[],
  { links }: HostNetwork,
  egress: ReadonlyMap<Address, number>,
): HostFacts {
  const facts = healthyFacts(uplinks);
  return { ...facts, links, egress: new Map([...facts.egress, ...egress]) };
}

/** A host on which nothing is wrong. */
export function healthyFacts(uplinks: readonly Uplink[]): HostFacts {
  return {
    capabilities: new Set(["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"]),
    kernelRelease: "6.12.0",
    ipv6Disabled: false,
    hasPrograms: true,
    ruleCommands: ["nft"],
    links: [],
    uplinks,
    egress: new Map(
      uplinks.flatMap(({ link, locators }) => locators.map(({ address }) => [address, link])),
    ),
    firewall: { ruleset: { nftables: [] } },
  };
}

/** The same octets in every run. */
function seededRandom(seed: string): (length: number) => Uint8Array {
  let count = 0;
  return (length) => {
    const blocks: Buffer[] = [];
    for (let i = 0; i < length; i += 32) {
      count += 1;
      blocks.push(createHash("sha256").update(`${seed} ${count}`).digest());
    }
    return Buffer.concat(blocks).subarray(0, length);
  };
}

/** Takes what a stream tells until its end. */
export async function collect<Item>(stream: AsyncIterable<Item>, items: Item[]): Promise<void> {
  for await (const item of stream) items.push(item);
}
