import { type ChildProcess, execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { AddressPair } from "../src/core/output.ts";
import { Network } from "../src/lab/network.ts";
import { literal, uplinkRouter } from "../src/lab/topology.ts";
import { contextTag } from "../src/wire/tag.ts";
import { PlaneProcess, type PlaneTask, type PlaneWork } from "./plane-process.ts";
import { median } from "./statistics.ts";
import { TWO_HOSTS } from "./two-hosts.ts";

const execute = promisify(execFile);

const TAGS = { a: contextTag(0x1111_1111_1111), b: contextTag(0x2222_2222_2222) };

/** Octets of small datagrams: each costs what a packet costs, and next to nothing for its content. */
export const SMALL_DATAGRAM = 64;
/** Octets of the datagrams that QUIC, video and VPNs mostly send. */
export const LARGE_DATAGRAM = 1200;

/** As often at most iperf3 is asked for one figure. */
const IPERF_RUNS = 3;

const PLANE_HOST = fileURLToPath(new URL("plane-host.js", import.meta.url));

/** Two hosts, two ISPs, and an iperf3 server on host b. */
export class BenchNetwork {
  readonly #network: Network;
  readonly #server: ChildProcess;

  private constructor(network: Network) {
    this.#network = network;
    this.#server = this.#spawn("b", ["iperf3", "-s"]);
    // Where nobody reads what it says it stands still after some rounds.
    this.#server.stdout?.resume();
  }

  /** @throws Error without iperf3 or the right to make namespaces */
  static async create(): Promise<BenchNetwork> {
    await execute("iperf3", ["--version"]).catch((cause: unknown) => {
      throw new Error("the benchmark measures with iperf3: apt-get install iperf3", { cause });
    });
    const network = await Network.create(TWO_HOSTS);
    const bench = new BenchNetwork(network);
    for (const host of ["a", "b"]) await bench.#routeBySource(host);
    return bench;
  }

  /** Starts a plane on each host. */
  async startPlanes(work: PlaneWork): Promise<PlaneProcess[]> {
    const starting = (["a", "b"] as const).map((host) => this.#startPlane(host, work));
    const planes = await Promise.allSettled(starting);
    const running = planes.flatMap((plane) => (plane.status === "fulfilled" ? plane.value : []));
    const failed = planes.find((plane) => plane.status === "rejected");
    if (failed === undefined) return running;
    for (const plane of running) await plane.stop();
    throw failed.reason;
  }

  /** Has neighbors found, and the planes' first packets behind them. */
  async warmUp(): Promise<void> {
    await this.#run("a", ["ping", "-6", "-c", "5", "-i", "0.05", "-I", ulid("a"), ulid("b")]);
  }

  /** Gbit/s received. @param congestionControl the machine's own when it is left out */
  async tcp(seconds: number, congestionControl?: string): Promise<number> {
    const choice = congestionControl === undefined ? [] : ["-C", congestionControl];
    const sum = await this.#iperf(seconds, choice, ({ end }) => end?.sum_received);
    return sum.bits_per_second / 1e9;
  }

  /** Packets received per second. @param octets of each datagram @param options iperf3's */
  async udp(
    seconds: number,
    octets: number = SMALL_DATAGRAM,
    options: readonly string[] = [],
  ): Promise<number> {
    const datagrams = ["-u", "-b", "0", "-l", `${octets}`, ...options];
    const sum = await this.#iperf(seconds, datagrams, ({ end }) => end?.sum);
    return (sum.packets - sum.lost_packets) / sum.seconds;
  }

  /** Median round-trip time in microseconds. */
  async ping(): Promise<number> {
    const argv = ["ping", "-6", "-c", "200", "-i", "0.002", "-I", ulid("a"), ulid("b")];
    const output = await this.#run("a", argv);
    const times = [...output.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1000);
    return median(times);
  }

  /** Has the hosts cut TCP's segments themselves, or leave that to their links. */
  async setOffload(state: "on" | "off"): Promise<void> {
    for (const host of ["a", "b"]) {
      for (const isp of TWO_HOSTS.isps) {
        await this.#run(host, ["ethtool", "-K", isp, "tso", state, "gso", state]);
      }
    }
  }

  async destroy(): Promise<void> {
    this.#server.kill();
    await this.#network.destroy();
  }

  #startPlane(local: "a" | "b", work: PlaneWork): Promise<PlaneProcess> {
    const peer = local === "a" ? "b" : "a";
    const ulids: AddressPair = { local: address(local, 1), peer: address(peer, 1) };
    const locators: AddressPair = { local: address(local, 2), peer: address(peer, 2) };
    const mapping = { ulids, locators, peerTag: TAGS[peer] };
    const task: PlaneTask = { ...work, tag: TAGS[local], mapping };
    const argv = [process.execPath, PLANE_HOST, JSON.stringify(task)];
    return PlaneProcess.start(this.#spawn(local, argv), local);
  }

  /**
   * One run in some hundred ends well and says nothing: it is done again, and that is told of.
   * @param read takes what is asked for from what iperf3 says
   * @throws Error when it never says it
   */
  async #iperf<Sum>(
    seconds: number,
    options: readonly string[],
    read: (report: IperfReport) => Sum | undefined,
  ): Promise<Sum> {
    const argv = ["iperf3", "-6", "-J", "-t", `${seconds}`, "-B", ulid("a"), "-c", ulid("b")];
    let answer = "";
    for (let run = 0; run < IPERF_RUNS; run++) {
      answer = await this.#run("a", [...argv, ...options]);
      const sum = read(JSON.parse(answer) as IperfReport);
      if (sum !== undefined) return sum;
      console.error(`iperf3 gave no sums (${run + 1} of ${IPERF_RUNS} runs)`);
    }
    throw new Error(`iperf3 gave no sums in ${IPERF_RUNS} runs: ${answer.slice(0, 1000)}`);
  }

  async #routeBySource(host: string): Promise<void> {
    for (const [index, uplink] of this.#network.host(host).uplinks.entries()) {
      const table = `${100 + index}`;
      const route = ["default", "via", uplinkRouter(uplink), "dev", uplink.isp, "table", table];
      await this.#run(host, ["ip", "-6", "rule", "add", "from", uplink.address, "lookup", table]);
      await this.#run(host, ["ip", "-6", "route", "add", ...route]);
    }
  }

  async #run(host: string, argv: readonly string[]): Promise<string> {
    const args = ["netns", "exec", this.#network.namespace(host), ...argv];
    return (await execute("ip", args, { maxBuffer: 64 << 20 })).stdout;
  }

  #spawn(host: string, argv: readonly string[]): ChildProcess {
    const args = ["netns", "exec", this.#network.namespace(host), ...argv];
    return spawn("ip", args, { stdio: ["pipe", "pipe", "inherit"] });
  }
}

/** What we read of its JSON; all of it may be missing. */
interface IperfReport {
  readonly end?: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum?: {
      readonly packets: number;
      readonly lost_packets: number;
      readonly seconds: number;
    };
  };
}

function address(host: "a" | "b", isp: 1 | 2): AddressPair["local"] {
  return literal(`2001:db8:${isp}:${host}::1`);
}

function ulid(host: "a" | "b"): string {
  return address(host, 1);
}
