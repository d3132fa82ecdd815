import { type IncomingMessage, request } from "node:http";
import type {
  CheckReply,
  ContextReply,
  ContextsReply,
  DoneReply,
  ErrorReply,
  ForkRequest,
  ForksReply,
  HistoryReply,
  LocatorsReply,
  MonitorEvent,
  OpenRequest,
  PinRequest,
  PreferRequest,
  SendTimeoutReply,
  SendTimeoutRequest,
  StatusReply,
  SurveyReply,
  SurveyRequest,
} from "../daemon/api.ts";
import { CommandError, EXIT } from "./command.ts";

/**
 * Speaks the control API. Every method throws {@link CommandError}: with EXIT.noDaemon when
 * nobody listens on the socket, else with what the daemon answered.
 */
export class ControlClient {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  status(): Promise<StatusReply> {
    return this.#call<StatusReply>("GET", "/v1/status");
  }

  check(): Promise<CheckReply> {
    return this.#call<CheckReply>("POST", "/v1/check");
  }

  contexts(): Promise<ContextsReply> {
    return this.#call<ContextsReply>("GET", "/v1/contexts");
  }

  context(tag: string): Promise<ContextReply> {
    return this.#call<ContextReply>("GET", `/v1/contexts/${tag}`);
  }

  locators(): Promise<LocatorsReply> {
    return this.#call<LocatorsReply>("GET", "/v1/locators");
  }

  /** @param context a tag; every event unless it is given */
  history(context?: string): Promise<HistoryReply> {
    const query = context === undefined ? "" : `?context=${context}`;
    return this.#call<HistoryReply>("GET", `/v1/history${query}`);
  }

  open(ulids: OpenRequest): Promise<DoneReply> {
    return this.#call<DoneReply>("POST", "/v1/contexts", ulids);
  }

  command(tag: string, command: "explore" | "close" | "unpin"): Promise<DoneReply> {
    return this.#call<DoneReply>("POST", `/v1/contexts/${tag}/${command}`);
  }

  pin(tag: string, request: PinRequest): Promise<DoneReply> {
    return this.#call<DoneReply>("POST", `/v1/contexts/${tag}/pin`, request);
  }

  prefer(tag: string, pair: PreferRequest): Promise<DoneReply> {
    return this.#call<DoneReply>("POST", `/v1/contexts/${tag}/prefer`, pair);
  }

  fork(request: ForkRequest): Promise<ForksReply> {
    return this.#call<ForksReply>("POST", "/v1/forks", request);
  }

  survey(request: SurveyRequest): Promise<SurveyReply> {
    return this.#call<SurveyReply>("POST", "/v1/survey", request);
  }

  setSendTimeout(request: SendTimeoutRequest): Promise<SendTimeoutReply> {
    return this.#call<SendTimeoutReply>("POST", "/v1/send-timeout", request);
  }

  /** Calls `receive` for every event until the daemon ends the stream. */
  async events(messages: boolean, receive: (event: MonitorEvent) => void): Promise<void> {
    const response = await this.#send("GET", `/v1/events${messages ? "?messages=1" : ""}`);
    let rest = "";
    for await (const text of this.#texts(response)) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) receive(JSON.parse(line) as MonitorEvent);
    }
  }

  async #call<Reply>(method: string, path: string, body?: object): Promise<Reply> {
    const response = await this.#send(method, path, body);
    let text = "";
    for await (const part of this.#texts(response)) text += part;
    const answer = JSON.parse(text) as Reply | ErrorReply;
    if (response.statusCode === 200) return answer as Reply;
    const { error } = answer as ErrorReply;
    throw new CommandError(error, response.statusCode === 400 ? EXIT.usage : EXIT.failed);
  }

  #send(method: string, path: string, body?: object): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.#socket, method, path }, resolve);
      call.once("error", (error: NodeJS.ErrnoException) => reject(this.#explain(error)));
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** What the daemon answers, piece by piece. */
  async *#texts(response: IncomingMessage): AsyncGenerator<string> {
    try {
      for await (const chunk of response.setEncoding("utf8")) yield chunk as string;
    } catch (error) {
      throw this.#explain(error as NodeJS.ErrnoException);
    }
  }

  #explain(error: NodeJS.ErrnoException): CommandError {
    switch (error.code) {
      case "ENOENT":
      case "ECONNREFUSED":
        return new CommandError(
          `no daemon listens on ${this.#socket}; start one with \`l3shim daemon\`, ` +
            "or name its socket with --socket",
          EXIT.noDaemon,
          { cause: error },
        );
      case "ECONNRESET":
      case "EPIPE":
        return new CommandError(`the daemon on ${this.#socket} has stopped`, EXIT.noDaemon, {
          cause: error,
        });
      case "EACCES":
        return new CommandError(
          `may not use the control socket ${this.#socket}; run as root, ` +
            "or join the group l3shim",
          EXIT.failed,
          { cause: error },
        );
      default:
        return new CommandError(
          `cannot talk to the daemon on ${this.#socket}: ${error.message}`,
          EXIT.failed,
          { cause: error },
        );
    }
  }
}
