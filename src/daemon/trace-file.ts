import { createWriteStream, openSync, renameSync, type WriteStream } from "node:fs";
import { formatEnd, type TraceEnd } from "../sim/replay/trace-format.ts";

/** Octets that may wait for the disk; then the recording ends rather than fill the memory. */
const BACKLOG_LIMIT = 8 * 1024 * 1024;
/** Nobody else may read it: it has the tags and validators by which peers are believed. */
const MODE = 0o600;

const REASONS = {
  full: "it has its full size",
  slow: "the disk does not take it fast enough",
};

/** What the user asked for cannot be done. */
export class TraceFileError extends Error {
  override readonly name = "TraceFileError";
}

/** The file that a trace is written to, of a bounded size, while the daemon goes on. */
export class TraceFile {
  readonly #stream: WriteStream;
  readonly #path: string;
  readonly #limit: number;
  readonly #warn: (text: string) => void;
  #size = 0;
  #ended = false;

  /**
   * An older trace of this name becomes `path`.1, in place of one that had that name.
   * @param limit octets
   * @throws TraceFileError
   */
  constructor(path: string, limit: number, warn: (text: string) => void) {
    this.#path = path;
    this.#limit = limit;
    this.#warn = warn;
    this.#stream = createWriteStream(path, { fd: openAnew(path) });
    this.#stream.on("error", (error) => this.#giveUp(error.message));
  }

  /** Takes a line without its end. */
  readonly write = (line: string): void => {
    if (this.#ended) return;
    this.#size += line.length + 1;
    if (this.#size > this.#limit) return this.#end("full");
    this.#stream.write(`${line}\n`);
    if (this.#stream.writableLength > BACKLOG_LIMIT) this.#end("slow");
  };

  /** Resolves once all is in the file. Safe to call twice. */
  close(): Promise<void> {
    this.#end("stopped");
    if (this.#stream.closed) return Promise.resolve();
    return new Promise((resolve) => this.#stream.once("close", () => resolve()));
  }

  #end(end: TraceEnd["end"]): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.end(`${formatEnd({ end })}\n`);
    if (end !== "stopped") this.#warn(`the trace ${this.#path} ends here: ${REASONS[end]}`);
  }

  #giveUp(reason: string): void {
    this.#ended = true;
    this.#warn(`the trace ${this.#path} ends here: ${reason}`);
  }
}

function openAnew(path: string): number {
  try {
    keepOlder(path);
    return openSync(path, "wx", MODE);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new TraceFileError(
      `cannot record to ${path}: ${code ?? String(error)}; name a file in a directory that the ` +
        "daemon's user may write to",
      { cause: error },
    );
  }
}

function keepOlder(path: string): void {
  try {
    renameSync(path, `${path}.1`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
