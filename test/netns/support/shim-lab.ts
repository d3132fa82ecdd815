import type { SecurityMode } from "../../../src/core/config.ts";
import type { ContextStatus, ContextsReply } from "../../../src/daemon/api.ts";
import { addFilter, STATEFUL_FIREWALL } from "../../../src/lab/filter.ts";
import { Lab } from "../../../src/lab/lab.ts";
import { poll } from "../../../src/lab/shell.ts";
import { ShimDaemon, type ShimOptions } from "../../../src/lab/shim-daemon.ts";
import type { ShimEvent } from "../../../src/lab/shim-event.ts";
import { literal, PAPER_TOPOLOGY, type Topology } from "../../../src/lab/topology.ts";

/** Seconds: below what RFC 5534 recommends, so that the tests don't wait for long. */
export const SEND_TIMEOUT = 2;

export const A1 = literal("2001:db8:1:a::1");
export const A2 = literal("2001:db8:2:a::1");
export const B1 = literal("2001:db8:1:b::1");
export const B2 = literal("2001:db8:2:b::1");

export const A_TO_B = { from: "a", to: "b", source: A1, destination: B1 };
export const B_TO_A = { from: "b", to: "a", source: B1, destination: A1 };

export interface ShimLabOptions {
  /** The hosts that run a daemon. */
  readonly shims: readonly string[];
  /** The paper's unless another one is named. */
  readonly topology?: Topology;
  readonly firewall?: boolean;
  readonly security?: SecurityMode;
  /** Whom the daemons run as; root unless another one is named. */
  readonly user?: string;
  readonly extraConfig?: string;
}

/**
 * The tests of the whole run with each data plane: vitest.config.ts says which. Never "auto": a
 * plane that cannot be had is to fail them.
 */
export const DATAPLANE = process.env["L3SHIM_TEST_DATAPLANE"] === "nfqueue" ? "nfqueue" : "ebpf";

/** A network with daemons, for tests of the whole. Close it in the end. */
export class ShimLab {
  readonly lab: Lab;
  readonly #daemons = new Map<string, ShimDaemon>();
  readonly #options: Pick<ShimOptions, "security" | "user">;

  private constructor(lab: Lab, options: Pick<ShimOptions, "security" | "user">) {
    this.lab = lab;
    this.#options = options;
  }

  static async open(options: ShimLabOptions): Promise<ShimLab> {
    const lab = await Lab.open(options.topology ?? PAPER_TOPOLOGY);
    const { security = "unverified", user } = options;
    const shimLab = new ShimLab(lab, user === undefined ? { security } : { security, user });
    try {
      await shimLab.#start(options);
    } catch (error) {
      await shimLab.close();
      throw error;
    }
    return shimLab;
  }

  get network() {
    return this.lab.network;
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  daemon(host: string): ShimDaemon {
    const daemon = this.#daemons.get(host);
    if (daemon === undefined) throw new Error(`no daemon on host ${host}`);
    return daemon;
  }

  async startDaemon(host: string, extraConfig = ""): Promise<ShimDaemon> {
    const { network, directory } = this.lab;
    const options: ShimOptions = {
      ...this.#options,
      ...{ sendTimeout: SEND_TIMEOUT, directory, dataplane: DATAPLANE, extraConfig },
    };
    const daemon = await ShimDaemon.start(network, host, options);
    this.#daemons.set(host, daemon);
    this.lab.defer(() => daemon.stop());
    return daemon;
  }

  /** The one context of the ULIDs A1 and B1, as the host's daemon shows it. */
  async context(host: string): Promise<ContextStatus> {
    const [context, ...others] = await this.contexts(host);
    if (context === undefined || others.length > 0) {
      throw new Error(`host ${host} has ${others.length + (context ? 1 : 0)} contexts, not one`);
    }
    return context;
  }

  async contexts(host: string): Promise<readonly ContextStatus[]> {
    const reply = (await this.daemon(host).get("/v1/contexts")) as ContextsReply;
    return reply.contexts;
  }

  /**
   * Waits until hosts a and b have one context each, both ESTABLISHED with each other's tag.
   * @returns those contexts
   */
  async untilAgreed(timeout = 60_000): Promise<{ a: ContextStatus; b: ContextStatus }> {
    const agreed = async () => {
      const [[a, ...othersOfA], [b, ...othersOfB]] = await Promise.all([
        this.contexts("a"),
        this.contexts("b"),
      ]);
      if (a === undefined || b === undefined || othersOfA.length + othersOfB.length > 0) return;
      const established = [a, b].every(({ state }) => state === "ESTABLISHED");
      return established && a.peerTag === b.localTag && b.peerTag === a.localTag
        ? { a, b }
        : undefined;
    };
    const contexts = async () =>
      JSON.stringify([await this.contexts("a"), await this.contexts("b")]);
    const found = await poll(agreed, { timeout, interval: 200 });
    if (found === undefined) throw new Error(`no agreement of a and b: ${await contexts()}`);
    return found;
  }

  /** Waits until all daemons of `hosts` have said `event` since `since` (Unix time in ms). */
  async untilAll(
    hosts: readonly string[],
    event: ShimEvent["event"],
    since: number,
    timeout = 30_000,
  ): Promise<void> {
    const said = (host: string) =>
      this.daemon(host).events.some((entry) => entry.event === event && entry.time >= since);
    if (await poll(() => hosts.every(said) || undefined, { timeout })) return;
    const missing = hosts.filter((host) => !said(host));
    const events = JSON.stringify([...this.#daemons.values()].flatMap((daemon) => daemon.events));
    throw new Error(`"${event}" is missing on ${missing.join(" and ")}; there were ${events}`);
  }

  async #start({ shims, firewall = false, extraConfig = "" }: ShimLabOptions): Promise<void> {
    if (firewall) {
      for (const host of ["a", "b"]) {
        await addFilter(this.network.namespace(host), STATEFUL_FIREWALL);
      }
    }
    await Promise.all(shims.map((host) => this.startDaemon(host, extraConfig)));
  }
}
