import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AccessReply } from "../api.ts";
import { Page } from "../web/page.ts";
import type { Authority } from "./authority.ts";
import { answerSafely, reply } from "./http.ts";
import { type HttpConfig, LoopbackGuard } from "./loopback.ts";
import { Routes } from "./routes.ts";
import type { ControlService } from "./service.ts";
import { ControlSocketError, claimSocket, listenOn, type Readers } from "./socket.ts";

/** Milliseconds that clients get to read the end of what they asked for. */
const CLOSE_PATIENCE = 500;

/** Whether a request may be answered. */
interface Guard {
  /** @throws RequestError when it may not */
  check(request: IncomingMessage): void;
  /** Whether its sender may change something. */
  mayChange(request: IncomingMessage): boolean;
}

/**
 * Serves the control API on a Unix socket, and on loopback TCP, with the dashboard, where that is
 * wanted.
 */
export class ControlServer {
  readonly #service: ControlService;
  readonly #routes: Routes;
  readonly #socket: Server;
  #loopback: Server | undefined;

  constructor(service: ControlService, authority: Authority) {
    this.#service = service;
    this.#routes = new Routes(service);
    this.#socket = this.#serverBehind(authority);
  }

  /** Makes sure that the path is free. @throws ControlSocketError */
  claim(path: string): Promise<void> {
    return claimSocket(path);
  }

  /** Listens on a path that is free. @throws ControlSocketError */
  listen(path: string, readers: Readers): Promise<void> {
    return listenOn(this.#socket, path, readers);
  }

  /** Listens on TCP. @throws ControlSocketError */
  async listenLoopback(config: HttpConfig): Promise<void> {
    const { host, port } = config;
    const server = this.#serverBehind(new LoopbackGuard(config), new Page());
    await new Promise<void>((resolve, reject) => {
      const refuse = (cause: NodeJS.ErrnoException) => reject(loopbackError(config, cause));
      server.once("error", refuse);
      server.listen({ host, port }, () => {
        server.off("error", refuse);
        resolve();
      });
    });
    this.#loopback = server;
  }

  /** Ends every connection and removes the socket. */
  async close(): Promise<void> {
    this.#service.events.end();
    this.#service.captures.end();
    await Promise.all([closeServer(this.#socket), closeServer(this.#loopback)]);
  }

  #serverBehind(guard: Guard, page?: Page): Server {
    return createServer((request, response) => {
      void answerSafely(response, () => {
        guard.check(request);
        if (page?.answer(request.url ?? "/", request, response) === true) return;
        return this.#answer(guard, request, response);
      });
    });
  }

  async #answer(guard: Guard, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === "GET" && request.url === "/v1/access") {
      const access: Omit<AccessReply, "schemaVersion"> = { mayChange: guard.mayChange(request) };
      return reply(response, 200, access);
    }
    await this.#routes.answer(request, response);
  }
}

async function closeServer(server: Server | undefined): Promise<void> {
  if (!server?.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // What is being answered ends by itself, unless its reader sleeps.
  const impatience = setTimeout(() => server.closeAllConnections(), CLOSE_PATIENCE);
  await closed;
  clearTimeout(impatience);
}

function loopbackError({ host, port }: HttpConfig, cause: NodeJS.ErrnoException): Error {
  const problem = `cannot serve HTTP on port ${port} of ${host}: ${cause.code ?? cause.message}`;
  return new ControlSocketError(`${problem}; name another one as http.listen`, { cause });
}
