import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import type { Mapping } from "../src/core/output.ts";
import type { ContextTag } from "../src/wire/tag.ts";

/** What a plane does in a measurement. */
export interface PlaneWork {
  readonly plane: "nfqueue" | "ebpf";
  /** Whether the measured context has another pair of locators than its ULIDs. */
  readonly rewrite: boolean;
  /** How many there are, the measured one among them. */
  readonly contexts: number;
}

/** What a host's plane is to do. */
export interface PlaneTask extends PlaneWork {
  readonly tag: ContextTag;
  readonly mapping: Mapping;
}

/** Runs of an eBPF program since the plane's process last said. */
export interface ProgramRuns {
  readonly name: string;
  readonly runs: number;
  readonly nanoseconds: number;
}

/** What the plane's process writes when it is ready. */
export interface PlaneReady {
  /** Of one call of setContext, on average. */
  readonly microsecondsPerContext: number;
}

/** A data plane that runs on a host of the lab, in a process of its own as in a daemon. */
export class PlaneProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly ready: PlaneReady;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, ready: PlaneReady) {
    this.#child = child;
    this.#lines = lines;
    this.ready = ready;
  }

  /** @param child runs bench/plane-host.ts */
  static async start(child: ChildProcess, host: string): Promise<PlaneProcess> {
    if (child.stdout === null) throw new Error("the plane's process was started without pipes");
    const output: Interface = createInterface({ input: child.stdout });
    const lines = output[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) throw new Error(`the data plane of host ${host} did not start`);
    return new PlaneProcess(child, lines, JSON.parse(first.value) as PlaneReady);
  }

  /** Switches the kernel's statistics of eBPF programs on, or off; what ran while they were on. */
  async statistics(on: boolean): Promise<ProgramRuns[]> {
    this.#child.stdin?.write(`statistics ${on ? "on" : "off"}\n`);
    const answer = await this.#lines.next();
    if (answer.done) throw new Error("the data plane's process has ended");
    return JSON.parse(answer.value) as ProgramRuns[];
  }

  async stop(): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, "exit");
  }
}
