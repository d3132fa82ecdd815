import { existsSync, linkSync, lstatSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import type { MonitorEvent } from "../../src/daemon/api.ts";
import { address } from "./fakes.ts";
import { A1, A2, B1, collect, networkOf, type TestDaemon, Workshop } from "./fixture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

/** Two daemons with an ESTABLISHED context on A1 and B1, seen from the first. */
async function establish() {
  const { a, b, tag } = await workshop.establish();
  const client = new ControlClient(a.socket);
  const { context } = await client.context(tag);
  return { a, b, client, context };
}

test("a trigger leads to a context that both daemons show", async () => {
  const { b, context } = await establish();
  expect(context).toMatchObject({
    state: "ESTABLISHED",
    reapState: "Operational",
    localUlid: A1,
    peerUlid: B1,
    localLocator: A1,
    peerLocator: B1,
    initiator: true,
    switches: 0,
    packetsIn: 0,
    packetsOut: 0,
  });
  expect(context.localTag).toMatch(/^[0-9a-f]{12}$/);
  const [mirrored] = (await new ControlClient(b.socket).contexts()).contexts;
  expect(mirrored).toMatchObject({ localTag: context.peerTag, peerTag: context.localTag });
});

test("a context shows the data plane's newest figures", async () => {
  const { a, client, context } = await establish();
  for (const record of a.plane.records.values()) {
    record.out(a.clock.now(), 100);
    record.in(a.clock.now(), 40);
    record.in(a.clock.now(), 40);
  }
  const reply = await client.context(context.localTag);
  expect(reply.context).toMatchObject({ packetsOut: 1, bytesOut: 100, packetsIn: 2, bytesIn: 80 });
  expect(reply.context.lastIn).toBe("1970-01-01T00:00:00.000Z");
});

test("the status sums up", async () => {
  const { a, client } = await establish();
  a.clock.advance(2500);
  expect(await client.status()).toMatchObject({
    schemaVersion: 1,
    version: "0.0.0-test",
    pid: process.pid,
    startedAt: "1970-01-01T00:00:00.000Z",
    uptime: 2.5,
    dataplane: "nfqueue",
    security: "unverified",
    sendTimeout: 10,
    contexts: { total: 1, byState: { ESTABLISHED: 1 }, byReapState: { Operational: 1 } },
    uplinks: [{ interface: "up0" }, { interface: "up1" }],
    warnings: [{ code: "unverified" }],
    counters: { dataplane: { "fake-dropped": 3 }, daemon: { "send-failed": 0 } },
  });
});

test("locators are listed with their use, a lost ULID among them", async () => {
  const { a, client } = await establish();
  const { locators } = await client.locators();
  expect(locators.map((row) => [row.address, row.interface, row.ulidOf, row.operational])).toEqual([
    [A1, "up0", 1, true],
    [A2, "up1", 0, true],
  ]);
  const network = networkOf(A1, A2);
  a.monitor.change({ ...network, addresses: network.addresses.slice(1) });
  const after = (await client.locators()).locators;
  expect(after.find((row) => row.address === A1)).toMatchObject({
    interface: null,
    operational: false,
    ulidOf: 1,
  });
});

test("a deleted local address starts the exploration at once and ends on another pair", async () => {
  const { a, client, context } = await establish();
  const events: MonitorEvent[] = [];
  const ended = collect(client.events(), events);
  await expect.poll(() => a.daemon.events.subscriptions).toBe(1);
  const network = networkOf(A1, A2);
  a.monitor.change({ ...network, addresses: network.addresses.slice(1) });
  a.clock.advance(5000);
  const after = (await client.context(context.localTag)).context;
  expect(after).toMatchObject({ localUlid: A1, localLocator: A2, reapState: "Operational" });
  expect(after.switches).toBeGreaterThan(0);
  await a.daemon.stop();
  await ended;
  const names = events.map((event) => event.event);
  for (const name of ["host-locators-changed", "exploring", "switched", "recovered"]) {
    expect(names).toContain(name);
  }
  const exploring = events.find((event) => event.event === "exploring");
  expect(exploring).toEqual({
    time: "1970-01-01T00:00:00.000Z",
    event: "exploring",
    context: context.localTag,
    localUlid: A1,
    peerUlid: B1,
    cause: "local-locator-lost",
    sequence: expect.any(Number),
    monotonic: 1000,
  });
});

describe("a session whose path may have died", () => {
  const causes = ({ logged }: TestDaemon) =>
    logged.flatMap(({ msg, cause }) => (msg === "context exploring" ? [cause] : []));

  test("explores at once when its uplink's router does not answer, and not when another's does not", async () => {
    const { a } = await workshop.establish();
    a.monitor.observer?.unreachable(2, address("fe80::2"));
    expect(causes(a)).toEqual([]);
    a.monitor.observer?.unreachable(1, address("fe80::1"));
    expect(causes(a)).toEqual(["router-lost"]);
  });

  test("explores when the machine wakes up", async () => {
    const { a } = await workshop.establish();
    a.clock.sleep(60_000);
    a.clock.advance(1_000);
    expect(causes(a)).toEqual(["resumed"]);
    a.clock.advance(1_000);
    expect([...a.daemon.contexts()]).toMatchObject([{ reapState: "Operational", switches: 0 }]);
  });
});

test("the event stream shows control messages only to whoever asked", async () => {
  const [a] = await workshop.createPair();
  const client = new ControlClient(a.socket);
  const plain: MonitorEvent[] = [];
  const full: MonitorEvent[] = [];
  const ended = [collect(client.events(), plain), collect(client.events({ messages: true }), full)];
  await expect.poll(() => a.daemon.events.subscriptions).toBe(2);
  a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
  await a.daemon.stop();
  await Promise.all(ended);
  expect(plain.map((event) => event.event)).toEqual(["established", "peer-locators-changed"]);
  const messages = full.flatMap((e) => (e.event === "message" ? `${e.direction} ${e.type}` : []));
  // The fake network delivers within sendControl, before the driver can report the sending.
  expect(messages.toSorted()).toEqual(["received R1", "received R2", "sent I1", "sent I2"]);
});

test("commands act on the context, and say why when they can't", async () => {
  const { client, context } = await establish();
  expect(await client.explore(context.localTag)).toEqual({
    schemaVersion: 1,
    done: true,
  });
  expect(await client.close(context.localTag)).toEqual({ schemaVersion: 1, done: true });
  await expect(client.close(context.localTag)).rejects.toThrow("no context has this tag");
  await expect(client.context("00")).rejects.toThrow("no context has this tag");
  await expect(client.context("xyz")).rejects.toThrow("1 to 12 hex digits");
  await expect(client.open({ localUlid: "x", peerUlid: B1 })).rejects.toThrow(
    'localUlid: must be an IPv6 address, but is "x"',
  );
  await client.open({ localUlid: A1, peerUlid: B1 });
  await expect(client.open({ localUlid: A1, peerUlid: B1 })).rejects.toThrow("already");
});

test("the socket may be used by its owner and group only", async () => {
  const { a } = await establish();
  expect(lstatSync(a.socket).mode & 0o777).toBe(0o660);
});

test("a second daemon on the same socket is refused and has touched nothing", async () => {
  const { a } = await establish();
  const second = workshop.create("second", networkOf(A1));
  await expect(second.daemon.start(a.socket)).rejects.toThrow(
    `a daemon listens on the control socket ${a.socket} already`,
  );
  expect(second.own.log).toEqual([]);
  expect(second.plane.calls).toEqual([]);
  await second.daemon.stop();
  expect(existsSync(a.socket)).toBe(true);
});

test("the socket of a dead daemon is replaced, another file is not", async () => {
  const { daemon, socket } = workshop.create("a", networkOf(A1));
  const dead = createServer();
  await new Promise<void>((resolve) => {
    dead.listen(`${socket}.first`, resolve);
  });
  // A server that closes removes its path: the second name stays, as a crash leaves it.
  linkSync(`${socket}.first`, socket);
  await new Promise<void>((resolve) => {
    dead.close(() => resolve());
  });
  writeFileSync(`${socket}.file`, "");
  await expect(daemon.start(`${socket}.file`)).rejects.toThrow("is no socket");
  await daemon.start(socket);
  expect((await new ControlClient(socket).contexts()).contexts).toEqual([]);
});

test("a stop takes down plane, host and socket, in this order", async () => {
  const { a } = await establish();
  await a.daemon.stop();
  expect(a.plane.calls.at(-1)).toBe("close");
  expect([a.own.ruleList, a.own.routeList, a.own.ulidList]).toEqual([[], [], []]);
  expect(existsSync(a.socket)).toBe(false);
  expect(a.failures).toEqual([]);
});

test("a plane that cannot open fails the start, and the stop cleans up", async () => {
  const a = workshop.create("a", networkOf(A1));
  a.plane.openError = new Error("no queue");
  await expect(a.daemon.start(a.socket)).rejects.toThrow("no queue");
  await a.daemon.stop();
  expect(a.own.ruleList).toEqual([]);
  expect(existsSync(a.socket)).toBe(false);
});

test("a subscriber that does not read is cut off", async () => {
  const { a } = await establish();
  const reader = connect(a.socket);
  reader.write("GET /v1/events HTTP/1.1\r\nHost: l3shim\r\n\r\n");
  reader.pause();
  await expect.poll(() => a.daemon.events.subscriptions).toBe(1);
  const locators = Array.from({ length: 1000 }, () => ({
    address: A1,
    interface: "up0",
    operational: true,
  }));
  for (let i = 0; i < 200; i++) {
    const event = "host-locators-changed";
    a.daemon.events.publish(a.clock.now(), { event, context: null, locators });
  }
  await expect.poll(() => a.daemon.events.subscriptions).toBe(0);
  reader.destroy();
});

test("a plane that breaks is told to whoever started the daemon", async () => {
  const { a } = await establish();
  a.plane.events.failed(new Error("queue gone"));
  expect(a.failures.map((error) => error.message)).toEqual(["queue gone"]);
});
