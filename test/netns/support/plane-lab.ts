import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { AddressPair } from "../../../src/core/output.ts";
import { Network } from "../../../src/lab/network.ts";
import { literal, type Topology, uplinkRouter } from "../../../src/lab/topology.ts";
import type { Address } from "../../../src/wire/address.ts";
import { ipv6FromFrame } from "../../../src/wire/frame.ts";
import { readCapture } from "../../../src/wire/pcap.ts";
import { TestNamespace, until } from "./namespaces.ts";

const TRAFFIC = fileURLToPath(new URL("./traffic.mjs", import.meta.url));
/** A plane may hear of packets that pass unchanged this much later. */
const REPORT_DELAY_MS = 100;
const TOPOLOGY: Topology = {
  isps: ["isp1", "isp2"],
  hosts: [
    {
      name: "a",
      uplinks: [
        { isp: "isp1", address: literal("2001:db8:1:a::1") },
        { isp: "isp2", address: literal("2001:db8:2:a::1") },
      ],
    },
    {
      name: "b",
      uplinks: [
        { isp: "isp1", address: literal("2001:db8:1:b::1") },
        { isp: "isp2", address: literal("2001:db8:2:b::1") },
      ],
    },
  ],
};

/** A process of a test that runs until it is stopped, or to its end. */
export class TestProcess {
  readonly child: ChildProcess;
  output = "";
  readonly #ended: Promise<number | null>;

  constructor(argv: readonly string[]) {
    const [file = "", ...args] = argv;
    this.child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
    this.#ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", resolve);
    });
  }

  said(text: string): Promise<void> {
    return until(`"${text}" in: ${this.output}`, () => this.output.includes(text), 20_000);
  }

  /** What it wrote, after its end. @throws Error when it failed. */
  async result(): Promise<string> {
    const code = await this.#ended;
    if (code !== 0) throw new Error(`ended with code ${code}: ${this.output}`);
    return this.output;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.child.kill(signal);
    await this.#ended;
  }
}

/** A host with two uplinks, each of its addresses leaving by its own. */
export class LabHost extends TestNamespace {
  readonly ulid: Address;
  readonly locator: Address;

  constructor(namespace: string, ulid: Address, locator: Address) {
    super(namespace);
    this.ulid = ulid;
    this.locator = locator;
  }

  start(...argv: string[]): TestProcess {
    return new TestProcess(["ip", "netns", "exec", this.name, ...argv]);
  }

  traffic(...args: (string | number)[]): TestProcess {
    return this.start(process.execPath, TRAFFIC, ...args.map(String));
  }

  /** Sends echo requests between the ULIDs; how many were answered, once the planes know. */
  async ping(peer: LabHost, count: number, ...options: string[]): Promise<number> {
    const args = ["-6", "-I", this.ulid, "-c", `${count}`, "-i", "0.02", "-W", "1", ...options];
    const ping = this.start("ping", ...args, peer.ulid);
    await ping.result().catch(() => undefined);
    await sleep(REPORT_DELAY_MS);
    // On a busy machine the timer may be handled before the reports that came meanwhile.
    await setImmediate();
    return Number(/(\d+) received/.exec(ping.output)?.[1] ?? 0);
  }

