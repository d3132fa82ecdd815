import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab } from "../../src/lab/lab.ts";
import { LabProcess } from "../../src/lab/lab-process.ts";
import { run, waitFor } from "../../src/lab/shell.ts";
import type { Address } from "../../src/wire/address.ts";
import type { Arrivals } from "../interruption/arrivals.ts";

/** ms between two lines that are typed. */
export const TYPING_INTERVAL = 50;

const PORT = "2222";
const SSHD = "/usr/sbin/sshd";
/** ms */
const PATIENCE = 20_000;
/** Says each line again, and nothing else: from the first line on the terminal echoes nothing. */
const READY = "ready";
const REMOTE = `stty raw -echo; echo ${READY}; exec cat`;

export interface SshOptions {
  readonly client: Address;
  readonly server: Address;
  /** Runs both ends over Multipath TCP. */
  readonly mptcp: boolean;
}

/** Somebody types on host a into a session on host b, who says it again. */
export class SshSession {
  readonly #client: LabProcess;
  readonly #echoes: (readonly [millisecond: number, octets: number])[] = [];
  #typing: NodeJS.Timeout | undefined;
  #typed = 0;
  /** Lines that came back in their order. */
  #returned = 0;
  #garbled = false;

  private constructor(lab: Lab, argv: readonly string[]) {
    const namespace = lab.network.namespace("a");
    this.#client = new LabProcess({ namespace, argv, onLine: (line) => this.#hear(line) });
    lab.defer(() => this.stop());
  }

  /** With keys made for the occasion. @throws LabError when the session does not begin */
  static async start(lab: Lab, { client, server, mptcp }: SshOptions): Promise<SshSession> {
    const wrapper = mptcp ? ["mptcpize", "run"] : [];
    const key = await startServer(lab, wrapper);
    const destination = ["-b", client, "-p", PORT, `root@${server}`];
    const argv = [...wrapper, "ssh", "-tt", ...clientOptions(key), ...destination, REMOTE];
    const session = new SshSession(lab, argv);
    await waitFor(() => session.#echoes[0], {
      timeout: PATIENCE,
      timeoutError: () => session.#client.failure("ssh does not get on"),
    });
    return session;
  }

  /** When lines came back. */
  get echoes(): Arrivals {
    return this.#echoes;
  }

  /** Whether what came back is what was typed. */
  get intact(): boolean {
    return !this.#garbled && !this.#client.hasEnded;
  }

  async stop(): Promise<void> {
    clearInterval(this.#typing);
    await this.#client.stop("SIGKILL");
  }

  #type(): void {
    this.#client.write(`${this.#typed}\n`);
    this.#typed += 1;
  }

  #hear(line: string): void {
    if (line.trim() === READY) {
      this.#typing = setInterval(() => this.#type(), TYPING_INTERVAL);
      return;
    }
    this.#echoes.push([Date.now(), line.length]);
    if (line.trim() !== `${this.#returned}`) this.#garbled = true;
    this.#returned += 1;
  }
}

/** @returns the file of the key that opens it */
async function startServer(lab: Lab, wrapper: readonly string[]): Promise<string> {
  const file = (name: string) => join(lab.directory, name);
  for (const name of ["host-key", "key"]) {
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file(name)]);
  }
  // The place of its unprivileged half, which Debian makes when the service starts.
  await mkdir("/run/sshd", { recursive: true });
  const settings = [
    `Port ${PORT}`,
    `HostKey ${file("host-key")}`,
    `AuthorizedKeysFile ${file("key.pub")}`,
    "PidFile none",
    "UsePAM no",
    "StrictModes no",
  ];
  await writeFile(file("sshd_config"), `${settings.join("\n")}\n`);
  const argv = [...wrapper, SSHD, "-D", "-e", "-f", file("sshd_config")];
  const server = new LabProcess({ namespace: lab.network.namespace("b"), argv });
  lab.defer(() => server.stop("SIGTERM"));
  await waitFor(() => server.errorText.includes("listening") || undefined, {
    timeout: PATIENCE,
    timeoutError: () => server.failure("sshd does not listen"),
  });
  return file("key");
}

function clientOptions(key: string): string[] {
  const settings = [
    "UserKnownHostsFile=/dev/null",
    "StrictHostKeyChecking=no",
    "LogLevel=ERROR",
    "IdentitiesOnly=yes",
  ];
  return ["-F", "none", "-i", key, ...settings.flatMap((setting) => ["-o", setting])];
}
