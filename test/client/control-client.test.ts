import { createServer } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import { ControlError } from "../../src/client/control-error.ts";
import type { MonitorEvent } from "../../src/daemon/api.ts";
import { A1, B1, collect, networkOf, Workshop } from "../daemon/fixture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

async function start() {
  const host = workshop.create("a", networkOf(A1));
  await host.daemon.start(host.socket);
  return { ...host, client: new ControlClient(host.socket) };
}

describe("the stream of events", () => {
  test("goes on with the next daemon, and says when it begins anew", async () => {
    const first = await start();
    const events: MonitorEvent[] = [];
    const over = new AbortController();
    let connections = 0;
    const onConnect = () => {
      connections += 1;
    };
    const options = { reconnectAfter: 1, signal: over.signal, messages: true, onConnect };
    const ended = collect(first.client.events(options), events);
    await expect.poll(() => connections).toBe(1);
    await first.daemon.stop();
    const second = await start();
    await expect.poll(() => connections).toBe(2);
    await second.client.open({ localUlid: A1, peerUlid: B1 });
    await expect.poll(() => events.at(-1)).toMatchObject({ event: "message", type: "I1" });
    over.abort();
    await ended;
    await expect.poll(() => second.daemon.events.subscriptions).toBe(0);
  });

  test("waits for the first daemon, until it is told to end", async () => {
    const client = new ControlClient(join(workshop.directory, "none.sock"));
    const over = new AbortController();
    const ended = collect(client.events({ reconnectAfter: 60_000, signal: over.signal }), []);
    over.abort();
    await ended;
    const late = client.events({ signal: AbortSignal.abort() });
    expect(await late.next()).toEqual({ done: true, value: undefined });
  });

  test("and the history fit together", async () => {
    const { client } = await start();
    const { events } = await client.history();
    const [first] = events;
    expect(first).toMatchObject({ event: "uplink-changed", sequence: 1 });
    expect((await client.history({ after: 1 })).events).toEqual(events.slice(1));
    expect((await client.history({ context: "ff" })).events).toEqual([]);
  });

  test("is closed by leaving the loop over it", async () => {
    const { client, daemon } = await start();
    const events = client.events({ messages: true });
    const next = events.next();
    await expect.poll(() => daemon.events.subscriptions).toBe(1);
    await client.open({ localUlid: A1, peerUlid: B1 });
    expect((await next).value).toMatchObject({ event: "message", type: "I1" });
    await events.return();
    await expect.poll(() => daemon.events.subscriptions).toBe(0);
  });

  test("without reconnection ends with the daemon, and throws where there is none", async () => {
    const { client, daemon } = await start();
    const ended = collect(client.events(), []);
    await expect.poll(() => daemon.events.subscriptions).toBe(1);
    await daemon.stop();
    await ended;
    await expect(client.events().next()).rejects.toMatchObject({ problem: "no-daemon" });
  });
});

describe("what went wrong has a name", () => {
  test("as the daemon answers", async () => {
    const { client } = await start();
    await client.open({ localUlid: A1, peerUlid: B1 });
    for (const [call, problem] of [
      [client.context("ff"), "not-found"],
      [client.context("../status"), "bad-request"],
      [client.setSendTimeout({ sendTimeout: 0 }), "bad-request"],
      [client.open({ localUlid: A1, peerUlid: B1 }), "conflict"],
    ] as const) {
      await expect(call).rejects.toMatchObject({ problem });
    }
  });

  test.each([
    [403, { error: "not you" }, "forbidden", "not you"],
    [500, { error: "internal error" }, "failed", "internal error"],
    [200, { schemaVersion: 2 }, "incompatible", "speaks version 2 of the control API"],
  ])("%i %j is %s", async (status, answer, problem, text) => {
    const socket = join(workshop.directory, "fake.sock");
    const server = createServer((_, response) => {
      response.writeHead(status).end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => {
      server.listen(socket, resolve);
    });
    const error = await new ControlClient(socket).status().catch((thrown: unknown) => thrown);
    server.close();
    expect(error).toBeInstanceOf(ControlError);
    expect(error).toMatchObject({ problem, message: expect.stringContaining(text) });
  });
});
