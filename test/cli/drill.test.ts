import { afterEach, beforeEach, expect, test } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import { after, milliseconds } from "../../src/core/time.ts";
import { A1, A2, B1, networkOf, type TestDaemon, Workshop } from "../daemon/fixture.ts";
import { disturb, run } from "./virtual.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

/** Two hosts whose messages get lost on the uplink that the first one drills. */
async function establish(): Promise<TestDaemon> {
  const { a, b } = await workshop.establish();
  disturb([a, b], (...ends) => a.plane.drilled === "up0" && ends.includes(A1));
  return a;
}

/** Payload of its context, each 100 ms, with an answer where its way works. */
function exchangePayload({ clock, daemon, plane }: TestDaemon): void {
  for (const record of plane.records.values()) {
    record.out(clock.now(), 100);
    const [context] = daemon.contexts();
    if (plane.drilled === undefined || context?.localLocator !== A1) record.in(clock.now(), 100);
  }
  const again = () => exchangePayload({ clock, daemon, plane } as TestDaemon);
  clock.schedule(after(clock.now(), milliseconds(100)), again);
}

test("each session's interruption is told, and how it went on", async () => {
  const a = await establish();
  exchangePayload(a);
  const { status, stdout } = await run(a, "drill", "up0", "--for", "20s");
  expect(status).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "up0 loses packets in silence for 20 s, with 1 session of the shim on it; Ctrl-C ends that.
    1 TCP connection without a context would die with it, now left alone:
      [2001:db8:a1::a]:40000 > [2001:db8:b2::b]:22

    CONTEXT       SESSION                          INTERRUPTED  NOTICED IN  PATH FOUND IN  OUTCOME
    4de7347338c9  2001:db8:a1::a > 2001:db8:b1::b  10.20 s      10.18 s     0.00 s         went on by 2001:db8:a2::a > 2001:db8:b2::b

    up0 works again, after 20.0 s. 1 session: 1 moved. Longest interruption: 10.20 s.
    "
  `);
  expect(a.plane.drilled).toBeUndefined();
});

test("--json is one object", async () => {
  const a = await establish();
  exchangePayload(a);
  const { stdout } = await run(a, "drill", A1, "--for", "20s", "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    schemaVersion: 1,
    uplink: "up0",
    as: "silent",
    endedBy: "time",
    flows: [
      {
        outcome: "moved",
        localUlid: A1,
        peerUlid: B1,
        from: { localLocator: A1, peerLocator: B1 },
        to: { localLocator: A2 },
        back: false,
      },
    ],
    unprotected: [{ local: A1, localPort: 40_000, peerPort: 22 }],
  });
});

test("a session that does not notice in time waits for the end", async () => {
  const a = await establish();
  exchangePayload(a);
  const { stdout } = await run(a, "drill", "up0", "--for", "5s");
  expect(stdout).toContain("went on when the uplink worked again");
  expect(stdout).toContain("1 session: 1 waited. Longest interruption: 5.1");
});

test("a session without packets has no interruption", async () => {
  const { stdout } = await run(await establish(), "drill", "2001:db8:a1::/48", "--for", "2s");
  expect(stdout).toContain("1 session: 1 idle.\n");
});

test("as a link that is down it moves at once", async () => {
  const a = await establish();
  exchangePayload(a);
  const { stdout } = await run(a, "drill", "up0", "--for", "2s", "--as", "link-down", "--json");
  const report = JSON.parse(stdout) as { flows: { interruption: number }[] };
  expect(report.flows[0]).toMatchObject({ outcome: "moved", to: { localLocator: A2 } });
  expect(report.flows[0]?.interruption).toBeLessThan(0.5);
  // The endpoint has its locator back.
  expect([...a.daemon.contexts()][0]?.localLocators.every(({ operational }) => operational)).toBe(
    true,
  );
});

test.each([
  ["up7", '"up7" is no uplink, and no locator of one; uplinks here: up0, up1'],
  ["2001:db8::/32", "more than one uplink has locators in 2001:db8::/32; name one of up0, up1"],
])("%s is refused", async (uplink, message) => {
  const { status, stderr } = await run(await establish(), "drill", uplink);
  expect({ status, stderr }).toEqual({ status: 1, stderr: `l3shim: ${message}\n` });
});

test("the only uplink is refused, but with --force", async () => {
  const a = workshop.create("a", networkOf(A1));
  await a.daemon.start(a.socket);
  const refused = await run(a, "drill", "up0", "--for", "1s");
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain("without up0 no uplink works");
  const forced = await run(a, "drill", "up0", "--for", "1s", "--force");
  expect(forced.stdout).toContain("up0 works again, after 1.0 s. No session was on it.");
});

test.each(["0s", "301s", "6min", "ten"])("a span of %s is refused", async (span) => {
  const { status, stderr } = await run(await establish(), "drill", "up0", "--for", span);
  expect(status).toBe(2);
  expect(stderr).toContain("It must be a span from 1s to 300s");
});

test("it is shown, ends before its time by a command, and there is one at a time", async () => {
  const a = await establish();
  const client = new ControlClient(a.socket);
  const drill = run(a, "drill", "up0", "--for", "300s");
  while (a.plane.drilled === undefined) await new Promise(setImmediate);
  expect((await client.status()).warnings).toContainEqual(
    expect.objectContaining({ code: "drill", severity: "info" }),
  );
  await expect(client.drill({ uplink: "up1", seconds: 1 }).next()).rejects.toThrow(
    "another drill goes on",
  );
  await client.endDrill();
  expect((await drill).stdout).toContain("ended before its time");
  await expect(client.endDrill()).rejects.toThrow("no drill goes on");
});

test("a daemon that stops ends it", async () => {
  const a = await establish();
  const drill = run(a, "drill", "up0", "--for", "300s");
  while (a.plane.drilled === undefined) await new Promise(setImmediate);
  await a.daemon.stop();
  expect(await drill).toMatchObject({ status: 3 });
  expect(a.plane.drilled).toBeUndefined();
});

test("a client that goes ends it", async () => {
  const a = await establish();
  const gone = new AbortController();
  const wish = { uplink: "up0", duration: milliseconds(5000), as: "silent", force: false } as const;
  const drill = a.daemon.drill(wish, () => undefined, gone.signal);
  while (a.plane.drilled === undefined) await new Promise(setImmediate);
  gone.abort();
  expect(await drill).toEqual({ ok: true, value: undefined });
  expect(a.plane.drilled).toBeUndefined();
});
