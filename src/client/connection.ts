import { type IncomingMessage, request } from "node:http";
import { type ErrorReply, SCHEMA_VERSION } from "../daemon/api.ts";
import { ControlError, explainFailure, problemOfStatus } from "./control-error.ts";

export interface Request {
  readonly method: "GET" | "POST" | "DELETE";
  /** From "/v1" on. */
  readonly path: string;
  readonly body?: object | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** HTTP with JSON on the daemon's Unix socket. Everything here throws {@link ControlError}. */
export class Connection {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** The whole answer, of the version that we know. */
  async call<Reply extends object>(asked: Request): Promise<Reply> {
    const response = await this.#send(asked);
    const text = await this.#textOf(response);
    if (response.statusCode !== 200) throw refusal(response, text);
    const reply = JSON.parse(text) as Reply & { readonly schemaVersion?: number };
    if (reply.schemaVersion !== SCHEMA_VERSION) throw this.#otherVersion(reply.schemaVersion);
    return reply;
  }

  /**
   * The answer, line by line, as long as it goes on.
   * @param begun called when the answer has begun
   */
  async *lines(asked: Request, begun?: () => void): AsyncGenerator<string, void> {
    const response = await this.#send(asked);
    if (response.statusCode !== 200) throw refusal(response, await this.#textOf(response));
    begun?.();
    let rest = "";
    for await (const text of this.#texts(response)) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  }

  /** The answer as it comes, until its end or the signal. */
  async *octets(asked: Request): AsyncGenerator<Uint8Array, void> {
    try {
      const response = await this.#send(asked);
      if (response.statusCode !== 200) throw refusal(response, await this.#textOf(response));
      for await (const chunk of response) yield chunk as Uint8Array;
    } catch (error) {
      if (asked.signal?.aborted) return;
      if (error instanceof ControlError) throw error;
      throw explainFailure(this.#socket, error as NodeJS.ErrnoException);
    }
  }

  #send({ method, path, body, signal }: Request): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      // A connection for each request: one that is kept may have died with an earlier daemon.
      const to = { socketPath: this.#socket, agent: false, method, path };
      const call = request(signal === undefined ? to : { ...to, signal }, resolve);
      call.once("error", (error) => reject(explainFailure(this.#socket, error)));
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async #textOf(response: IncomingMessage): Promise<string> {
    let text = "";
    for await (const part of this.#texts(response)) text += part;
    return text;
  }

  /** What the daemon answers, piece by piece. */
  async *#texts(response: IncomingMessage): AsyncGenerator<string, void> {
    try {
      for await (const chunk of response.setEncoding("utf8")) yield chunk as string;
    } catch (error) {
      throw explainFailure(this.#socket, error as NodeJS.ErrnoException);
    }
  }

  #otherVersion(version: number | undefined): ControlError {
    const theirs = `the daemon on ${this.#socket} speaks version ${version} of the control API`;
    const text = `${theirs}, this client version ${SCHEMA_VERSION}; run both from one release`;
    return new ControlError("incompatible", text);
  }
}

function refusal({ statusCode }: IncomingMessage, text: string): ControlError {
  const { error } = JSON.parse(text) as ErrorReply;
  return new ControlError(problemOfStatus(statusCode), error);
}
