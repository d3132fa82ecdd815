import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ControlClient } from "../../src/client/control-client.ts";
import { A1, A2, B1, networkOf, type TestDaemon, Workshop } from "../daemon/fixture.ts";
import { l3shim } from "./capture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

function establish(): Promise<{ readonly a: TestDaemon; readonly tag: string }> {
  return workshop.establish();
}

/** Tags, ages and jittered timers differ from run to run. */
function mask(text: string): string {
  return text
    .replace(String(process.pid), "PID")
    .replace(/\b[0-9a-f]{12}\b/g, "TAG_12DIGITS")
    .replace(/[\d.]+ \w+ ago/g, "AGE")
    .replace(/in [\d.]+ s/g, "in N s");
}

test.each([["contexts"], ["locators"], ["status"], ["monitor"], []])(
  "without a daemon the exit status is 3: %s",
  async (...args) => {
    const run = await l3shim(...args, "--socket", "/nonexistent/l3shim.sock");
    expect(run).toEqual({
      status: 3,
      stdout: "",
      stderr:
        "l3shim: no daemon listens on /nonexistent/l3shim.sock; start one with " +
        "`l3shim daemon`, or name its socket with --socket\n",
    });
  },
);

test.each([
  [["bogus"], "unknown command or argument 'bogus'"],
  [["contexts", "--bogus"], "unknown option '--bogus'"],
  [["context"], "missing required argument 'tag'"],
  [["context", "xyz"], "'xyz' is invalid for argument 'tag'. It must be 1 to 12 hex digits"],
  [["close", "1000000000000"], "'1000000000000' is invalid for argument 'tag'. It must"],
  [["open", "2001:db8::1", "10.0.0.1"], "'10.0.0.1' is invalid for argument 'peer-ulid'. It must"],
  [["contexts", "extra"], "too many arguments"],
  [["fork"], "fork what? Name a context by its tag, or packets by options"],
  [["fork", "--locators", "2001:db8::1,2001:db8::2"], "fork what?"],
  [["fork", "xyz"], "'xyz' is invalid for argument 'tag'. It must be 1 to 12 hex digits"],
  [["fork", "--protocol", "256"], "It must be one of tcp, udp, icmpv6, sctp, dccp, udplite, or"],
  [["fork", "--protocol", "quic"], "or a number from 0 to 255"],
  [["fork", "--peer-ports", "5-4"], "It must be a port from 0 to 65535, or a range"],
  [["fork", "--peer-ports", "65536"], "It must be a port from 0 to 65535, or a range"],
  [["fork", "--local-ports", "1-2-3"], "It must be a port from 0 to 65535, or a range"],
  [["fork", "--dscp", "64"], "It must be a whole number from 0 to 63"],
  [["fork", "--mark", "0x100/0xff"], "with no bit in the mark that the mask has not"],
  [["fork", "--mark", "0x100000000"], "It must be a mark of 32 bits"],
  [["fork", "--local-prefix", "2001:db8::1/32"], "It must be an IPv6 prefix, such as"],
  [["fork", "--peer-prefix", "10.0.0.0/8"], "It must be an IPv6 prefix, such as"],
  [["fork", "--dscp", "1", "--locators", "2001:db8::1"], "It must be a local and a peer locator"],
  [["prefer"], "missing required argument 'tag'"],
  [["prefer", "1", "--local", "2001:db8::1"], "--local and --peer name a pair together"],
  [["send-timeout", "0"], "It must be a whole number from 1 to 100"],
  [["send-timeout", "1.5"], "It must be a whole number from 1 to 100"],
])("wrong usage has the exit status 2: %j", async (args, message) => {
  const run = await l3shim(...args);
  expect(run.status).toBe(2);
  expect(run.stdout).toBe("");
  expect(run.stderr).toContain(message);
});

test("--help and --version are done with exit status 0", async () => {
  const help = await l3shim("--help");
  expect(help.status).toBe(0);
  for (const name of ["status", "contexts", "context", "locators", "monitor", "daemon", "decode"]) {
    expect(help.stdout).toMatch(new RegExp(`^  ${name}\\b`, "m"));
  }
  expect(await l3shim("--version")).toMatchObject({ status: 0, stdout: "0.1.0\n" });
});

test("what the daemon refuses has the exit status 1", async () => {
  const { a } = await establish();
  expect(await l3shim("context", "ff", "--socket", a.socket)).toEqual({
    status: 1,
    stdout: "",
    stderr: "l3shim: no context has this tag\n",
  });
});

