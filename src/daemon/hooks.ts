import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type Duration, seconds } from "../core/time.ts";
import { type MonitorEvent, SCHEMA_VERSION } from "./api.ts";
import type { Subscription } from "./control/events.ts";
import type { Logger } from "./log.ts";

/** A hook that takes longer is killed. */
const TIME_LIMIT = seconds(10);
/** Events that wait for the hooks of earlier ones; beyond that they go without hooks. */
const MOST_WAITING = 256;
/** Of what a hook writes to standard error, the end, for the log. */
const KEPT_CHARACTERS = 500;
/** What editors and dpkg leave beside a file. */
const LEFTOVER = /^\.|~$|\.(dpkg|ucf)-/;

/** Gives up what the daemon passes on to programs that it runs (ambient capabilities). */
const WITHOUT_CAPABILITIES = ["setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--"];

export interface HooksParts {
  readonly directory: string;
  readonly log: Logger;
  /** Root would get its capabilities back: no hook is run then. */
  readonly isRoot: boolean;
  readonly timeLimit?: Duration;
}

/**
 * Runs the executables of a directory for each event, in the order of their names, with the event
 * on standard input. One runs at a time, so that hooks see events in their order; the daemon
 * never waits for any.
 */
export class Hooks implements Subscription {
  readonly messages = false;
  readonly #parts: HooksParts;
  readonly #waiting: MonitorEvent[] = [];
  readonly #counters = { "hooks-run": 0, "hooks-failed": 0, "hooks-dropped": 0 };
  #working = false;
  #running: ChildProcess | undefined;
  #ended = false;
  #warned = false;

  constructor(parts: HooksParts) {
    this.#parts = parts;
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#counters;
  }

  receive(event: MonitorEvent): void {
    if (this.#ended) return;
    if (this.#waiting.length >= MOST_WAITING) this.#drop();
    else this.#waiting.push(event);
    if (!this.#working) void this.#work();
  }

  #drop(): void {
    if (this.#files().length > 0) this.#counters["hooks-dropped"] += 1;
  }

  /** Kills what runs, and forgets what waits. */
  end(): void {
    this.#ended = true;
    this.#waiting.length = 0;
    if (this.#running !== undefined) kill(this.#running);
  }

  async #work(): Promise<void> {
    this.#working = true;
    // To start a program takes a millisecond or two: not in the midst of what has happened.
    await setImmediate();
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      for (const file of this.#files()) await this.#run(file, event);
    }
    this.#working = false;
  }

  /** Read anew for each event: hooks come and go without the daemon's being told. */
  #files(): string[] {
    const { directory, isRoot } = this.#parts;
    const files = this.#executables();
    if (files.length === 0 || !isRoot) return files;
    this.#warnOnce(
      `the hooks in ${directory} are not run, for they would have the privileges of root: let the ` +
        "daemon run as a user of its own (--user)",
    );
    return [];
  }

  #executables(): string[] {
    const { directory } = this.#parts;
    try {
      return executables(directory);
    } catch (error) {
      this.#warnOnce(`the hooks are not run: ${(error as Error).message}`);
      return [];
    }
  }

  #warnOnce(text: string): void {
    if (!this.#warned) this.#parts.log.warn(text);
    this.#warned = true;
  }

  async #run(file: string, event: MonitorEvent): Promise<void> {
    if (this.#ended) return;
    this.#counters["hooks-run"] += 1;
    const problem = await this.#outcome(file, event);
    if (problem === undefined || this.#ended) return;
    this.#counters["hooks-failed"] += 1;
    this.#parts.log.warn({ hook: file, event: event.event }, `a hook ${problem}`);
  }

  /** What went wrong, if something did. */
  async #outcome(file: string, event: MonitorEvent): Promise<string | undefined> {
    const { timeLimit = TIME_LIMIT } = this.#parts;
    const child = start(file, event);
    this.#running = child;
    const said = lastWords(child);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      kill(child);
    }, timeLimit);
    try {
      const [code, signal] = (await once(child, "close")) as [number | null, string | null];
      if (isLate) return `took longer than ${timeLimit / 1000} s and was killed`;
      return code === 0 ? undefined : `ended with ${signal ?? `status ${code}`}${said()}`;
    } catch (error) {
      return `cannot be run: ${(error as Error).message}`;
    } finally {
      clearTimeout(timer);
      this.#running = undefined;
    }
  }
}

/** Those that this process may execute, in the order of their names. */
function executables(directory: string): string[] {
  return namesIn(directory)
    .filter((name) => !LEFTOVER.test(name))
    .toSorted()
    .map((name) => join(directory, name))
    .filter(isExecutable);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch (error) {
    // Not executable, or gone meanwhile.
    if (["EACCES", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

/** In a process group of its own, so that the time limit holds for what it starts, too. */
function start(file: string, event: MonitorEvent): ChildProcess {
  const [command = "", ...options] = WITHOUT_CAPABILITIES;
  const child = spawn(command, [...options, file], {
    cwd: "/",
    detached: true,
    env: { PATH: process.env.PATH, L3SHIM_EVENT: event.event },
    stdio: ["pipe", "ignore", "pipe"],
  });
  const line = JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...event });
  // A hook need not read what it gets.
  child.stdin?.on("error", () => undefined).end(`${line}\n`);
  return child;
}

function lastWords(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (more: string) => {
    text = (text + more).slice(-KEPT_CHARACTERS);
  });
  return () => (text.trim() === "" ? "" : `, saying: ${text.trim()}`);
}

function kill({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // It has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
