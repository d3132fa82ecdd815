import { afterEach, beforeEach, expect, test } from "vitest";
import { formatFlow, parseMark, parsePorts, parseProtocol } from "../../src/cli/flow.ts";
import { ControlClient } from "../../src/client/control-client.ts";
import type { ContextStatus, ForksReply } from "../../src/daemon/api.ts";
import { A1, A2, B1, B2, type TestDaemon, Workshop } from "../daemon/fixture.ts";
import { l3shim } from "./capture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

/** Two hosts with a context; `run` is a command on the first. */
async function establish(configOfFirst?: string) {
  const { a, tag } = await workshop.establish(configOfFirst);
  return { a, tag, run: (...args: string[]) => l3shim(...args, "--socket", a.socket) };
}

function forkOf({ daemon }: TestDaemon): ContextStatus {
  const fork = [...daemon.contexts()].find(({ forkedInstance }) => forkedInstance !== 0);
  if (fork === undefined) throw new Error("no fork");
  return fork;
}

/** Identifiers, ages and jittered timers differ from run to run. */
function mask(text: string): string {
  return text
    .replace(/instance \d+/g, "instance N")
    .replace(/\b[0-9a-f]{12}\b/g, "TAG_12DIGITS")
    .replace(/[\d.]+ \w+ ago/g, "AGE")
    .replace(/in [\d.]+ s/g, "in N s");
}

test("every option of a fork reaches the context", async () => {
  const { a, tag, run } = await establish();
  const { status, stdout } = await run(
    ...["fork", tag, "--local-prefix", "2001:db8:a1::/48", "--peer-prefix", "2001:db8::/32"],
    ...["--protocol", "udp", "--local-ports", "4000", "--peer-ports", "5004-5005"],
    ...["--dscp", "46", "--mark", "0x10/0xff", "--locators", `${A2},${B2}`],
  );
  a.clock.advance(2000);
  const fork = forkOf(a);
  expect(fork).toMatchObject({
    selector: {
      protocol: 17,
      localPorts: { first: 4000, last: 4000 },
      peerPorts: { first: 5004, last: 5005 },
      dscp: 46,
      mark: { value: 0x10, mask: 0xff },
    },
    preferred: { localLocator: A2, peerLocator: B2 },
    localLocator: A2,
    peerLocator: B2,
  });
  expect(status).toBe(0);
  expect(stdout).toBe(
    `forked ${tag}: ${fork.localTag} carries ` +
      "udp from port 4000 to port 5004-5005, dscp 46, mark 0x10/0xff " +
      `over ${A2} > ${B2}\n`,
  );
});

test("a fork that gets other packets keeps its tag", async () => {
  const { a, tag, run } = await establish();
  await run("fork", tag, "--dscp", "46");
  const { localTag } = forkOf(a);
  expect((await run("fork", localTag, "--protocol", "tcp")).stdout).toBe(
    `${localTag} carries tcp\n`,
  );
  expect(forkOf(a).selector).toEqual({ protocol: 6 });
});

test("fork --json is the daemon's reply", async () => {
  const { a, tag, run } = await establish();
  const { stdout } = await run("fork", "--protocol", "tcp", "--json");
  expect(JSON.parse(stdout) as ForksReply).toEqual({
    schemaVersion: 1,
    forks: [{ context: tag, fork: forkOf(a).localTag }],
  });
});

test("a prefix without a context is refused; ports without a protocol for them are wrong usage", async () => {
  const { run } = await establish();
  const refused = await run("fork", "--peer-prefix", "2001:db8:99::/48");
  expect(refused).toMatchObject({ status: 1, stdout: "" });
  expect(refused.stderr).toContain("no ESTABLISHED context has its ULIDs in these prefixes");
  const wrong = await run("fork", "--protocol", "icmpv6", "--peer-ports", "1");
  expect(wrong).toMatchObject({ status: 2, stdout: "" });
  expect(wrong.stderr).toContain("ports go with the protocols");
});

