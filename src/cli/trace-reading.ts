import { createReadStream } from "node:fs";
import { IDENTITY_PRIMITIVES, keyedHash } from "../daemon/crypto/primitives.ts";
import { ReplayDifference } from "../sim/replay/replayer.ts";
import { TraceError, type TraceHeader } from "../sim/replay/trace-format.ts";
import { type Replay, TraceReplay } from "../sim/replay/trace-replay.ts";
import { CommandError, EXIT } from "./command.ts";

/** @throws CommandError where it is no trace, or goes another way */
export async function replayFile(file: string): Promise<Replay> {
  const trace = new TraceReplay({ keyedHash, identity: IDENTITY_PRIMITIVES });
  let number = 0;
  try {
    for await (const line of linesOf(file)) {
      number += 1;
      trace.take(line);
    }
    return trace.result();
  } catch (error) {
    const place = `${file}:${number}: `;
    throw error instanceof Error ? explain(error, place, trace.header) : error;
  }
}

function explain(error: Error, place: string, header: TraceHeader | undefined): Error {
  const cause = { cause: error };
  if (error instanceof TraceError) {
    return new CommandError(`${place}${error.message}`, EXIT.failed, cause);
  }
  if (!(error instanceof ReplayDifference)) return error;
  const release = `The trace is of l3shim ${header?.l3shim ?? ""}; other releases may do otherwise.`;
  const message = `${place}goes another way than recorded\n${error.message}\n${release}`;
  return new CommandError(message, EXIT.failed, cause);
}

/** A line that has no end was being written as the daemon was killed. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = "";
  try {
    for await (const chunk of createReadStream(file, "utf8")) {
      const lines = (rest + (chunk as string)).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } catch (error) {
    throw explainReadError(file, error as NodeJS.ErrnoException);
  }
}

function explainReadError(file: string, cause: NodeJS.ErrnoException): Error {
  if (cause.code === undefined) return cause;
  return new CommandError(`cannot read ${file}: ${cause.message}`, EXIT.failed, { cause });
}
