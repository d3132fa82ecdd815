import { setTimeout as sleep } from "node:timers/promises";
import {
  type CheckReply,
  type ContextReply,
  type ContextsReply,
  DEFAULT_SOCKET,
  type DoneReply,
  type DrillEvent,
  type DrillRequest,
  type ForkRequest,
  type ForksReply,
  type HistoryReply,
  type LocatorsReply,
  type MonitorEvent,
  type OpenRequest,
  type PinRequest,
  type PreferRequest,
  type SendTimeoutReply,
  type SendTimeoutRequest,
  type StatusReply,
  type SurveyReply,
  type SurveyRequest,
} from "../daemon/api.ts";
import { Connection } from "./connection.ts";
import { ControlError } from "./control-error.ts";

/** Which events of the history; all unless it says more. */
export interface HistoryQuery {
  /** Those of a greater `sequence`. */
  readonly after?: number;
  /** Those of the context with this tag. */
  readonly context?: string;
}

/** What is captured. */
export interface CaptureOptions {
  /** Payload of contexts, too: so many octets of each packet, 40 to 65535. */
  readonly payload?: number | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** How the stream of events is followed. */
export interface EventOptions {
  /** Control messages, too. */
  readonly messages?: boolean;
  /** Ends the stream, and a loop over it, without an error. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds from the end of a stream to the next attempt, which is repeated until there is a
   * daemon again. Without it the stream ends with the daemon, and throws where there is none.
   */
  readonly reconnectAfter?: number;
  /**
   * Called each time that the daemon has begun to tell: what happened before is not in the
   * stream, so this is the moment to ask for `contexts()` or `history()`.
   */
  readonly onConnect?: () => void;
}

/**
 * Speaks the control API of the daemon on this host. Every method rejects with
 * {@link ControlError}. `tag` is a context's `localTag`.
 */
export class ControlClient {
  readonly #connection: Connection;

  /** @param socket the daemon's control socket; nothing is connected before it is needed */
  constructor(socket: string = DEFAULT_SOCKET) {
    this.#connection = new Connection(socket);
  }

  status(): Promise<StatusReply> {
    return this.#get("/v1/status");
  }

  contexts(): Promise<ContextsReply> {
    return this.#get("/v1/contexts");
  }

  context(tag: string): Promise<ContextReply> {
    return this.#get(contextPath(tag));
  }

  locators(): Promise<LocatorsReply> {
    return this.#get("/v1/locators");
  }

  /** What has happened since the start of the daemon, as far as it is kept. */
  history(query: HistoryQuery = {}): Promise<HistoryReply> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) parameters.set(name, String(value));
    return this.#get(`/v1/history?${parameters.toString()}`);
  }

  /** All metrics, in the text of Prometheus. */
  async metrics(): Promise<string> {
    const lines: string[] = [];
    for await (const line of this.#connection.lines({ method: "GET", path: "/metrics" })) {
      lines.push(`${line}\n`);
    }
    return lines.join("");
  }

  /** Looks for what keeps sessions from being protected. */
  check(): Promise<CheckReply> {
    return this.#post("/v1/check");
  }

  /** Tries all locator pairs with a peer; takes some seconds. */
  survey(request: SurveyRequest): Promise<SurveyReply> {
    return this.#post("/v1/survey", request);
  }

  /** Establishes a context now, without waiting for traffic. */
  open(ulids: OpenRequest): Promise<DoneReply> {
    return this.#post("/v1/contexts", ulids);
  }

  /** Looks for a working locator pair now. */
  explore(tag: string): Promise<DoneReply> {
    return this.#post(contextPath(tag, "explore"));
  }

  /** Forgets the context. */
  close(tag: string): Promise<DoneReply> {
    return this.#post(contextPath(tag, "close"));
  }

  /** Uses this locator pair whenever it works; `{}` for whichever does. */
  prefer(tag: string, pair: PreferRequest): Promise<DoneReply> {
    return this.#post(contextPath(tag, "prefer"), pair);
  }

  /** Keeps the context on a locator pair; `{}` for its current one. */
  pin(tag: string, request: PinRequest): Promise<DoneReply> {
    return this.#post(contextPath(tag, "pin"), request);
  }

  unpin(tag: string): Promise<DoneReply> {
    return this.#post(contextPath(tag, "unpin"));
  }

  /** Lets some packets leave on a context of their own. */
  fork(request: ForkRequest): Promise<ForksReply> {
    return this.#post("/v1/forks", request);
  }

  /**
   * Treats an uplink as dead until the drill is over, and reports. Leaving the loop over it, or
   * this process's end, ends it.
   */
  async *drill(request: DrillRequest): AsyncGenerator<DrillEvent, void> {
    const asked = { method: "POST", path: "/v1/drill", body: request } as const;
    for await (const line of this.#connection.lines(asked)) yield JSON.parse(line) as DrillEvent;
  }

  /** Ends a drill before its time; whoever follows it gets its report. */
  endDrill(): Promise<DoneReply> {
    return this.#connection.call({ method: "DELETE", path: "/v1/drill" });
  }

  /** A pcapng file of control messages as they come and go, until the signal. */
  capture({ payload, signal }: CaptureOptions = {}): AsyncGenerator<Uint8Array, void> {
    const path = `/v1/capture${payload === undefined ? "" : `?payload=${payload}`}`;
    return this.#connection.octets({ method: "POST", path, signal });
  }

  /** For all contexts, until the daemon stops. */
  setSendTimeout(request: SendTimeoutRequest): Promise<SendTimeoutReply> {
    return this.#post("/v1/send-timeout", request);
  }

  /** What happens, as it happens. Leaving the loop over it closes the stream. */
  async *events(options: EventOptions = {}): AsyncGenerator<MonitorEvent, void> {
    const { signal, reconnectAfter } = options;
    for (;;) {
      try {
        yield* this.#eventsOfOneStream(options);
      } catch (error) {
        if (signal?.aborted) return;
        if (reconnectAfter === undefined || !isWithoutDaemon(error)) throw error;
      }
      if (reconnectAfter === undefined || !(await hasPassed(reconnectAfter, signal))) return;
    }
  }

  async *#eventsOfOneStream(options: EventOptions): AsyncGenerator<MonitorEvent, void> {
    const { messages = false, signal, onConnect } = options;
    const path = `/v1/events${messages ? "?messages=1" : ""}`;
    const lines = this.#connection.lines({ method: "GET", path, signal }, onConnect);
    for await (const line of lines) yield JSON.parse(line) as MonitorEvent;
  }

  #get<Reply extends object>(path: string): Promise<Reply> {
    return this.#connection.call({ method: "GET", path });
  }

  #post<Reply extends object>(path: string, body?: object): Promise<Reply> {
    return this.#connection.call({ method: "POST", path, body });
  }
}

function contextPath(tag: string, command?: string): string {
  const path = `/v1/contexts/${encodeURIComponent(tag)}`;
  return command === undefined ? path : `${path}/${command}`;
}

function isWithoutDaemon(error: unknown): boolean {
  return error instanceof ControlError && error.isWithoutDaemon;
}

/** @returns false when the signal came first */
async function hasPassed(milliseconds: number, signal: AbortSignal | undefined): Promise<boolean> {
  if (signal?.aborted) return false;
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
    return true;
  } catch (error) {
    if (signal?.aborted) return false;
    throw error;
  }
}
