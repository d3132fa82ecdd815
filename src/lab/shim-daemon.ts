import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Detection, SecurityMode } from "../core/config.ts";
import { type Account, findAccount } from "../linux/accounts.ts";
import { LabProcess } from "./lab-process.ts";
import type { Network } from "./network.ts";
import { pinDirectory, providePins } from "./pins.ts";
import { inNamespace, LabError, run, waitFor } from "./shell.ts";
import { parseShimEvent, type ShimEvent } from "./shim-event.ts";

export interface ShimOptions {
  /** Seconds. */
  readonly sendTimeout: number;
  /** A directory for configuration, socket and state. */
  readonly directory: string;
  readonly security?: SecurityMode;
  /** The best that works here, when it is left out. */
  readonly dataplane?: "auto" | "ebpf" | "nfqueue";
  /** "rfc" when it is left out: most of what the lab shows is what the Send Timeout does. */
  readonly detect?: Detection;
  /** Whom the daemon runs as, by name; root unless another one is named. */
  readonly user?: string;
  /** Further lines of configuration, in TOML. */
  readonly extraConfig?: string;
}

/** ms; a busy machine takes long to start Node twice. */
const START_PATIENCE = 60_000;
const STOP_PATIENCE = 10_000;

const L3SHIM = fileURLToPath(new URL("../../bin/l3shim", import.meta.url));

/** An L3SHIM daemon on a host of the lab, and what it says happens. */
export class ShimDaemon {
  readonly host: string;
  readonly #network: Network;
  readonly #directory: string;
  readonly #events: ShimEvent[] = [];
  readonly #onEvent: (event: ShimEvent) => void;
  readonly #user: string | undefined;
  #daemon: LabProcess;

  private constructor(
    network: Network,
    host: string,
    options: ShimOptions,
    onEvent: (event: ShimEvent) => void,
  ) {
    this.host = host;
    this.#network = network;
    this.#directory = join(options.directory, host);
    this.#onEvent = onEvent;
    this.#user = options.user;
    this.#daemon = this.#launch();
  }

  /**
   * Writes the configuration, starts the daemon and follows its events.
   * @throws LabError when the daemon doesn't open its socket; the message has its words.
   */
  static async start(
    network: Network,
    host: string,
    options: ShimOptions,
    onEvent: (event: ShimEvent) => void = () => undefined,
  ): Promise<ShimDaemon> {
    const directory = join(options.directory, host);
    await mkdir(directory, { recursive: true });
    providePins(network.namespace(host));
    const pins = pinDirectory(network.namespace(host));
    if (options.user !== undefined) {
      await giveTo(options.user, directory, [options.directory, dirname(pins)]);
    }
    await writeFile(join(directory, "config.toml"), configuration(options, pins));
    const daemon = new ShimDaemon(network, host, options, onEvent);
    await daemon.#follow();
    return daemon;
  }

  get pid(): number | undefined {
    return this.#daemon.pid;
  }

  get events(): readonly ShimEvent[] {
    return this.#events;
  }

