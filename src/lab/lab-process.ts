import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { inNamespace, LabError } from "./shell.ts";

export interface LabProcessOptions {
  readonly namespace: string;
  readonly argv: readonly string[];
  /** Called for each line of standard output. */
  readonly onLine?: (line: string) => void;
}

/** A process that runs in a namespace of the lab for a while. */
export class LabProcess {
  readonly #child: ChildProcess;
  readonly #command: string;
  readonly #ended: Promise<void>;
  #hasEnded = false;
  #errorText = "";

  constructor({ namespace, argv, onLine }: LabProcessOptions) {
    const [file = "", ...args] = inNamespace(namespace, argv);
    this.#command = argv.join(" ");
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
    const { stdin, stdout, stderr } = this.#pipes();
    // Writing to one that ended is no fault of ours: `exitCode` tells.
    stdin.on("error", () => undefined);
    stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-MOST_ERROR_TEXT);
    });
    if (onLine === undefined) stdout.resume();
    else createInterface({ input: stdout }).on("line", onLine);
    this.#ended = new Promise((resolve) => {
      const end = () => {
        this.#hasEnded = true;
        resolve();
      };
      this.#child.on("close", end).on("error", end);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves once the process has ended and all it wrote was read. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The last that it wrote to standard error. */
  get errorText(): string {
    return this.#errorText.trim();
  }

  /** What to throw when the process has ended, or does nothing, against expectation. */
  failure(what: string): LabError {
    const said = this.errorText === "" ? "and said nothing" : `saying: ${this.errorText}`;
    return new LabError(`${what}: "${this.#command}" ended or hangs, ${said}`);
  }

  /** To its standard input. */
  write(text: string): void {
    this.#pipes().stdin.write(text);
  }

  closeInput(): void {
    this.#pipes().stdin.end();
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#hasEnded) this.#child.kill(signal);
  }

  /** Waits up to `patience` ms for the process to end by itself. Returns whether it did. */
  async endsWithin(patience: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patience);
    });
    await Promise.race([this.#ended, timeout]);
    // Left alone it would keep the whole process from ending.
    clearTimeout(timer);
    return this.#hasEnded;
  }

  /** Ends the process: by `signal`, and by SIGKILL when that does nothing for `patience` ms. */
  async stop(signal: NodeJS.Signals = "SIGTERM", patience = 5_000): Promise<void> {
    this.signal(signal);
    if (await this.endsWithin(patience)) return;
    this.signal("SIGKILL");
    await this.#ended;
  }

  #pipes() {
    const { stdin, stdout, stderr } = this.#child;
    if (stdin === null || stdout === null || stderr === null) {
      throw new TypeError("the process was started without pipes");
    }
    return { stdin, stdout, stderr };
  }
}

/** Characters */
const MOST_ERROR_TEXT = 4_000;
