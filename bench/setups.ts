import { BenchNetwork, LARGE_DATAGRAM, SMALL_DATAGRAM } from "./network.ts";
import type { PlaneProcess, PlaneWork } from "./plane-process.ts";

/** What the packets meet: nothing, nothing without offload, a plane that looks or rewrites. */
export const SETUPS = [
  "plain",
  "plain-no-offload",
  "nfqueue-observed",
  "nfqueue-rewritten",
  "ebpf-observed",
  "ebpf-rewritten",
] as const;
export type Setup = (typeof SETUPS)[number];

const PLANE_WORK: Partial<Record<Setup, Omit<PlaneWork, "contexts">>> = {
  "nfqueue-observed": { plane: "nfqueue", rewrite: false },
  "nfqueue-rewritten": { plane: "nfqueue", rewrite: true },
  "ebpf-observed": { plane: "ebpf", rewrite: false },
  "ebpf-rewritten": { plane: "ebpf", rewrite: true },
};

/**
 * Gbit/s of TCP; UDP's small packets per second, the same with sender and receiver on a processor
 * each, and its large packets, all as received; the median round-trip time in microseconds.
 */
export const FIGURES = ["tcp", "udp", "pinnedUdp", "largeUdp", "ping"] as const;
export type Figure = (typeof FIGURES)[number];

/** One setup's figures of one round. */
export type Measurement = { readonly setup: Setup } & Readonly<Record<Figure, number>>;

export interface MeasureOptions {
  /** Of each run. */
  readonly seconds: number;
  /** Of TCP, as Linux names them. */
  readonly congestionControl: string;
}

/** iperf3's option: the sender's processor, and the receiver's. */
const ON_A_PROCESSOR_EACH = ["-A", "0,1"];

/**
 * A plane in user space is compiled while it runs, and a daemon has run for long: so many seconds of
 * each kind of traffic come before what is measured.
 */
const WARM_UP_SECONDS = 2;

/** Hosts of its own for a setup, with its planes at work. */
export class Bench {
  readonly setup: Setup;
  readonly #network: BenchNetwork;
  readonly #planes: readonly PlaneProcess[];
  readonly #options: MeasureOptions;

  private constructor(
    setup: Setup,
    network: BenchNetwork,
    planes: readonly PlaneProcess[],
    options: MeasureOptions,
  ) {
    this.setup = setup;
    this.#network = network;
    this.#planes = planes;
    this.#options = options;
  }

  static async create(setup: Setup, options: MeasureOptions): Promise<Bench> {
    const network = await BenchNetwork.create();
    try {
      if (setup === "plain-no-offload") await network.setOffload("off");
      const work = PLANE_WORK[setup];
      const planes = work === undefined ? [] : await network.startPlanes({ ...work, contexts: 1 });
      await network.warmUp();
      await network.tcp(WARM_UP_SECONDS, options.congestionControl);
      await network.udp(WARM_UP_SECONDS);
      return new Bench(setup, network, planes, options);
    } catch (error) {
      await network.destroy();
      throw error;
    }
  }

  measure(figure: Figure): Promise<number> {
    const { seconds, congestionControl } = this.#options;
    switch (figure) {
      case "tcp":
        return this.#network.tcp(seconds, congestionControl);
      case "udp":
        return this.#network.udp(seconds);
      case "pinnedUdp":
        return this.#network.udp(seconds, SMALL_DATAGRAM, ON_A_PROCESSOR_EACH);
      case "largeUdp":
        return this.#network.udp(seconds, LARGE_DATAGRAM);
      case "ping":
        return this.#network.ping();
    }
  }

  async destroy(): Promise<void> {
    for (const plane of this.#planes) await plane.stop();
    await this.#network.destroy();
  }
}
