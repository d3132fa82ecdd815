import { DataPlaneError } from "../dataplane/dataplane.ts";
import { SystemError } from "../linux/system-error.ts";
import { ControlSocketError } from "./control/socket.ts";
import { StateDirectoryError } from "./host/ulid-file.ts";
import type { Logger } from "./log.ts";
import { TraceFileError } from "./trace-file.ts";

/** A terminal that goes away is a wish to stop, too: nothing must be left behind. */
const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
/** A successor goes on with what the data plane carries. */
const HAND_OVER_SIGNAL = "SIGUSR2";

/** What ends the daemon: a signal or a failure, whatever comes first. */
export class EndOfRun {
  /** Resolves when the daemon should stop. */
  readonly reached: Promise<void>;
  readonly #log: Logger;
  readonly #end = new AbortController();
  #stopping = false;
  #handsOver = false;
  #status = 0;

  constructor(log: Logger) {
    this.#log = log;
    this.reached = new Promise((resolve) => {
      this.#end.signal.addEventListener("abort", () => resolve());
    });
    for (const signal of [...STOP_SIGNALS, HAND_OVER_SIGNAL]) {
      process.on(signal, () => this.#handleSignal(signal));
    }
    process.on("uncaughtException", (error) => this.fail(error));
    process.on("unhandledRejection", (reason) => this.fail(reason));
  }

  /** The exit status: 0 unless something failed. */
  get status(): number {
    return this.#status;
  }

  /** The daemon should leave everything as it is: nobody wants it stopped, and nothing failed. */
  get handsOver(): boolean {
    return this.#handsOver && this.#status === 0;
  }

  /** Reports why the daemon must stop. */
  fail(reason: unknown): void {
    this.#status = 1;
    this.#log.error(describeFailure(reason));
    this.#end.abort();
  }

  #handleSignal(signal: string): void {
    // Whoever asks twice does not want to wait; the next start removes what this one leaves.
    if (this.#stopping) process.exit(1);
    this.#stopping = true;
    this.#handsOver = signal === HAND_OVER_SIGNAL;
    this.#log.info({ signal }, this.#handsOver ? "handing over" : "stopping");
    this.#end.abort();
  }
}

/** Their messages say all that a user needs. */
const PLAIN_FAILURES = [ControlSocketError, StateDirectoryError, SystemError, TraceFileError];

/** What the user can mend is told as such; anything else with the stack that we need. */
export function describeFailure(reason: unknown): string {
  if (reason instanceof DataPlaneError) return `${reason.message}. ${reason.remedy}`;
  if (PLAIN_FAILURES.some((type) => reason instanceof type)) return (reason as Error).message;
  if (reason instanceof Error) return reason.stack ?? reason.message;
  return String(reason);
}
