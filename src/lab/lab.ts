import { mkdtemp, rm } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { Network } from "./network.ts";
import type { Topology } from "./topology.ts";

/** A network, a directory for files and what has to be ended with them. */
export class Lab {
  readonly network: Network;
  /** Removed in the end. */
  readonly directory: string;
  readonly #cleanUps: (() => Promise<unknown>)[] = [];

  private constructor(network: Network, directory: string) {
    this.network = network;
    this.directory = directory;
  }

  static async open(topology: Topology): Promise<Lab> {
    const network = await Network.create(topology);
    return new Lab(network, await mkdtemp(join(tmpdir(), "l3lab-")));
  }

  /** Does this when the lab closes, the last added first. */
  defer(cleanUp: () => Promise<unknown>): void {
    this.#cleanUps.push(cleanUp);
  }

  /** As {@link close} in a hurry: all processes end at once, and with them what waits for them. */
  async abandon(): Promise<void> {
    await this.network.destroy();
    await this.close();
  }

  /** Ends everything, whatever fails on the way; then throws the first failure. */
  async close(): Promise<void> {
    const steps = [...this.#cleanUps.splice(0).reverse(), () => this.network.destroy()];
    steps.push(() => rm(this.directory, { recursive: true, force: true }));
    const failures: unknown[] = [];
    for (const step of steps) {
      await step().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** Opens a lab, lends it to `body` and closes it: also on errors, SIGINT and SIGTERM. */
export async function withLab<Value>(
  topology: Topology,
  body: (lab: Lab) => Promise<Value>,
): Promise<Value> {
  const opening = Lab.open(topology);
  const interrupt = (signal: NodeJS.Signals) => {
    const exit = () => process.exit(128 + constants.signals[signal]);
    opening.then((lab) => lab.abandon()).then(exit, exit);
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    const lab = await opening;
    try {
      return await body(lab);
    } finally {
      await lab.close();
    }
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}
