import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HostsServer } from "../../src/daemon/web/hosts-server.ts";
import { VirtualClock } from "./fakes.ts";
import { A1, networkOf, Workshop } from "./fixture.ts";

/** Octets of the page's script, compressed. */
const SCRIPT_MAX = 60_000;

let workshop: Workshop;
let port: number;

beforeEach(async () => {
  workshop = new Workshop();
  port = await freePort();
});

afterEach(() => workshop.close());

/** A daemon that serves the page. */
async function startDaemon(extraConfig = "") {
  const config = `[http]\nlisten = "127.0.0.1:${port}"\n${extraConfig}`;
  const made = workshop.create("a", networkOf(A1), new VirtualClock(), config);
  await made.daemon.start(made.socket);
  return made;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

interface Wish {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly at?: number;
}

async function open(path: string, wish: Wish = {}): Promise<IncomingMessage> {
  const { method = "GET", headers = {}, at = port } = wish;
  const asked = request({ host: "127.0.0.1", port: at, path, method, headers, agent: false }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return response;
}

async function get(path: string, wish: Wish = {}) {
  const response = await open(path, wish);
  const { statusCode: status, headers } = response;
  return { status, headers, body: await text(response) };
}

test("the page and all that it names come from the daemon, under a policy that lets in nothing else", async () => {
  await startDaemon();
  const page = await get("/");
  expect(page.status).toBe(200);
  expect(page.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(page.headers["content-security-policy"]).toContain("default-src 'none'");
  expect(page.headers["content-security-policy"]).not.toContain("unsafe");
  const named = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThanOrEqual(3);
  for (const path of named) {
    expect(path).toMatch(/^\.\//);
    expect((await get(path.slice(1))).status).toBe(200);
  }
  expect(page.body).not.toMatch(/<script(?![^>]*src)|<style|style=|onload=/);
});

test("the page is for names of the loopback only, and no path leads out of it", async () => {
  await startDaemon();
  expect((await get("/", { headers: { host: `evil.example:${port}` } })).status).toBe(421);
  expect((await get("/", { headers: { origin: "http://evil.example" } })).status).toBe(403);
  expect((await get("/../../package.json")).status).toBe(404);
  expect((await get("/assets/..%2findex.html")).status).toBe(404);
});

test("the page learns whether it may change something", async () => {
  await startDaemon();
  expect(JSON.parse((await get("/v1/access")).body)).toMatchObject({ mayChange: false });
  expect((await get("/v1/check", { method: "POST" })).status).toBe(403);
});

test("with http.commands it may", async () => {
  await startDaemon("commands = true\n");
  expect(JSON.parse((await get("/v1/access")).body)).toMatchObject({ mayChange: true });
});

test("events come as server-sent events to whoever asks for these", async () => {
  const { daemon, monitor } = await startDaemon();
  const stream = await open("/v1/events", { headers: { accept: "text/event-stream" } });
  expect(stream.headers["content-type"]).toBe("text/event-stream");
  monitor.change(networkOf());
  const [chunk] = (await once(stream, "data")) as [Buffer];
  stream.destroy();
  expect(chunk.toString()).toMatch(/^data: \{"time".*\}\n\n/);
  expect(daemon.events.subscriptions).toBeLessThanOrEqual(1);
});

test("a lab shows each host in a folder of its own, by its control socket", async () => {
  const { socket } = await startDaemon();
  const server = await HostsServer.listen(0);
  const at = Number(new URL(server.url).port);
  try {
    expect((await get("/", { at })).status).toBe(404);
    server.show(
      new Map([
        ["a", socket],
        ["gone", `${socket}.gone`],
      ]),
    );
    expect((await get("/", { at })).headers.location).toBe("/a/");
    expect((await get("/a", { at })).headers.location).toBe("/a/");
    expect((await get("/z/", { at })).status).toBe(404);
    expect((await get("/a/", { at })).body).toContain("<title>L3SHIM</title>");
    expect(JSON.parse((await get("/a/v1/access", { at })).body)).toMatchObject({
      ...{ mayChange: true, hosts: ["a", "gone"] },
    });
    expect(JSON.parse((await get("/a/v1/status", { at })).body)).toMatchObject({
      ...{ version: "0.0.0-test" },
    });
    expect((await get("/gone/v1/status", { at })).status).toBe(502);
    expect((await get("/a/", { at, headers: { host: "evil.example" } })).status).toBe(421);
  } finally {
    await server.close();
  }
});

test("the page's script is small", () => {
  const assets = new URL("../../dist/web/assets/", import.meta.url);
  const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"));
  const sizes = scripts.map((name) => gzipSync(readFileSync(new URL(name, assets))).length);
  expect(sizes.length).toBeGreaterThan(0);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(SCRIPT_MAX);
});
