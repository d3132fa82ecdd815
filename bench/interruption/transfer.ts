import { fileURLToPath } from "node:url";
import { LabProcess } from "../../src/lab/lab-process.ts";
import type { Network } from "../../src/lab/network.ts";
import { run, waitFor } from "../../src/lab/shell.ts";
import type { Address } from "../../src/wire/address.ts";
import type { Arrivals } from "./arrivals.ts";

const TRANSFER = fileURLToPath(new URL("../../../bench/interruption/transfer.py", import.meta.url));
/** ms */
const PATIENCE = 10_000;

export type Protocol = "tcp" | "mptcp" | "udp";

/** One connection, from `client` to `server`. */
export interface TransferOptions {
  readonly protocol: Protocol;
  readonly client: { readonly host: string; readonly address: Address };
  readonly server: { readonly host: string; readonly address: Address };
  readonly port: number;
  /** Who sends, as fast as it goes; only the client does over UDP, 50 packets a second. */
  readonly sender: "client" | "server";
}

export interface Transfer {
  /** Ends it, and tells what came when at the receiver. */
  stop(): Promise<Arrivals>;
}

/** @throws LabError when it does not begin */
export async function startTransfer(network: Network, options: TransferOptions): Promise<Transfer> {
  const { protocol, client, server, port, sender } = options;
  const outputs: string[] = [];
  const start = async (host: string, isSender: boolean, ends: readonly string[]) => {
    const argv = [isSender ? "send" : "receive", protocol, ...ends, `${port}`];
    return await startScript(network, host, argv, isSender ? [] : outputs);
  };
  // A subflow to another address of the server joins only where the listener takes that one too.
  const serving = await start(server.host, sender === "server", ["listen", "::"]);
  const ends = ["connect", client.address, server.address];
  const connected = await start(client.host, sender === "client", ends);
  const [sending, receiving] = sender === "client" ? [connected, serving] : [serving, connected];
  return {
    stop: async () => {
      receiving.closeInput();
      if (!(await receiving.endsWithin(PATIENCE))) throw receiving.failure("no account came");
      await sending.stop("SIGKILL");
      return JSON.parse(outputs[1] ?? "[]") as Arrivals;
    },
  };
}

async function startScript(
  network: Network,
  host: string,
  args: readonly string[],
  outputs: string[],
): Promise<LabProcess> {
  const script = new LabProcess({
    namespace: network.namespace(host),
    argv: ["python3", TRANSFER, ...args],
    onLine: (line) => outputs.push(line),
  });
  const timeoutError = () => script.failure(`the transfer did not start on host ${host}`);
  await waitFor(() => (outputs[0] === "ready" || undefined) ?? endOf(script), {
    timeout: PATIENCE,
    timeoutError,
  });
  return script;
}

function endOf(script: LabProcess): undefined {
  if (script.hasEnded) throw script.failure("the transfer did not start");
}

/** @throws Error that says what to install */
export async function requireMptcp(): Promise<void> {
  const check = "import socket; socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)";
  await run(["python3", "-c", check]).catch((cause: unknown) => {
    const needs = "the benchmark needs python3 and Multipath TCP in the kernel";
    throw new Error(`${needs}: apt-get install python3; sysctl net.mptcp.enabled=1`, { cause });
  });
}
