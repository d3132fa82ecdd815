import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { AddressPair } from "../../core/output.ts";
import { parseAddress } from "../../wire/address.ts";
import { type ContextTag, parseTag } from "../../wire/tag.ts";
import {
  type ContextReply,
  type ContextStatus,
  type HostLocator,
  SCHEMA_VERSION,
  type StatusReply,
} from "../api.ts";
import type { EventHub } from "./events.ts";

/** What the control API can ask of the daemon. */
export interface ControlService {
  status(): Omit<StatusReply, "schemaVersion">;
  contexts(): ContextStatus[];
  context(tag: ContextTag): ContextStatus | undefined;
  locators(): HostLocator[];
  /** False when the state forbids it. */
  open(ulids: AddressPair): boolean;
  explore(tag: ContextTag): boolean;
  close(tag: ContextTag): boolean;
  readonly events: EventHub;
}

/** The socket cannot be served. */
export class ControlSocketError extends Error {
  override readonly name = "ControlSocketError";
}

const SOCKET_MODE = 0o660;
const SOCKET_GROUP = "l3shim";
const GROUP_FILE = "/etc/group";
const BODY_LIMIT = 16_384;
/** Milliseconds that clients get to read the end of what they asked for. */
const CLOSE_PATIENCE = 500;
/** A subscriber that reads this much too slowly is cut off rather than kept in memory. */
const BACKLOG_LIMIT = 4 * 1024 * 1024;

/** Serves the control API on a Unix socket. */
export class ControlServer {
  readonly #service: ControlService;
  readonly #server: Server;

  constructor(service: ControlService) {
    this.#service = service;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (error instanceof RequestError) return reply(response, error.status, error.message);
        reply(response, 500, `internal error: ${(error as Error).message}`);
      });
    });
  }

  /**
   * Makes sure that the path is free: a socket that a dead daemon left is removed.
   * @throws ControlSocketError when a daemon listens there, or the path cannot be used.
   */
  async claim(path: string): Promise<void> {
    await explainFailure(path, async () => {
      mkdirSync(dirname(path), { recursive: true });
      await removeStaleSocket(path);
    });
  }

  /** Listens on a path that is free. @throws ControlSocketError */
  async listen(path: string): Promise<void> {
    await explainFailure(path, () => this.#bind(path));
  }

  /** Ends every connection and removes the socket. */
  async close(): Promise<void> {
    this.#service.events.end();
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // What is being answered ends by itself, unless its reader sleeps.
    const impatience = setTimeout(() => this.#server.closeAllConnections(), CLOSE_PATIENCE);
    await closed;
    clearTimeout(impatience);
  }

  async #bind(path: string): Promise<void> {
    // Born without permissions for others; widened to the group only when it is the right one.
    const before = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once("error", reject);
        this.#server.listen(path, () => {
          this.#server.off("error", reject);
          resolve();
        });
      });
    } finally {
      process.umask(before);
    }
    const group = groupId(SOCKET_GROUP);
    if (group !== undefined) chownSync(path, -1, group);
    chmodSync(path, SOCKET_MODE);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const [version, resource, tag, command, ...rest] = url.pathname.split("/").slice(1);
    if (version !== "v1" || rest.length > 0) throw new RequestError(404, "no such path");
    const route = `${request.method} ${resource}`;
    if (tag !== undefined) {
      if (resource !== "contexts") throw new RequestError(404, "no such path");
      return this.#answerContext(request.method, existingTag(tag), command, response);
    }
    switch (route) {
      case "GET status":
        return reply(response, 200, { ...this.#service.status() });
      case "GET contexts":
        return reply(response, 200, { contexts: this.#service.contexts() });
      case "GET locators":
        return reply(response, 200, { locators: this.#service.locators() });
      case "GET events":
        return this.#stream(response, url.searchParams.get("messages") === "1");
      case "POST contexts":
        return this.#open(await readJson(request), response);
      default:
        throw new RequestError(404, "no such path");
    }
  }

  #answerContext(
    method: string | undefined,
    tag: ContextTag,
    command: string | undefined,
    response: ServerResponse,
  ): void {
    const context = this.#service.context(tag);
    if (context === undefined) throw new RequestError(404, "no context has this tag");
    switch (`${method} ${command ?? ""}`) {
      case "GET ":
        return reply(response, 200, { context } satisfies Omit<ContextReply, "schemaVersion">);
      case "POST explore":
        if (this.#service.explore(tag)) return reply(response, 200, { done: true });
        throw new RequestError(409, "the context is not in the state Operational");
      case "POST close":
        if (this.#service.close(tag)) return reply(response, 200, { done: true });
        throw new RequestError(409, "the context cannot be closed now");
      default:
        throw new RequestError(404, "no such path");
    }
  }

  #open(body: unknown, response: ServerResponse): void {
    const { localUlid, peerUlid } = (body ?? {}) as Record<string, unknown>;
    const ulids = { local: bodyAddress(localUlid), peer: bodyAddress(peerUlid) };
    if (this.#service.open(ulids)) return reply(response, 200, { done: true });
    throw new RequestError(409, "there is a context for this pair already, or a hold-down");
  }

  #stream(response: ServerResponse, messages: boolean): void {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.flushHeaders();
    const unsubscribe = this.#service.events.subscribe({
      messages,
      receive: (event) => {
        response.write(`${JSON.stringify(event)}\n`);
        if (response.writableLength > BACKLOG_LIMIT) response.destroy();
      },
      end: () => response.end(),
    });
    response.on("close", unsubscribe);
  }
}

/** What the client did wrong, with the HTTP status that says so. */
class RequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function reply(response: ServerResponse, status: number, body: object | string): void {
  const fields = typeof body === "string" ? { error: body } : body;
  const text = JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...fields });
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${text}\n`);
}

function existingTag(text: string): ContextTag {
  const tag = parseTag(text);
  if (tag === undefined) throw new RequestError(400, "a context tag is 1 to 12 hex digits");
  return tag;
}

function bodyAddress(value: unknown) {
  const address = typeof value === "string" ? parseAddress(value) : undefined;
  if (address === undefined) {
    throw new RequestError(400, "localUlid and peerUlid must be IPv6 addresses");
  }
  return address;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk as string;
    if (text.length > BODY_LIMIT) throw new RequestError(400, "the request is too long");
  }
  const value = parseJson(text);
  if (value === undefined) throw new RequestError(400, "the request is no JSON");
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function explainFailure(path: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof ControlSocketError) throw error;
    const reason = (error as Error).message;
    throw new ControlSocketError(`cannot use the control socket ${path}: ${reason}`, {
      cause: error,
    });
  }
}

/** Nobody answers on the socket of a dead daemon; a live one keeps its place. */
async function removeStaleSocket(path: string): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  if (code === undefined) {
    throw new ControlSocketError(
      `a daemon listens on the control socket ${path} already; ` +
        "stop it first, or choose another path with --socket",
    );
  }
  if (code !== "ECONNREFUSED") return;
  if (!lstatSync(path).isSocket()) {
    throw new ControlSocketError(`${path} exists and is no socket; choose another with --socket`);
  }
  rmSync(path);
}

function groupId(name: string): number | undefined {
  if (!existsSync(GROUP_FILE)) return undefined;
  const line = readFileSync(GROUP_FILE, "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(":")[2]);
}