test("contexts say what forks carry", async () => {
  const { a, run } = await establish();
  await run("fork", "--protocol", "udp", "--peer-ports", "5004-5005");
  a.clock.advance(100);
  expect(mask((await run("contexts")).stdout)).toMatchInlineSnapshot(`
    "TAG           STATE        REAP         LOCAL ULID      PEER ULID       LOCATORS   IN  OUT  CARRIES                WAITS FOR
    TAG_12DIGITS  ESTABLISHED  Operational  2001:db8:a1::a  2001:db8:b1::b  the ULIDs   0    0  what no fork carries   traffic-check in N s
    TAG_12DIGITS  ESTABLISHED  Operational  2001:db8:a1::a  2001:db8:b1::b  the ULIDs   0    0  udp to port 5004-5005  traffic-check in N s
    "
  `);
});

test("a fork is shown with what it carries, its preferred pair, weights and transience", async () => {
  const { a, tag, run } = await establish(
    '[[uplink]]\ninterface = "up1"\nweight = 60\ntransient = true',
  );
  await run("fork", tag, "--dscp", "46", "--locators", `${A2},${B2}`);
  a.clock.advance(2000);
  expect(mask((await run("context", forkOf(a).localTag)).stdout)).toMatchInlineSnapshot(`
    "tag          TAG_12DIGITS (peer's: TAG_12DIGITS)
    state        ESTABLISHED, Operational
    role         initiator
    ULIDs        2001:db8:a1::a > 2001:db8:b1::b
    fork         instance N, carries dscp 46
    locators     2001:db8:a2::a > 2001:db8:b2::b
    preferred    2001:db8:a2::a > 2001:db8:b2::b
    better       none
    waits for    keepalive in N s
    established  AGE
    switches     1, last AGE
    in           0 packets, 0 B, last -
    out          0 packets, 0 B, last -
    probes       1 sent, 1 received
    keepalives   0 sent, 0 received

    LOCAL LOCATOR   PREF  WEIGHT  STATE
    2001:db8:a1::a    40       0  up
    2001:db8:a2::a    40      60  up, transient

    PEER LOCATOR    PREF  WEIGHT  VERIFIED BY           STATE
    2001:db8:b1::b     0       0  nothing (unverified)  not probed
    2001:db8:b2::b     0       0  nothing (unverified)  reachable
    "
  `);
  expect((await run("locators")).stdout).toMatchInlineSnapshot(`
    "LOCATOR         UPLINK  GATEWAY  PREF  WEIGHT  PROOF  ULID OF  USED BY  STATE
    2001:db8:a1::a  up0     fe80::1    40       0  -            2        1  up
    2001:db8:a2::a  up1     fe80::2    40      60  -            0        1  up, transient
    "
  `);
});

test("a fork that the peer made carries nothing of ours", async () => {
  const { a, b, tag } = await workshop.establish();
  await l3shim("fork", tag, "--dscp", "46", "--socket", a.socket);
  a.clock.advance(100);
  const { stdout } = await l3shim("context", forkOf(b).localTag, "--socket", b.socket);
  expect(stdout).toMatch(/^fork +instance \d+, carries nothing$/m);
});

test("prefer names a pair, and without one takes it back", async () => {
  const { a, tag, run } = await establish();
  expect(await run("prefer", tag, "--local", A2, "--peer", B2)).toMatchObject({
    status: 0,
    stdout: `${A2} > ${B2} is preferred\n`,
  });
  const preferred = () => [...a.daemon.contexts()][0]?.preferred;
  expect(preferred()).toEqual({ localLocator: A2, peerLocator: B2 });
  expect(await run("prefer", tag)).toMatchObject({
    status: 0,
    stdout: "no pair is preferred\n",
  });
  expect(preferred()).toBeNull();
  expect((await run("prefer", tag, "--json")).stdout).toBe('{"schemaVersion":1,"done":true}\n');
  const foreign = await run("prefer", tag, "--local", A1, "--peer", A2);
  expect(foreign.status).toBe(1);
  expect(foreign.stderr).toContain(`its peer locators ${B1}, ${B2}`);
});

