import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import type { ContextStatus, MonitorEvent } from "../../src/daemon/api.ts";
import {
  CONTEXT_EVENTS_KEPT,
  History,
  HOST_EVENTS_KEPT,
} from "../../src/daemon/history/history.ts";
import { A1, A2, B1, B2, connect, networkOf, type TestDaemon, Workshop } from "./fixture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

function pathOf({ daemon }: TestDaemon): ContextStatus["path"] | undefined {
  return [...daemon.contexts()][0]?.path;
}

/** Takes the first uplink away. */
function loseFirst({ monitor }: TestDaemon): void {
  const network = networkOf(A1, A2);
  const links = network.links.map((link, i) => (i === 0 ? { ...link, carrier: false } : link));
  monitor.change({ ...network, links });
}

describe("which path, why, since when", () => {
  test("a new context is where it began", async () => {
    const { a } = await workshop.establish();
    expect(pathOf(a)).toEqual({
      since: "1970-01-01T00:00:00.000Z",
      cause: "established",
      because: null,
      from: null,
      exploration: null,
    });
  });

  test("after a failure: what it left, why, and how long the outage lasted", async () => {
    const { a, b } = await workshop.establish();
    a.clock.advance(10_000);
    loseFirst(a);
    a.clock.advance(5_000);
    expect(pathOf(a)).toMatchObject({
      since: "1970-01-01T00:00:10.000Z",
      cause: "exploration",
      because: "local-locator-lost",
      from: { localLocator: A1, peerLocator: B1 },
      exploration: {
        cause: "local-locator-lost",
        startedAt: "1970-01-01T00:00:10.000Z",
        endedAt: "1970-01-01T00:00:10.000Z",
        duration: 0,
      },
    });
    expect(pathOf(b)).toMatchObject({ cause: "exploration", because: "peer-locator-lost" });
  });

  test("the peer may have begun it", async () => {
    const { a, b, tag } = await workshop.establish();
    await new ControlClient(a.socket).explore(tag);
    a.clock.advance(5_000);
    expect(pathOf(a)).toMatchObject({ because: "command" });
    expect(pathOf(b)).toMatchObject({ because: "peer", exploration: { cause: "peer" } });
  });

  test("while it looks for a path: since when, and no end", async () => {
    const { a } = await workshop.establish();
    a.plane.sendControl = () => undefined;
    loseFirst(a);
    a.clock.advance(5_000);
    expect(pathOf(a)).toMatchObject({
      cause: "established",
      exploration: {
        cause: "local-locator-lost",
        startedAt: "1970-01-01T00:00:00.000Z",
        endedAt: null,
        detection: null,
        duration: null,
      },
    });
  });

  test("an outage ends when packets come through again, with its length", async () => {
    const { a, b } = await workshop.establish();
    a.plane.sendControl = () => undefined;
    loseFirst(a);
    a.clock.advance(5_000);
    connect(a, b);
    a.clock.advance(10_000);
    const exploration = pathOf(a)?.exploration;
    expect(exploration?.endedAt).not.toBeNull();
    expect(exploration?.duration).toBeGreaterThan(5);
  });

  test("an exploration that ends where it began changes nothing but is told of", async () => {
    const { a, tag } = await workshop.establish('[[uplink]]\ninterface = "up1"\nbackup = true');
    await new ControlClient(a.socket).pin(tag, {});
    await new ControlClient(a.socket).explore(tag);
    a.clock.advance(5_000);
    expect(pathOf(a)).toMatchObject({
      cause: "established",
      from: null,
      exploration: { cause: "command", endedAt: expect.any(String) },
    });
  });

  test("a command moves it, and a closed context has no path any more", async () => {
    const { a, tag } = await workshop.establish();
    const client = new ControlClient(a.socket);
    await client.prefer(tag, { localLocator: A2, peerLocator: B2 });
    a.clock.advance(1_000);
    expect(pathOf(a)).toMatchObject({ cause: "command", because: null });
    await client.close(tag);
    expect(pathOf(a)).toBeUndefined();
  });
});

