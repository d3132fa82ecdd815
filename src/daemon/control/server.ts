import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Authority } from "./authority.ts";
import { RequestError, reply } from "./http.ts";
import { Routes } from "./routes.ts";
import type { ControlService } from "./service.ts";
import { claimSocket, listenOn, type Readers } from "./socket.ts";

/** Milliseconds that clients get to read the end of what they asked for. */
const CLOSE_PATIENCE = 500;

/** Serves the control API on a Unix socket. */
export class ControlServer {
  readonly #service: ControlService;
  readonly #server: Server;

  readonly #routes: Routes;
  readonly #authority: Authority;

  constructor(service: ControlService, authority: Authority) {
    this.#service = service;
    this.#routes = new Routes(service);
    this.#authority = authority;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (error instanceof RequestError) return reply(response, error.status, error.message);
        reply(response, 500, `internal error: ${(error as Error).message}`);
      });
    });
  }

  /** Makes sure that the path is free. @throws ControlSocketError */
  claim(path: string): Promise<void> {
    return claimSocket(path);
  }

  /** Listens on a path that is free. @throws ControlSocketError */
  listen(path: string, readers: Readers): Promise<void> {
    return listenOn(this.#server, path, readers);
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

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#authority.check(request);
    await this.#routes.answer(request, response);
  }
}