test("pin keeps a context on a pair until unpin", async () => {
  const { a, tag, run } = await establish();
  const pinned = () => [...a.daemon.contexts()][0];
  expect((await run("pin", tag, "--local", A2, "--peer", B2)).stdout).toBe(
    `pinned to ${A2} > ${B2}\n`,
  );
  const second = { localLocator: A2, peerLocator: B2 };
  expect(pinned()).toMatchObject({ pin: "until-failure", preferred: second });
  expect((await run("context", tag)).stdout).toContain(`${A2} > ${B2}, pinned until it fails\n`);
  expect((await run("pin", tag, "--strict")).stdout).toBe("pinned to its current pair\n");
  expect(pinned()).toMatchObject({ pin: "strict" });
  expect((await run("unpin", tag, "--json")).stdout).toBe('{"schemaVersion":1,"done":true}\n');
  expect(pinned()).toMatchObject({ pin: null, preferred: null });
  await run("pin", tag);
  expect((await run("unpin", tag)).stdout).toBe("unpinned\n");
  const again = await run("unpin", tag);
  expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining("is not pinned") });
  expect(await run("pin", tag, "--local", A2)).toMatchObject({ status: 2 });
  expect(await run("pin", tag, "--local", "here", "--peer", B2)).toMatchObject({ status: 2 });
});

test("the Send Timeout changes until the daemon stops, with a warning when it is short", async () => {
  const { run } = await establish();
  expect((await run("send-timeout", "20")).stdout).toBe("the send timeout is 20 s\n");
  const { stdout } = await run("send-timeout", "5");
  expect(stdout).toMatchInlineSnapshot(`
    "the send timeout is 5 s
    Note: send-timeout is 5 s: RFC 5534 recommends at least 10 s, and a slow path may look like a broken one
    "
  `);
  expect((await run("status")).stdout).toMatch(/^send timeout {2}5 s$/m);
  const { stdout: json } = await run("send-timeout", "10", "--json");
  expect(JSON.parse(json)).toEqual({ schemaVersion: 1, sendTimeout: 10, warnings: [] });
});

test("monitor tells forks from other contexts", async () => {
  const { a, tag } = await workshop.establish();
  const running = l3shim("monitor", "--socket", a.socket);
  await expect.poll(() => a.daemon.events.subscriptions).toBe(1);
  a.plane.events.trigger(a.clock.now(), { local: A2, peer: B1 });
  await new ControlClient(a.socket).fork({ selector: { dscp: 46 }, context: tag });
  await a.daemon.stop();
  const lines = (await running).stdout.split("\n").filter((line) => line.includes("established"));
  expect(lines).toHaveLength(2);
  expect(lines[0]).not.toContain("a fork");
  expect(lines[1]).toMatch(/, a fork$/);
});

test.each([
  [{}, "all packets"],
  [{ protocol: 47 }, "protocol 47"],
  [{ protocol: 132, peerPorts: { first: 1, last: 2 } }, "sctp to port 1-2"],
  [{ localPorts: { first: 0, last: 0 } }, "from port 0"],
  [{ dscp: 0, mark: { value: 0xffff_ffff, mask: 0xffff_ffff } }, "dscp 0, mark 0xffffffff"],
  [{ mark: { value: 0, mask: 0x8000_0000 } }, "mark 0x0/0x80000000"],
])("the flow %j in words: %s", (selector, words) => {
  expect(formatFlow(selector)).toBe(words);
});

test("protocols, ports and marks as users write them", () => {
  expect(
    ["tcp", "UDP", "icmpv6", "sctp", "dccp", "udplite", "0", "255"].map(parseProtocol),
  ).toEqual([6, 17, 58, 132, 33, 136, 0, 255]);
  expect(parsePorts("0-65535")).toEqual({ first: 0, last: 65_535 });
  expect(parseMark("0xFFFFFFFF")).toEqual({ value: 0xffff_ffff, mask: 0xffff_ffff });
  expect(parseMark("16/0xf0")).toEqual({ value: 16, mask: 0xf0 });
  expect(parseMark("0x80000000/0x80000000")).toEqual({ value: 0x8000_0000, mask: 0x8000_0000 });
});
