import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import { A1, A2, B1, networkOf, type TestDaemon, Workshop } from "../daemon/fixture.ts";
import { l3shim } from "./capture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  Reflect.deleteProperty(process.stdout, "isTTY");
  await workshop.close();
});

/** Dates are those of the daemon's clock. */
function setTime({ clock }: TestDaemon): void {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: clock.wall() });
}

function loseFirst({ monitor }: TestDaemon): void {
  const network = networkOf(A1, A2);
  const links = network.links.map((link, i) => (i === 0 ? { ...link, carrier: false } : link));
  monitor.change({ ...network, links });
}

async function status({ socket }: TestDaemon, ...options: string[]): Promise<string> {
  const run = await l3shim("status", ...options, "--socket", socket);
  expect(run.status).toBe(0);
  return run.stdout.replace(`pid ${process.pid}`, "pid PID");
}

function atTerminal(): void {
  Object.defineProperty(process.stdout, "isTTY", { value: true, configurable: true });
}

test("without contexts there are the daemon and its uplinks", async () => {
  const [a] = await workshop.createPair();
  expect(await status(a)).toMatchInlineSnapshot(`
    "daemon        l3shim 0.0.0-test, pid PID, up 0 s
    data plane    nfqueue
    security      unverified
    send timeout  10 s
    contexts      none

    UPLINK  STATE  GATEWAY  PREF  LOCATORS
    up0     up     fe80::1    40  2001:db8:a1::a
    up1     up     fe80::2    40  2001:db8:a2::a

    Note: security is unverified: peers' locators are believed without proof
    "
  `);
});

test("after a failure: the path, why, since when, and for how long there was none", async () => {
  const { a } = await workshop.establish();
  a.clock.advance(10_000);
  loseFirst(a);
  a.clock.advance(180_000);
  setTime(a);
  expect(await status(a)).toMatchInlineSnapshot(`
    "daemon        l3shim 0.0.0-test, pid PID, up 3 min
    data plane    nfqueue
    security      unverified
    send timeout  10 s
    contexts      1 working

    UPLINK  STATE       GATEWAY  PREF  LOCATORS
    up0     no carrier  fe80::1    40  2001:db8:a1::a
    up1     up          fe80::2    40  2001:db8:a2::a

    PEER            STATE  PATH                  SINCE      WHY                                                        IN   OUT
    2001:db8:b1::b  works  up1 > 2001:db8:b2::b  3 min ago  the link or address was lost; no path for less than 0.1 s  0 B  0 B

    Note: security is unverified: peers' locators are believed without proof
    Warning: uplink up0: no carrier
    Warning: up1 is the only uplink that works: no way to switch to
    "
  `);
});

test("what looks for a path comes first, and says for how long", async () => {
  const { a } = await workshop.establish();
  a.plane.events.trigger(a.clock.now(), { local: A2, peer: B1 });
  a.clock.advance(1_000);
  a.plane.sendControl = () => undefined;
  loseFirst(a);
  a.clock.advance(3_000);
  setTime(a);
  const rows = (await status(a)).split("\n").filter((line) => line.startsWith("2001:"));
  expect(rows).toMatchInlineSnapshot(`
    [
      "2001:db8:b1::b  looks for a path for 3 s  up0 > 2001:db8:b1::b  4 s ago  it began there  0 B  0 B",
      "2001:db8:b1::b  works                     up1 > 2001:db8:b1::b  4 s ago  it began there  0 B  0 B",
    ]
  `);
});

test("peers without Shim6 are counted, and not listed", async () => {
  const [a] = await workshop.createPair();
  a.plane.sendControl = () => undefined;
  a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
  expect(await status(a)).toContain("contexts      1 being established");
  a.clock.advance(150_000);
  const text = await status(a);
  expect(text).toContain("contexts      1 without a peer's Shim6, as plain IPv6");
  expect(text).not.toContain("PEER");
});

test("--json is the daemon's reply", async () => {
  const { a } = await workshop.establish();
  expect(JSON.parse(await status(a, "--json"))).toEqual(await new ControlClient(a.socket).status());
});

test("colours are for a terminal, and not for whoever sets NO_COLOR", async () => {
  const { a } = await workshop.establish();
  const plain = await status(a);
  expect(plain).not.toContain("\u001b");
  atTerminal();
  const coloured = await status(a);
  expect(coloured).toContain("\u001b[32mworks\u001b[0m");
  vi.stubEnv("NO_COLOR", "1");
  expect(await status(a)).toBe(plain);
});

test("--watch shows one after the other, until Ctrl-C", async () => {
  const { a } = await workshop.establish();
  setTime(a);
  const asked = vi.spyOn(a.daemon, "status");
  const running = l3shim("status", "--watch", "--socket", a.socket);
  await vi.waitFor(() => expect(asked).toHaveBeenCalledTimes(1));
  await untilAsked(asked, 2);
  process.emit("SIGINT");
  const run = await running;
  expect(run.status).toBe(0);
  expect(run.stdout.match(/^daemon {8}l3shim/gm)?.length).toBeGreaterThanOrEqual(2);
  expect(run.stdout).not.toContain("\u001b");
});

test("--watch --json is one object a line, and ends with the daemon", async () => {
  const { a } = await workshop.establish();
  setTime(a);
  const asked = vi.spyOn(a.daemon, "status");
  const running = l3shim("status", "--watch", "--json", "--socket", a.socket);
  await untilAsked(asked, 2);
  await a.daemon.stop();
  const ended = running.finally(() => asked.mockClear());
  while (asked.mock.calls.length > 0) await vi.advanceTimersByTimeAsync(500);
  const run = await ended;
  expect(run.status).toBe(3);
  const lines = run.stdout.trimEnd().split("\n");
  expect(lines.length).toBeGreaterThanOrEqual(2);
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ schemaVersion: 1 });
});

test("--watch redraws on a terminal", async () => {
  const { a } = await workshop.establish();
  setTime(a);
  atTerminal();
  const asked = vi.spyOn(a.daemon, "status");
  const running = l3shim("status", "--watch", "--socket", a.socket);
  await untilAsked(asked, 2);
  process.emit("SIGINT");
  const { stdout } = await running;
  expect(stdout.split("\u001b[H\u001b[J").length).toBeGreaterThanOrEqual(3);
  expect(stdout).toContain("Ctrl-C ends this.");
});

/** Lets time go on until the daemon has been asked so often. */
async function untilAsked(asked: { mock: { calls: unknown[] } }, times: number): Promise<void> {
  while (asked.mock.calls.length < times) {
    await vi.advanceTimersByTimeAsync(500);
    await new Promise(setImmediate);
  }
}
