import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type {
  AccessReply,
  ContextStatus,
  Happening,
  HistoryReply,
  MonitorEvent,
  StatusReply,
} from "../src/daemon/api.ts";
import { Page } from "../src/daemon/web/page.ts";

/** The dashboard, and what the control API of a daemon with many contexts would say. */
export class PageServer {
  readonly #contexts: ContextStatus[];
  readonly #page = new Page();
  readonly #streams = new Set<ServerResponse>();
  readonly #server: Server;
  #sequence = 0;

  private constructor(contexts: number) {
    this.#contexts = Array.from({ length: contexts }, (_, index) => contextOf(index));
    this.#server = createServer((request, response) => {
      const { pathname: path, searchParams } = new URL(request.url ?? "/", "http://localhost");
      if (this.#page.answer(path, request, response)) return;
      if (path === "/v1/events") return this.#stream(response);
      response.end(JSON.stringify({ schemaVersion: 1, ...this.#answer(path, searchParams) }));
    });
  }

  static async listen(contexts: number): Promise<PageServer> {
    const server = new PageServer(contexts);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** One of the contexts fails, another time finds a path, in turn. */
  makeEvent(): void {
    const index = (this.#sequence * 7919) % this.#contexts.length;
    const context = this.#contexts[index];
    if (context === undefined) return;
    const { localTag, localUlid, peerUlid, reapState } = context;
    const of = { context: localTag, localUlid, peerUlid };
    const fails = reapState === "Operational";
    this.#contexts[index] = { ...context, reapState: fails ? "Exploring" : "Operational" };
    this.#publish(
      fails
        ? { ...of, event: "exploring", cause: "send-timeout" }
        : {
            ...{ ...of, event: "recovered", localLocator: localUlid, peerLocator: peerUlid },
            ...{ detection: 10, exploration: 0.1, probesSent: 2, probesReceived: 1 },
          },
    );
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #publish(happening: Happening): void {
    this.#sequence += 1;
    const time = new Date().toISOString();
    const event: MonitorEvent = { ...happening, sequence: this.#sequence, time, monotonic: 0 };
    for (const stream of this.#streams) stream.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    this.#streams.add(response);
    response.on("close", () => this.#streams.delete(response));
  }

  #answer(path: string, parameters: URLSearchParams): object {
    const [resource, tag] = path.split("/").slice(2);
    if (resource === "contexts" && tag === undefined) {
      const offset = Number(parameters.get("offset"));
      return { contexts: this.#contexts.slice(offset, offset + Number(parameters.get("limit"))) };
    }
    if (resource === "contexts") {
      return { context: this.#contexts.find(({ localTag }) => localTag === tag), pairs: [] };
    }
    if (resource === "history") return HISTORY;
    return resource === "access" ? ACCESS : STATUS;
  }
}

const STARTED_AT = new Date().toISOString();
const ACCESS: Omit<AccessReply, "schemaVersion"> = { mayChange: false };
const HISTORY: Omit<HistoryReply, "schemaVersion"> = {
  ...{ startedAt: STARTED_AT, time: STARTED_AT, monotonic: 0, dropped: 0, events: [] },
};
const STATUS: Omit<StatusReply, "schemaVersion"> = {
  ...{ version: "bench", pid: 1, startedAt: STARTED_AT, uptime: 1, dataplane: "none" },
  ...{ security: "verified", sendTimeout: 15, uplinks: [], warnings: [] },
  ...{ detect: "adaptive", trigger: { packets: 50, age: null } },
  contexts: { total: 0, byState: {}, byReapState: {} },
  counters: { endpoint: {}, dataplane: {}, daemon: {} },
};

function contextOf(index: number): ContextStatus {
  const local = "2001:db8:1:a:3c5f:8a21:77bd:1e02";
  const peer = `2001:db8:b:${index.toString(16)}:1c07:55d0:91aa:4b3f`;
  const locator = { preference: 0, weight: 0, transient: false };
  return {
    ...{ state: "ESTABLISHED", reapState: "Operational", initiator: true },
    ...{ localUlid: local, peerUlid: peer, localLocator: local, peerLocator: peer },
    ...{ localTag: index.toString(16).padStart(12, "0"), peerTag: "00000000000b" },
    ...{ forkedInstance: 0, selector: null, preferred: null, pin: null, survey: null },
    betterPairs: [],
    localLocators: [{ ...locator, address: local, operational: true }],
    peerLocators: [{ ...locator, address: peer, method: null, broken: false, reachable: true }],
    ...{ packetsIn: 1, packetsOut: 1, bytesIn: 100, bytesOut: 100, lastIn: null, lastOut: null },
    ...{ createdAt: STARTED_AT, establishedAt: STARTED_AT, lastSwitchAt: null, switches: 0 },
    path: {
      ...{ since: STARTED_AT, cause: "established", because: null, from: null, exploration: null },
    },
    ...{ probesSent: 0, probesReceived: 0, keepalivesSent: 0, keepalivesReceived: 0 },
    next: { reason: "idle", at: new Date(Date.now() + 600_000).toISOString(), in: 600 },
  };
}
