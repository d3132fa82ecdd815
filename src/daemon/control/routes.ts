import type { IncomingMessage, ServerResponse } from "node:http";
import type { Result } from "../../wire/result.ts";
import { type ContextTag, parseTag } from "../../wire/tag.ts";
import {
  type ContextReply,
  type DoneReply,
  type DrillEvent,
  type DrillStart,
  type ForksReply,
  SCHEMA_VERSION,
  type SendTimeoutReply,
} from "../api.ts";
import { PcapngStream } from "../capture/pcapng-stream.ts";
import { inSeconds } from "../clock.ts";
import { RequestError, readJson, reply, replyWithList } from "./http.ts";
import {
  type CaptureQuery,
  readCaptureQuery,
  readDrill,
  readFork,
  readHistoryQuery,
  readOpen,
  readPart,
  readPin,
  readPrefer,
  readSendTimeout,
  readSurvey,
} from "./requests.ts";
import type { ControlService } from "./service.ts";

/** A reply without what every reply has in common. */
type Body<Reply> = Omit<Reply, "schemaVersion">;

const DONE: Body<DoneReply> = { done: true };

/** JSON, one value a line. */
const NDJSON = { "content-type": "application/x-ndjson" };

/** A subscriber that reads this much too slowly is cut off rather than kept in memory. */
const BACKLOG_LIMIT = 4 * 1024 * 1024;

const SERVER_SENT_EVENTS = "text/event-stream";

/** The paths of the control API (../api.ts). */
export class Routes {
  readonly #service: ControlService;

  constructor(service: ControlService) {
    this.#service = service;
  }

  /** @throws RequestError for what the client did wrong, before anything is sent */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    if (url.pathname === "/metrics") return this.#answerMetrics(request, response);
    const [version, resource, tag, command, ...rest] = url.pathname.split("/").slice(1);
    if (version !== "v1" || rest.length > 0) throw new RequestError(404, "no such path");
    if (tag !== undefined) {
      if (resource !== "contexts") throw new RequestError(404, "no such path");
      const route = `${request.method} ${command ?? ""}`;
      return reply(response, 200, await this.#answerContext(route, tagIn(tag), request));
    }
    const route = `${request.method} ${resource}`;
    if (route === "GET events") {
      return this.#stream(request, response, url.searchParams.get("messages") === "1");
    }
    if (route === "GET history") {
      return reply(response, 200, this.#service.history(readHistoryQuery(url.searchParams)));
    }
    if (route === "GET contexts") {
      const { offset, limit } = readPart(url.searchParams);
      return replyWithList(response, "contexts", this.#service.contexts(offset, limit));
    }
    if (route === "POST capture") {
      return this.#capture(response, readCaptureQuery(url.searchParams));
    }
    if (route === "POST drill") return this.#drill(request, response);
    reply(response, 200, await this.#answerHost(route, request));
  }

  /** One event a line. A client that goes ends the drill. */
  async #drill(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wish = readDrill(await readJson(request));
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const tell = (event: DrillEvent): void => {
      response.write(`${JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...event })}\n`);
    };
    const started = (start: DrillStart): void => {
      response.writeHead(200, NDJSON);
      tell(start);
    };
    const report = allowed(await this.#service.drill(wish, started, gone.signal));
    if (report !== undefined) tell({ event: "ended", report });
    response.end();
  }

  async #answerMetrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET") throw new RequestError(404, "no such path");
    const { contentType, text } = await this.#service.metrics(request.headers.accept);
    response.writeHead(200, { "content-type": contentType });
    response.end(text);
  }

  async #answerHost(route: string, request: IncomingMessage): Promise<object> {
    const service = this.#service;
    switch (route) {
      case "GET status":
        return service.status();
      case "GET locators":
        return { locators: service.locators() };
      case "POST check":
        return await service.check();
      case "POST survey":
        return { survey: allowed(await service.survey(readSurvey(await readJson(request)))) };
      case "POST contexts":
        return doneIf(
          service.open(readOpen(await readJson(request))),
          "there is a context for this pair already, or a hold-down",
        );
      case "POST forks":
        return this.#fork(await readJson(request));
      case "DELETE drill":
        return doneIf(service.endDrill(), "no drill goes on");
      case "POST send-timeout":
        return this.#setSendTimeout(await readJson(request));
      default:
        throw new RequestError(404, "no such path");
    }
  }

  async #answerContext(route: string, tag: ContextTag, request: IncomingMessage): Promise<object> {
    const service = this.#service;
    const context = this.#existing(tag);
    switch (route) {
      case "GET ":
        return { context, pairs: service.pairs(tag) } satisfies Body<ContextReply>;
      case "POST explore":
        return doneIf(service.explore(tag), "the context is not in the state Operational");
      case "POST close":
        return doneIf(service.close(tag), "the context cannot be closed now");
      case "POST prefer":
        allowed(service.prefer(tag, readPrefer(await readJson(request))));
        return DONE;
      case "POST pin": {
        const { pair, pin } = readPin(await readJson(request));
        allowed(service.pin(tag, pair, pin));
        return DONE;
      }
      case "POST unpin":
        return doneIf(service.unpin(tag), "the context is not pinned");
      default:
        throw new RequestError(404, "no such path");
    }
  }

  #existing(tag: ContextTag) {
    const context = this.#service.context(tag);
    if (context === undefined) throw new RequestError(404, "no context has this tag");
    return context;
  }

  #fork(body: unknown): Body<ForksReply> {
    const order = readFork(body);
    if (order.context !== undefined) this.#existing(order.context);
    return { forks: allowed(this.#service.fork(order)) };
  }

  #setSendTimeout(body: unknown): Body<SendTimeoutReply> {
    const sendTimeout = readSendTimeout(body);
    const warnings = this.#service.setSendTimeout(sendTimeout);
    return { sendTimeout: inSeconds(sendTimeout), warnings };
  }

  #capture(response: ServerResponse, { payload }: CaptureQuery): void {
    response.setHeader("content-type", "application/x-pcapng");
    const reader = new PcapngStream(response);
    response.on("close", this.#service.captures.subscribe(reader, payload));
  }

  /** As server-sent events where these are asked for: a browser follows no other stream. */
  #stream(request: IncomingMessage, response: ServerResponse, messages: boolean): void {
    const isForBrowser = request.headers.accept?.includes(SERVER_SENT_EVENTS) === true;
    response.writeHead(200, isForBrowser ? { "content-type": SERVER_SENT_EVENTS } : NDJSON);
    response.flushHeaders();
    const unsubscribe = this.#service.events.subscribe({
      messages,
      receive: (event) => {
        const line = JSON.stringify(event);
        response.write(isForBrowser ? `data: ${line}\n\n` : `${line}\n`);
        if (response.writableLength > BACKLOG_LIMIT) response.destroy();
      },
      end: () => response.end(),
    });
    response.on("close", unsubscribe);
  }
}

/** @throws RequestError 409, when the state forbade it */
function doneIf(done: boolean, otherwise: string): Body<DoneReply> {
  if (done) return DONE;
  throw new RequestError(409, otherwise);
}

/** @throws RequestError 409, when the state forbade it */
function allowed<Value>(result: Result<Value, string>): Value {
  if (result.ok) return result.value;
  throw new RequestError(409, result.error);
}

function tagIn(text: string): ContextTag {
  const tag = parseTag(text);
  if (tag === undefined) throw new RequestError(400, "a context tag is 1 to 12 hex digits");
  return tag;
}