test("l3shim alone shows the status", async () => {
  const { a } = await establish();
  a.clock.advance(90_000);
  const alone = await l3shim("--socket", a.socket);
  expect(alone.status).toBe(0);
  expect(mask(alone.stdout)).toMatchInlineSnapshot(`
    "daemon        l3shim 0.0.0-test, pid PID, up 90 s
    data plane    nfqueue
    security      unverified
    send timeout  10 s
    contexts      1 working

    UPLINK  STATE  GATEWAY  PREF  LOCATORS
    up0     up     fe80::1    40  2001:db8:a1::a
    up1     up     fe80::2    40  2001:db8:a2::a

    PEER            STATE  PATH                  SINCE        WHY             IN   OUT
    2001:db8:b1::b  works  up0 > 2001:db8:b1::b  AGE  it began there  0 B  0 B

    Note: security is unverified: peers' locators are believed without proof
    "
  `);
  expect((await l3shim("status", "--socket", a.socket)).stdout).toBe(alone.stdout);
});

test("contexts are listed in aligned columns", async () => {
  const { a } = await establish();
  expect(mask((await l3shim("contexts", "--socket", a.socket)).stdout)).toMatchInlineSnapshot(`
    "TAG           STATE        REAP         LOCAL ULID      PEER ULID       LOCATORS   IN  OUT  WAITS FOR
    TAG_12DIGITS  ESTABLISHED  Operational  2001:db8:a1::a  2001:db8:b1::b  the ULIDs   0    0  traffic-check in N s
    "
  `);
});

test("without contexts the list says how one comes about", async () => {
  const [a] = await workshop.createPair();
  const { stdout } = await l3shim("contexts", "--socket", a.socket);
  expect(stdout).toMatch(/^No contexts\. /);
});

test("a context after a switch is shown with its locators", async () => {
  const { a, tag } = await establish();
  const network = networkOf(A1, A2);
  a.monitor.change({ ...network, addresses: network.addresses.slice(1) });
  a.clock.advance(5000);
  const { stdout } = await l3shim("context", tag, "--socket", a.socket);
  expect(mask(stdout)).toMatchInlineSnapshot(`
    "tag          TAG_12DIGITS (peer's: TAG_12DIGITS)
    state        ESTABLISHED, Operational
    role         initiator
    ULIDs        2001:db8:a1::a > 2001:db8:b1::b
    locators     2001:db8:a2::a > 2001:db8:b2::b
    preferred    none
    better       none
    waits for    keepalive in N s
    established  AGE
    switches     1, last AGE
    in           0 packets, 0 B, last -
    out          0 packets, 0 B, last -
    probes       4 sent, 4 received
    keepalives   1 sent, 1 received

    LOCAL LOCATOR   PREF  WEIGHT  STATE
    2001:db8:a1::a    40       0  down
    2001:db8:a2::a    40       0  up

    PEER LOCATOR    PREF  WEIGHT  VERIFIED BY           STATE
    2001:db8:b1::b     0       0  nothing (unverified)  not probed
    2001:db8:b2::b     0       0  nothing (unverified)  reachable
    "
  `);
});

test("locators are listed, those that are gone too", async () => {
  const { a } = await establish();
  const network = networkOf(A1, A2);
  a.monitor.change({ ...network, addresses: network.addresses.slice(1) });
  expect((await l3shim("locators", "--socket", a.socket)).stdout).toMatchInlineSnapshot(`
    "LOCATOR         UPLINK  GATEWAY  PREF  WEIGHT  PROOF  ULID OF  USED BY  STATE
    2001:db8:a2::a  up1     fe80::2    40       0  -            0        1  up
    2001:db8:a1::a  -       -          40       0  -            1        0  no uplink has this address any more
    "
  `);
});

test.each(["status", "contexts", "locators"])("%s --json is one object", async (command) => {
  const { a } = await establish();
  const { status, stdout } = await l3shim(command, "--json", "--socket", a.socket);
  expect(status).toBe(0);
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 1 });
});

test("contexts --json keeps the contract", async () => {
  const { a } = await establish();
  const { stdout } = await l3shim("contexts", "--json", "--socket", a.socket);
  const reply = JSON.parse(stdout) as { contexts: Record<string, unknown>[] };
  expect(reply.contexts).toHaveLength(1);
  expect(reply.contexts[0]).toMatchObject({
    state: "ESTABLISHED",
    reapState: "Operational",
    localUlid: A1,
    peerUlid: B1,
    localLocator: A1,
    peerLocator: B1,
    localTag: expect.stringMatching(/^[0-9a-f]{12}$/),
    peerTag: expect.stringMatching(/^[0-9a-f]{12}$/),
    localLocators: expect.arrayContaining([
      { address: A1, preference: 40, weight: 0, transient: false, operational: true },
    ]),
    packetsIn: 0,
    packetsOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    switches: 0,
    next: {
      reason: expect.any(String),
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      in: expect.any(Number),
    },
  });
});

