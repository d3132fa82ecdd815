import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import { DEFAULT_SOCKET } from "../daemon/api.ts";
import { SNAP_LENGTH } from "../wire/pcapng-writer.ts";
import { wholeNumber } from "./arguments.ts";
import { CommandError } from "./command.ts";

/** IPv6 header, payload extension header and a TCP header with timestamps have their place in it. */
const DEFAULT_SNAP_LENGTH = 96;

interface Options {
  readonly write: string;
  /** True without a number. */
  readonly payload?: number | true;
  readonly socket: string;
}

/** `capture -w FILE`: control messages and payload, with what the daemon knows about each. */
export function registerCapture(program: Command): void {
  program
    .command("capture")
    .summary("write control messages, with comments, to a pcapng file")
    .description(
      "Writes the control messages that come and go, until interrupted, as a pcapng file for " +
        "Wireshark and `l3shim decode`. A comment on each names its context, the cause and the " +
        "change of state. With --payload the beginning of contexts' payload is in it, too, as it " +
        "is on the uplinks. The file holds what speaks in a peer's name: keep it to yourself.",
    )
    .requiredOption("-w, --write <file>", "the file, or - for standard output")
    .option(
      "--payload [octets]",
      `also payload of contexts, so many octets of each packet; ${DEFAULT_SNAP_LENGTH} without a number`,
      wholeNumber(SNAP_LENGTH.least, SNAP_LENGTH.most),
    )
    .option("--socket <path>", "control socket of the daemon", DEFAULT_SOCKET)
    .action(run);
}

async function run({ write, payload, socket }: Options): Promise<void> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once("SIGINT", interrupt);
  const out = write === "-" ? process.stdout : createWriteStream(write, { mode: 0o600 });
  try {
    const octets = payload === true ? DEFAULT_SNAP_LENGTH : payload;
    const { signal } = interrupted;
    const blocks = Readable.from(new ControlClient(socket).capture({ payload: octets, signal }));
    await pipeline(blocks, out, { end: write !== "-" });
  } catch (error) {
    throw explain(write, error as NodeJS.ErrnoException);
  } finally {
    process.off("SIGINT", interrupt);
  }
}

/** A reader that closes the pipe has seen enough. */
function explain(file: string, error: NodeJS.ErrnoException): Error {
  if (error.syscall !== "open") return error;
  return new CommandError(`cannot write ${file}: ${error.message}`);
}
