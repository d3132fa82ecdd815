import type { IncomingMessage } from "node:http";
import { RequestError } from "./http.ts";

/** Where the control API is served besides its socket: to every user of this host. */
export interface HttpConfig {
  /** A loopback address. */
  readonly host: string;
  readonly port: number;
  /** Requests that change something are taken, too. */
  readonly commands: boolean;
}

/** Host names that lead to this host's loopback, and nowhere else. */
const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Keeps out what a web page of another site may send through a user's browser: requests by a name
 * that leads here just now (DNS rebinding), and requests that say where they come from.
 */
export class LoopbackGuard {
  readonly #config: HttpConfig;

  constructor(config: HttpConfig) {
    this.#config = config;
  }

  /** @throws RequestError 403, or 421 for a name that is not this host's */
  check(request: IncomingMessage): void {
    const { host, origin } = request.headers;
    if (!this.#isOurs(host)) {
      throw new RequestError(421, "ask by a name of this host's loopback, such as localhost");
    }
    if (origin !== undefined && origin !== `http://${host}`) {
      throw new RequestError(403, "requests of other sites are not answered");
    }
    if (this.mayChange() || request.method === "GET" || request.method === "HEAD") return;
    throw new RequestError(
      403,
      "nothing is changed by this address; use the control socket, or set http.commands",
    );
  }

  mayChange(): boolean {
    return this.#config.commands;
  }

  #isOurs(host: string | undefined): boolean {
    const { port } = this.#config;
    return LOOPBACK_NAMES.some(
      (name) => host === `${name}:${port}` || (port === 80 && host === name),
    );
  }
}
