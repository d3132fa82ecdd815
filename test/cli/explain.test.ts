import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import {
  A1,
  A2,
  B1,
  B2,
  connect,
  networkOf,
  type TestDaemon,
  Workshop,
} from "../daemon/fixture.ts";
import { l3shim } from "./capture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(async () => {
  vi.useRealTimers();
  await workshop.close();
});

/** What it says at the time of the daemon's clock, tags and jittered spans masked. */
async function explain({ clock, socket }: TestDaemon, ...flow: string[]): Promise<string> {
  vi.useFakeTimers({ toFake: ["Date"], now: clock.wall() });
  const { status, stdout, stderr } = await l3shim("explain", ...flow, "--socket", socket);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout.replace(/\b[0-9a-f]{12}\b/g, "TAG_12DIGITS").replace(/in [\d.]+ s/g, "in N s");
}

function loseFirst({ monitor }: TestDaemon): void {
  const network = networkOf(A1, A2);
  const links = network.links.map((link, i) => (i === 0 ? { ...link, carrier: false } : link));
  monitor.change({ ...network, links });
}

describe("a flow with a context", () => {
  test("has path, cause, and what would happen", async () => {
    const { a } = await workshop.establish();
    a.clock.advance(60_000);
    expect(await explain(a, B1)).toMatchInlineSnapshot(`
      "flow     2001:db8:a1::a > 2001:db8:b1::b
      context  TAG_12DIGITS: works
      path     2001:db8:a1::a > 2001:db8:b1::b by up0, the addresses that the flow began with
      since    60 s ago
      why      it began there
      if up0 died
        a lost link would be noticed at once, a silent failure within N s
        first 2001:db8:a2::a > 2001:db8:b2::b by up1 would be tried
        the peer's address there is believed without proof; it has not been probed
        the last of 2 pairs would have been tried 0.5 s later
      "
    `);
  });

  test("that has moved says from where, why, and how long it took", async () => {
    const { a } = await workshop.establish();
    a.clock.advance(10_000);
    loseFirst(a);
    a.clock.advance(240_000);
    expect(await explain(a, A1, B1)).toMatchInlineSnapshot(`
      "flow     2001:db8:a1::a > 2001:db8:b1::b
      context  TAG_12DIGITS: works
      path     2001:db8:a2::a > 2001:db8:b2::b by up1
      since    4 min ago
      why      the link or address was lost; no path for less than 0.1 s
      before   2001:db8:a1::a > 2001:db8:b1::b
      if up1 died
        a lost link would be noticed at once, a silent failure within N s
        the flow would wait: no other locator of this host works
      "
    `);
  });

  test("that looks for a path says since when", async () => {
    const { a } = await workshop.establish();
    a.plane.sendControl = () => undefined;
    loseFirst(a);
    a.clock.advance(5_000);
    expect(await explain(a, B1)).toMatchInlineSnapshot(`
      "flow     2001:db8:a1::a > 2001:db8:b1::b
      context  TAG_12DIGITS: looks for a path for 5 s
      path     2001:db8:a1::a > 2001:db8:b1::b by up0, the addresses that the flow began with
      since    5 s ago
      why      it began there
      looks    for another path: the link or address was lost
      "
    `);
  });

  test("that looked for one in vain and stayed says so", async () => {
    const { a, tag } = await workshop.establish();
    const client = new ControlClient(a.socket);
    await client.pin(tag, {});
    await client.explore(tag);
    a.clock.advance(5_000);
    expect(await explain(a, B1)).toMatch(/^looked +for a path 5 s ago: by command; none for/m);
  });

  test("that looked for one, moved and is back elsewhere since does not say that it stayed", async () => {
    const { a, tag } = await workshop.establish();
    const client = new ControlClient(a.socket);
    await client.explore(tag);
    a.clock.advance(5_000);
    await client.prefer(tag, { localLocator: A1, peerLocator: B1 });
    a.clock.advance(5_000);
    const text = await explain(a, B1);
    expect(text).toContain(`path     ${A1} > ${B1} by up0`);
    expect(text).toMatch(/^looked +for a path 10 s ago: by command; none for less than 0.1 s$/m);
  });

  test("with forks: which of them carries it, as far as that is known", async () => {
    const { a } = await workshop.establish();
    await new ControlClient(a.socket).fork({
      selector: { protocol: 17, peerPorts: { first: 5004, last: 5005 } },
      locators: { localLocator: A2, peerLocator: B2 },
    });
    a.clock.advance(5_000);
    const carried = async (...flow: string[]) =>
      (await explain(a, ...flow)).split("\n").filter((line) => line.startsWith("carries"));
    expect(await carried("udp", `[${A1}]:4000`, `[${B1}]:5004`)).toEqual([
      "carries  udp to port 5004-5005",
    ]);
    expect(await carried("tcp", `[${B1}]:5004`)).toEqual([]);
    expect(await carried(B1)).toEqual([
      "carries  udp to port 5004-5005: whether that is this flow, is not known",
      "carries  what no fork carries: whether that is this flow, is not known",
    ]);
  });

  test("is found by the context's tag, too", async () => {
    const { a, tag } = await workshop.establish();
    a.clock.advance(1_000);
    expect(await explain(a, tag)).toBe(await explain(a, B1, A1));
  });

  test("--json has the same", async () => {
    const { a, tag } = await workshop.establish();
    const { stdout } = await l3shim("explain", B1, "--json", "--socket", a.socket);
    expect(JSON.parse(stdout)).toMatchObject({
      schemaVersion: 1,
      flow: { local: null, peer: B1, protocol: null, localPort: null, peerPort: null },
      carriers: [
        {
          carries: "yes",
          context: { localTag: tag, path: { cause: "established" } },
          ifUplinkDied: {
            uplink: "up0",
            detection: 10.5,
            adaptive: false,
            pairs: 2,
            next: { localLocator: A2, peerLocator: B2, uplink: "up1", proof: "none" },
          },
        },
      ],
      absences: [],
    });
  });
});