  /** Rules, routes, links and filters, to be compared. */
  async state(): Promise<string[]> {
    const commands = [
      ["ip", "-6", "rule"],
      ["ip", "-6", "route", "show", "table", "all"],
      ["ip", "-o", "link"],
      // Terse: what the set of busy pairs holds is traffic, not state.
      ["nft", "--terse", "list", "ruleset"],
      ["ip6tables-legacy-save"],
      ["tc", "filter", "show", "dev", "isp1", "ingress"],
    ];
    const states: string[] = [];
    for (const [command = "", ...args] of commands) {
      const text = await this.run(command, ...args);
      // Packets go on and are counted, and neighbour entries come and go.
      states.push(text.replace(/^#.*$|expires \d+sec|\[\d+:\d+\]|packets \d+ bytes \d+/gm, ""));
    }
    return states;
  }
}

/** Hosts a and b, joined by two ISPs. Their ULIDs are the addresses from isp1. */
export class PlaneLab {
  readonly network: Network;
  readonly a: LabHost;
  readonly b: LabHost;
  readonly #processes: TestProcess[] = [];

  private constructor(network: Network) {
    this.network = network;
    const [a, b] = ["a", "b"].map((name) => {
      const [first, second] = network.host(name).uplinks.map(({ address }) => address);
      if (first === undefined || second === undefined) throw new Error("two uplinks are needed");
      return new LabHost(network.namespace(name), first, second);
    });
    if (a === undefined || b === undefined) throw new Error("two hosts are needed");
    this.a = a;
    this.b = b;
  }

  static async create(): Promise<PlaneLab> {
    const network = await Network.create(TOPOLOGY);
    const lab = new PlaneLab(network);
    for (const host of [lab.a, lab.b]) await lab.#routeBySource(host);
    const echo = lab.b.traffic("echo");
    lab.#processes.push(echo);
    await echo.said("ready");
    return lab;
  }

  /** The ULID pair and the pair of the second locators, as `host` sees them. */
  pairs(host: LabHost): { ulids: AddressPair; locators: AddressPair } {
    const peer = host === this.a ? this.b : this.a;
    return {
      ulids: { local: host.ulid, peer: peer.ulid },
      locators: { local: host.locator, peer: peer.locator },
    };
  }

  router(isp: "isp1" | "isp2" | "core"): TestNamespace {
    return new TestNamespace(this.network.namespace(isp));
  }

  /** While `use` runs, the first ISP drops everything in silence. */
  async withoutFirstPath<Value>(use: () => Promise<Value>): Promise<Value> {
    const router = this.router("isp1");
    await router.run("nft", "add table ip6 cut");
    await router.run(
      "nft",
      "add chain ip6 cut forward { type filter hook forward priority 0; policy drop; }",
    );
    try {
      return await use();
    } finally {
      await router.run("nft", "delete table ip6 cut");
    }
  }

  /** From now on the ISP drops protocol 140. */
  async dropShim6(isp: "isp1" | "isp2"): Promise<void> {
    const router = this.router(isp);
    await router.run("nft", "add table ip6 shimless");
    await router.run(
      "nft",
      "add chain ip6 shimless forward { type filter hook forward priority 0; }",
    );
    await router.run("nft", "add rule ip6 shimless forward meta l4proto 140 drop");
  }

  /** The IPv6 packets that pass `device` of a node while `use` runs. */
  async capture(
    node: TestNamespace,
    device: string,
    filter: string,
    use: () => Promise<void>,
  ): Promise<Uint8Array[]> {
    const directory = await mkdtemp(join(tmpdir(), "l3shim-"));
    const file = join(directory, "capture.pcap");
    const tcpdump = new TestProcess([
      ...["ip", "netns", "exec", node.name, "tcpdump", "-i", device, "-s", "0", "-U"],
      ...["--immediate-mode", "-Z", "root", "-w", file, filter],
    ]);
    try {
      await tcpdump.said("listening on");
      await use();
      await tcpdump.stop("SIGINT");
      const { packets } = readCapture(await readFile(file));
      return packets.flatMap(({ linkType, bytes }) => {
        const frame = ipv6FromFrame(linkType, bytes);
        return frame.kind === "ipv6" ? [frame.packet] : [];
      });
    } finally {
      await tcpdump.stop("SIGKILL");
      await rm(directory, { recursive: true });
    }
  }

  async destroy(): Promise<void> {
    for (const process of this.#processes) await process.stop();
    await this.network.destroy();
  }

  /** What the daemon does for its locators (RFC 8028). */
  async #routeBySource(host: LabHost): Promise<void> {
    const { uplinks } = this.network.host(host === this.a ? "a" : "b");
    for (const [index, uplink] of uplinks.entries()) {
      const table = 100 + index;
      await host.ip6(`rule add pref 14020 from ${uplink.address} lookup ${table}`);
      await host.ip6(
        `route add default via ${uplinkRouter(uplink)} dev ${uplink.isp} table ${table}`,
      );
    }
  }
}