describe("the history", () => {
  const namesOf = (events: readonly MonitorEvent[]) => events.map(({ event }) => event);

  test("tells from the start of the daemon what has happened, causes first", async () => {
    const { a } = await workshop.establish();
    a.clock.advance(10_000);
    loseFirst(a);
    a.clock.advance(5_000);
    const history = await new ControlClient(a.socket).history();
    expect(history).toMatchObject({
      startedAt: "1970-01-01T00:00:00.000Z",
      time: "1970-01-01T00:00:15.000Z",
      monotonic: 1015,
      dropped: 0,
    });
    expect(namesOf(history.events)).toEqual([
      ...["uplink-changed", "uplink-changed", "warning", "host-locators-changed"],
      ...["established", "peer-locators-changed"],
      ...["uplink-changed", "warning", "warning", "host-locators-changed"],
      ...["exploring", "inboundok", "switched", "recovered"],
    ]);
    const numbers = history.events.map(({ sequence }) => sequence);
    expect(numbers).toEqual(numbers.toSorted((x, y) => x - y));
    const lost = history.events.findLast(({ event }) => event === "uplink-changed");
    expect(lost).toEqual({
      time: "1970-01-01T00:00:10.000Z",
      event: "uplink-changed",
      context: null,
      interface: "up0",
      operational: false,
      problem: "no carrier",
      sequence: expect.any(Number),
      monotonic: 1010,
    });
  });

  test("can be asked for one context, and for what is new", async () => {
    const { a, tag } = await workshop.establish();
    const client = new ControlClient(a.socket);
    expect(namesOf((await client.history({ context: tag })).events)).toEqual([
      "established",
      "peer-locators-changed",
    ]);
    expect((await client.history({ context: "ff" })).events).toEqual([]);
    const { events } = await client.history();
    const last = events.at(-1)?.sequence ?? 0;
    loseFirst(a);
    const query = { after: last, context: undefined };
    expect(namesOf(a.daemon.history(query).events).at(0)).toBe("uplink-changed");
  });

  test("says when a warning is over, and when an uplink is gone", async () => {
    const [a] = await workshop.createPair();
    loseFirst(a);
    const { events } = await new ControlClient(a.socket).history();
    const after = events.at(-1)?.sequence ?? 0;
    a.monitor.change(networkOf(A1, A2));
    a.monitor.change({ links: [], addresses: [], routes: [] });
    const told = a.daemon.history({ after, context: undefined }).events;
    const shown = told.map((event) =>
      event.event === "uplink-changed" || "code" in event
        ? [event.event, "code" in event ? event.code : event.interface]
        : [event.event],
    );
    expect(shown).toEqual([
      ["uplink-changed", "up0"],
      ["warning-over", "uplink-down"],
      ["warning-over", "one-uplink"],
      ["host-locators-changed"],
      ["uplink-changed", "up0"],
      ["uplink-changed", "up1"],
      ["warning", "no-uplink"],
      ["host-locators-changed"],
    ]);
  });

  test("keeps what the kernel refused", async () => {
    const [a] = await workshop.createPair();
    a.own.refuse = (change) => change.startsWith("add ulid");
    a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
    const { events } = a.daemon.history({ after: 0, context: undefined });
    const refused = events.find(({ event }) => event === "host-warning");
    expect(refused).toMatchObject({ context: null, text: expect.stringContaining("refused") });
  });

  test.each(["after=-1", "after=x", "context=xyz", "since=1"])("refuses %s", async (query) => {
    const [a] = await workshop.createPair();
    const { request } = await import("node:http");
    const status = await new Promise((resolve) => {
      const path = `/v1/history?${query}`;
      request({ socketPath: a.socket, path }, (r) => resolve(r.resume().statusCode)).end();
    });
    expect(status).toBe(400);
  });

  test("keeps the newest, and those of the host whatever happens to contexts", () => {
    const history = new History();
    const stamp = (sequence: number) => ({ time: "t", sequence, monotonic: sequence });
    const context = { context: "0000000000ab", localUlid: A1, peerUlid: B1 };
    const uplink = { interface: "up0", operational: true, problem: null };
    history.keep({ ...stamp(1), event: "uplink-changed", context: null, ...uplink });
    for (let i = 2; i < CONTEXT_EVENTS_KEPT + 12; i++) {
      history.keep({ ...stamp(i), event: "inboundok", ...context });
    }
    const events = history.select({ after: 0, context: undefined });
    expect(events).toHaveLength(CONTEXT_EVENTS_KEPT + 1);
    expect(events[0]).toMatchObject({ event: "uplink-changed" });
    expect(events[1]).toMatchObject({ sequence: 12 });
    expect(history.dropped).toBe(10);
    expect(HOST_EVENTS_KEPT).toBeLessThan(CONTEXT_EVENTS_KEPT);
  });
});