describe("what would happen", () => {
  test("to a flow that is pinned strictly: it would wait", async () => {
    const { a, tag } = await workshop.establish();
    await new ControlClient(a.socket).pin(tag, { strict: true });
    expect(await explain(a, B1)).toContain("the flow would wait: it is pinned strictly");
  });

  test("to a flow that has a preferred pair elsewhere: that one comes first", async () => {
    const { a, tag } = await workshop.establish();
    a.plane.sendControl = () => undefined;
    await new ControlClient(a.socket).prefer(tag, { localLocator: A2, peerLocator: B1 });
    const text = await explain(a, B1);
    expect(text).toContain(`first ${A2} > ${B1} by up1 would be tried`);
    expect(text).toContain("believed without proof; it has not answered lately");
  });

  test("to a flow whose pairs were surveyed: what was found", async () => {
    const { a, b } = await workshop.establish();
    connect(a, b);
    let isOver = false;
    const survey = new ControlClient(a.socket).survey({ peer: B1, rounds: 1 });
    void survey.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      a.clock.advance(50);
      await new Promise(setImmediate);
    }
    expect(await explain(a, B1)).toContain("the pair passed l3shim check");
  });
});

describe("a flow without one says why:", () => {
  test("too few packets, and what was before", async () => {
    const { a, tag } = await workshop.establish();
    await new ControlClient(a.socket).close(tag);
    expect(await explain(a, B1)).toMatchInlineSnapshot(`
      "There is no context: a pair of addresses gets one after 50 packets, both ways together. The last one was closed: command.
        l3shim open LOCAL PEER establishes one at once.
      "
    `);
  });

  test("the peer does not answer, and for how long it is left alone", async () => {
    const [a] = await workshop.createPair();
    a.plane.sendControl = () => undefined;
    a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
    expect(await explain(a, B1)).toContain("being established");
    a.clock.advance(150_000);
    expect(await explain(a, B1)).toMatchInlineSnapshot(`
      "2001:db8:b1::b does not answer Shim6: it has none, or protocol 140 is dropped on the way. Packets are plain IPv6.
        It is not asked again for 36 s, whatever traffic there is.
        l3shim check 2001:db8:b1::b tells which.
      "
    `);
  });

  test("link-local", async () => {
    const [a] = await workshop.createPair();
    expect(await explain(a, "fe80::1")).toMatch(/^fe80::1 is link-local/);
  });

  test("the local address is no locator", async () => {
    const [a] = await workshop.createPair();
    expect(await explain(a, "fd00::1", B1)).toMatch(/^fd00::1 is no locator of this host/);
  });

  test("the address is another locator of a peer", async () => {
    const { a } = await workshop.establish();
    expect(await explain(a, B2)).toContain(`l3shim explain ${B1} explains those of the peer.`);
  });
});

test.each([
  [["tcp"], "a flow is one address or two"],
  [["tcp", "udp", B1], "a flow is one address or two"],
  [[A1, B1, B2], "a flow is one address or two"],
  [[`[${B1}]:70000`], "no port is above 65535"],
  [["no.such.invalid"], "is no IPv6 address, and no name"],
])("%j is wrong usage", async (flow, message) => {
  const [a] = await workshop.createPair();
  const run = await l3shim("explain", ...flow, "--socket", a.socket);
  expect(run).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining(message) });
});
