import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server as TcpServer,
} from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { waitFor } from "../../../src/lab/shell.ts";
import { PATIENCE } from "./progress.ts";

const RULES = fileURLToPath(
  new URL("../../../packaging/prometheus/l3shim-rules.yml", import.meta.url),
);

/** An alert as Prometheus shows it. */
export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
}

/** What a daemon says to Prometheus by its control socket. */
export async function metricsOf(socket: string, accept = "text/plain"): Promise<string> {
  const call = request({ socketPath: socket, path: "/metrics", headers: { accept } }).end();
  const [response] = (await once(call, "response")) as [Parameters<typeof text>[0]];
  return await text(response);
}

/**
 * Prometheus with the alert rules that we ship. It looks at each host every second, by a proxy
 * to the daemon's control socket: the lab's hosts have no network in common with it.
 */
export class Prometheus {
  readonly #server: ChildProcess;
  readonly #proxies: readonly Server[];
  readonly #url: string;

  private constructor(server: ChildProcess, proxies: readonly Server[], url: string) {
    this.#server = server;
    this.#proxies = proxies;
    this.#url = url;
  }

  /** @param sockets by what `instance` is to say of each */
  static async start(
    directory: string,
    sockets: Readonly<Record<string, string>>,
  ): Promise<Prometheus> {
    await mkdir(directory);
    const hosts = await Promise.all(
      Object.entries(sockets).map(async ([instance, socket]) => {
        return { instance, proxy: await serveMetrics(socket) };
      }),
    );
    const targets = hosts.map(({ instance, proxy }) => ({
      targets: [`127.0.0.1:${portOf(proxy)}`],
      labels: { instance },
    }));
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [RULES],
      scrape_configs: [{ job_name: "l3shim", static_configs: targets }],
    };
    // JSON is YAML.
    await writeFile(join(directory, "prometheus.yml"), JSON.stringify(config));
    const address = `127.0.0.1:${await freePort()}`;
    const args = [
      `--config.file=${join(directory, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(directory, "data")}`,
      `--web.listen-address=${address}`,
    ];
    const server = spawn("prometheus", args, { stdio: "ignore" });
    const proxies = hosts.map(({ proxy }) => proxy);
    return new Prometheus(server, proxies, `http://${address}`);
  }

  async stop(): Promise<void> {
    const ended = once(this.#server, "exit");
    this.#server.kill("SIGKILL");
    await ended;
    for (const proxy of this.#proxies) proxy.close();
  }

  /** The value of a query for each instance, once `accept` takes it. */
  async untilValues(
    query: string,
    accept: (values: Readonly<Record<string, number>>) => boolean,
  ): Promise<Readonly<Record<string, number>>> {
    const values = async () => {
      const path = `/api/v1/query?query=${encodeURIComponent(query)}`;
      const { result } = await this.#ask<{ readonly result: readonly Sample[] }>(path);
      return Object.fromEntries(
        result.map(({ metric, value }) => [metric["instance"] ?? "", Number(value[1])]),
      );
    };
    return await this.#until(`values of ${query}`, values, accept);
  }

  /** All alerts, once `accept` takes them. */
  async untilAlerts(accept: (alerts: readonly Alert[]) => boolean): Promise<readonly Alert[]> {
    const alerts = async () => {
      return (await this.#ask<{ readonly alerts: readonly Alert[] }>("/api/v1/alerts")).alerts;
    };
    return await this.#until("alerts", alerts, accept);
  }

  async #until<Value>(
    what: string,
    ask: () => Promise<Value>,
    accept: (value: Value) => boolean,
  ): Promise<Value> {
    let last: unknown;
    const accepted = async () => {
      const value = await ask().catch((error: unknown) => {
        last = error;
      });
      if (value === undefined) return undefined;
      last = value;
      return accept(value) ? value : undefined;
    };
    return await waitFor(accepted, {
      timeout: PATIENCE,
      interval: 200,
      timeoutError: () => new Error(`Prometheus: ${what} stay ${JSON.stringify(last)}`),
    });
  }

  async #ask<Data>(path: string): Promise<Data> {
    const response = await fetch(`${this.#url}${path}`);
    return ((await response.json()) as { readonly data: Data }).data;
  }
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

async function serveMetrics(socket: string): Promise<Server> {
  const server = createServer((asked, answer) => {
    const { accept } = asked.headers;
    const headers = accept === undefined ? {} : { accept };
    const call = request({ socketPath: socket, path: "/metrics", headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    call.on("error", () => answer.writeHead(502).end()).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function portOf(server: TcpServer): number {
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
