import { type IncomingMessage, request } from "node:http";
import { json } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ContextsReply } from "../../src/daemon/api.ts";
import { A1, A2, B1, type TestDaemon, Workshop } from "./fixture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(async () => {
  await workshop.close();
});

async function get({ socket }: TestDaemon, query: string) {
  const path = `/v1/contexts${query}`;
  const response = await new Promise<IncomingMessage>((resolve) => {
    request({ socketPath: socket, path }, resolve).end();
  });
  return { status: response.statusCode, body: (await json(response)) as ContextsReply };
}

async function ulids(daemon: TestDaemon, query: string): Promise<string[]> {
  return (await get(daemon, query)).body.contexts.map(({ localUlid }) => localUlid);
}

test("a long list of contexts is told in parts", async () => {
  const [a] = await workshop.createPair();
  for (const local of [A1, A2]) a.plane.events.trigger(a.clock.now(), { local, peer: B1 });
  const all = await ulids(a, "");
  expect(all).toHaveLength(2);
  expect(await ulids(a, "?limit=1")).toEqual(all.slice(0, 1));
  expect(await ulids(a, "?offset=1&limit=5")).toEqual(all.slice(1));
  expect(await ulids(a, "?offset=2")).toEqual([]);
});

test.each(["?offset=-1", "?limit=x", "?after=1"])("refuses %s", async (query) => {
  const [a] = await workshop.createPair();
  expect((await get(a, query)).status).toBe(400);
});