  get socket(): string {
    return join(this.#directory, "control.sock");
  }

  get hasEnded(): boolean {
    return this.#daemon.hasEnded;
  }

  /** @throws LabError with the daemon's last words when it has ended. */
  checkAlive(): void {
    if (this.#daemon.hasEnded) throw this.#daemon.failure(`the daemon of ${this.host} is gone`);
  }

  /** Runs a command of the CLI against this daemon and returns its JSON. */
  async query(...command: string[]): Promise<unknown> {
    const argv = [L3SHIM, ...command, "--json", "--socket", this.socket];
    return JSON.parse(await run(inNamespace(this.#network.namespace(this.host), argv)));
  }

  /** What the control API says of `path`: as {@link query}, without the CLI's start. */
  get(path: "/v1/contexts" | "/v1/locators" | "/v1/status"): Promise<unknown> {
    return this.#call("GET", path, undefined);
  }

  /** A command by the control API. @throws LabError when the daemon refuses it */
  post(path: string, body: object): Promise<unknown> {
    return this.#call("POST", path, body);
  }

  /** As a crash would: no clean-up, no farewell. */
  async kill(): Promise<void> {
    this.#daemon.signal("SIGKILL");
    await this.#daemon.ended;
  }

  /** Starts the daemon anew after {@link kill} or {@link stop}. */
  async restart(): Promise<void> {
    this.#daemon = this.#launch();
    await this.#follow();
  }

  async stop(): Promise<void> {
    await this.#daemon.stop("SIGTERM", STOP_PATIENCE);
  }

  /** Has it leave what it carries to a successor: see {@link restart}. */
  async handOver(): Promise<void> {
    await this.#daemon.stop("SIGUSR2", STOP_PATIENCE);
  }

  /** Takes away what it left, after {@link kill}. */
  async flush(): Promise<void> {
    await run(inNamespace(this.#network.namespace(this.host), [...this.#argv, "--flush"]));
  }

  async #call(method: string, path: string, body: object | undefined): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    const call = request({ socketPath: this.socket, method, path, headers });
    call.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(call, "response")) as [IncomingMessage];
    const answer = await json(response);
    if (response.statusCode === 200) return answer;
    throw new LabError(
      `${method} ${path}: the daemon of ${this.host} answers ${JSON.stringify(answer)}`,
    );
  }

  #launch(): LabProcess {
    return new LabProcess({
      namespace: this.#network.namespace(this.host),
      argv: this.#argv,
    });
  }

  get #argv(): string[] {
    const file = (name: string) => join(this.#directory, name);
    const paths = ["--config", file("config.toml"), "--state-dir", file("state")];
    return [L3SHIM, "daemon", ...paths, "--socket", this.socket, ...privilegeOptions(this.#user)];
  }

  /** Waits for the control socket and takes the daemon's events from there on. */
  async #follow(): Promise<void> {
    const failure = () => this.#daemon.failure(`the daemon of host ${this.host} did not start`);
    const stream = await waitFor(
      () => {
        if (this.#daemon.hasEnded) throw failure();
        return subscribe(this.socket);
      },
      { timeout: START_PATIENCE, interval: 50, timeoutError: failure },
    );
    const lines = createInterface({ input: stream }).on("line", (line) => this.#take(line));
    // It ends with the daemon, abruptly where that was killed.
    lines.on("error", () => undefined);
  }

  #take(line: string): void {
    const event = parseShimEvent(line, this.host);
    this.#events.push(event);
    this.#onEvent(event);
  }
}

/**
 * The daemon's directories are those of the lab's user, whatever user the system has for the shim.
 * And L3SHIM may lie in the home of whoever called sudo, where others and root without its
 * capabilities cannot read.
 */
function privilegeOptions(user = "root"): string[] {
  const uid = user === "root" ? process.geteuid?.() : accountOf(user).uid;
  return ["--user", user, ...(isClosed(L3SHIM, uid) ? ["--read-any-file"] : [])];
}

/** Whether the modes of the file and of the directories that it is in keep this user out. */
function isClosed(path: string, reader: number | undefined): boolean {
  const { uid, mode } = statSync(path);
  const needed = uid === reader ? 0o500 : 0o005;
  const parent = dirname(path);
  return (mode & needed) !== needed || (parent !== path && isClosed(parent, reader));
}

/** Directories of the lab are its own user's alone by default, or may be: the user comes by `parents`. */
async function giveTo(user: string, directory: string, parents: readonly string[]): Promise<void> {
  const { uid, gid } = accountOf(user);
  for (const parent of parents) if (existsSync(parent)) await chmod(parent, 0o711);
  await chown(directory, uid, gid);
}

function accountOf(user: string): Account {
  const account = findAccount(user);
  if (account === undefined) throw new LabError(`this system has no user "${user}"`);
  return account;
}

/** By default as in the paper, which did without HBA and CGA: believed without proof. */
function configuration(options: ShimOptions, pins: string): string {
  const { sendTimeout, security = "unverified", dataplane = "auto" } = options;
  const { detect = "rfc", extraConfig = "" } = options;
  return [
    `security = "${security}"`,
    `send-timeout = ${sendTimeout}`,
    `detect = "${detect}"`,
    `dataplane = "${dataplane}"`,
    `ebpf.pin-directory = "${pins}"`,
    `${extraConfig}\n`,
  ].join("\n");
}

/**
 * What `l3shim monitor --json` prints, taken from the control API itself: once this resolves, no
 * event is missed. `undefined` while nobody listens on the socket.
 */
function subscribe(socketPath: string): Promise<IncomingMessage | undefined> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: "/v1/events" }, resolve);
    call.on("error", () => resolve(undefined)).end();
  });
}
