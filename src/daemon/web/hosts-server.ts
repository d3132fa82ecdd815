import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import type { AccessReply } from "../api.ts";
import { answerSafely, RequestError, reply } from "../control/http.ts";
import { LoopbackGuard } from "../control/loopback.ts";
import { Page } from "./page.ts";

const HOST = "127.0.0.1";

/** What a daemon needs to know of a request. */
const FORWARDED = ["accept", "content-type"] as const;

/**
 * The dashboards of a lab's hosts on one port of the loopback: each in a folder of its host's name,
 * with the control API of its daemon. Whoever can reach it may change something.
 */
export class HostsServer {
  readonly #page = new Page();
  readonly #server: Server;
  /** The control sockets by the hosts' names. */
  #hosts: ReadonlyMap<string, string> = new Map();

  private constructor() {
    this.#server = createServer((request, response) => {
      void answerSafely(response, () => this.#answer(request, response));
    });
  }

  /** @param port 0 for any. @throws Error when it cannot be had */
  static async listen(port: number): Promise<HostsServer> {
    const hosts = new HostsServer();
    hosts.#server.listen(port, HOST);
    await once(hosts.#server, "listening");
    return hosts;
  }

  get url(): string {
    return `http://${HOST}:${this.#port}/`;
  }

  /** From now on these, such as after the lab has been built anew. */
  show(hosts: ReadonlyMap<string, string>): void {
    this.#hosts = hosts;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    new LoopbackGuard({ host: HOST, port: this.#port, commands: true }).check(request);
    const [, host = "", rest] = /^\/([^/]*)(\/.*)?$/.exec(request.url ?? "/") ?? [];
    const socket = this.#hosts.get(host);
    if (socket === undefined || rest === undefined) return this.#redirect(host, response);
    if (this.#page.answer(rest, request, response)) return;
    if (rest === "/v1/access") {
      const access: Omit<AccessReply, "schemaVersion"> = {
        mayChange: true,
        hosts: [...this.#hosts.keys()],
      };
      return reply(response, 200, access);
    }
    await forward(socket, rest, request, response);
  }

  /** To the host's folder, or to the first host's. */
  #redirect(name: string, response: ServerResponse): void {
    const [first] = this.#hosts.keys();
    const host = this.#hosts.has(name) ? name : first;
    if (host === undefined) throw new RequestError(404, "no daemon of the lab runs yet");
    if (name !== "" && name !== host) throw new RequestError(404, `the lab has no host ${name}`);
    response.writeHead(302, { location: `/${host}/` }).end();
  }
}

async function forward(
  socketPath: string,
  path: string,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const headers = Object.fromEntries(
    FORWARDED.flatMap((name) => {
      const value = incoming.headers[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const { method = "GET" } = incoming;
  const outgoing = request({ socketPath, path, method, headers });
  incoming.pipe(outgoing);
  response.on("close", () => outgoing.destroy());
  const answer = await answerOf(outgoing);
  response.writeHead(answer.statusCode ?? 502, { "content-type": answer.headers["content-type"] });
  response.flushHeaders();
  // Either side may go at any time: the page asks anew.
  await pipeline(answer, response).catch(() => response.destroy());
}

/** @throws RequestError 502 when the daemon does not answer */
async function answerOf(outgoing: ReturnType<typeof request>): Promise<IncomingMessage> {
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  const [answer] = await answered.catch((cause: unknown) => {
    throw new RequestError(502, "the daemon of this host does not answer", { cause });
  });
  outgoing.on("error", () => answer.destroy());
  return answer;
}