test("commands on a context are confirmed", async () => {
  const { a, tag } = await establish();
  const on = ["--socket", a.socket];
  expect(await l3shim("explore", tag, ...on)).toMatchObject({ status: 0, stdout: "exploring\n" });
  expect(await l3shim("close", tag, "--json", ...on)).toMatchObject({
    status: 0,
    stdout: '{"schemaVersion":1,"done":true}\n',
  });
  expect(await l3shim("open", A1, B1, ...on)).toMatchObject({
    status: 0,
    stdout: "establishing\n",
  });
});

test.each([
  [[], /^\d\d:\d\d:\d\d\.\d{3} {2}[0-9a-f]{12} {2}established {2}.+$/m],
  [["--json"], /^\{"time":"[^"]+","event":"established","context":"[0-9a-f]{12}".*\}$/m],
  [["--messages"], /^\S+ {2}[0-9a-f]{12} {2}message {2}sent I1, \d+ octets, \S+ > \S+$/m],
  [
    ["--json", "--messages"],
    /^\{"time":"[^"]+","event":"message",.*"direction":"sent","type":"I1"/m,
  ],
])("monitor %j prints an event a line until the daemon stops", async (options, line) => {
  const [a] = await workshop.createPair();
  const running = l3shim("monitor", ...options, "--socket", a.socket);
  await expect.poll(() => a.daemon.events.subscriptions).toBe(1);
  a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
  await a.daemon.stop();
  const { status, stdout, stderr } = await running;
  expect(stdout).toMatch(line);
  expect(status).toBe(3);
  expect(stderr).toBe(`l3shim: the daemon on ${a.socket} has stopped\n`);
});

test("daemon --check-config says in words what is wrong", async () => {
  const file = join(workshop.directory, "config.toml");
  writeFileSync(file, "send-timeout = 0\ndetect = 1\n");
  const { status, stdout, stderr } = await l3shim("daemon", "--check-config", "--config", file);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr.replaceAll(file, "FILE")).toMatchInlineSnapshot(`
    "FILE:1: send-timeout: must be a whole number from 1 to 100 (seconds), but is 0
    FILE:2: detect: must be one of "adaptive", "rfc", but is 1
    "
  `);
});

test("monitor says in words", async () => {
  const { a, tag } = await workshop.establish();
  const running = l3shim("monitor", "--socket", a.socket);
  await expect.poll(() => a.daemon.events.subscriptions).toBe(1);
  const network = networkOf(A1, A2);
  a.monitor.change({ ...network, addresses: network.addresses.slice(1) });
  a.clock.advance(1_000);
  await new ControlClient(a.socket).close(tag);
  await a.daemon.stop();
  const { stdout } = await running;
  const masked = stdout.replaceAll(/^[\d:.]+/gm, "TIME").replaceAll(/\b[0-9a-f]{12}\b/g, "TAG");
  expect(masked).toMatchInlineSnapshot(`
    "TIME  -             uplink-changed  up0 does not work: no global address
    TIME  -             warning  uplink up0: no global address
    TIME  -             warning  up1 is the only uplink that works: no way to switch to
    TIME  -             host-locators-changed  2001:db8:a2::a 2001:db8:a1::a (down)
    TIME  TAG  local-locators-changed  2001:db8:a2::a
    TIME  TAG  exploring  local-locator-lost
    TIME  TAG  inboundok  packets come in again; ours may not arrive yet
    TIME  TAG  switched  2001:db8:a1::a > 2001:db8:b1::b to 2001:db8:a2::a > 2001:db8:b2::b, exploration
    TIME  TAG  recovered  2001:db8:a2::a > 2001:db8:b2::b, detection 0.000 s, exploration 0.000 s, probes 4 sent, 2 received
    TIME  -             host-locators-changed  2001:db8:a2::a
    TIME  TAG  closed  command
    "
  `);
});

test.each([
  ["before it answers", ""],
  [
    "in mid-answer",
    'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"schema',
  ],
])("a daemon that dies %s is no daemon", async (_when, bytes) => {
  const socket = join(workshop.directory, "dying.sock");
  const server = createServer((connection) => {
    connection.once("data", () => connection.write(bytes, () => connection.destroy()));
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  const run = await l3shim("status", "--socket", socket);
  server.close();
  expect(run).toEqual({
    status: 3,
    stdout: "",
    stderr: `l3shim: the daemon on ${socket} has stopped\n`,
  });
});
