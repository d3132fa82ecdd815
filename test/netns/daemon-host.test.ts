import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ContextsReply, LocatorsReply, StatusReply } from "../../src/daemon/api.ts";
import { type Failure, inject } from "../../src/lab/failure.ts";
import { Network } from "../../src/lab/network.ts";
import { inNamespace, run, sleep, tryRun, waitFor } from "../../src/lab/shell.ts";
import { ShimDaemon } from "../../src/lab/shim-daemon.ts";
import { PAPER_TOPOLOGY } from "../../src/lab/topology.ts";
import { removalCommands } from "./support/removal-commands.ts";

/** What a real daemon does to its host, and that it undoes it. */

const A1 = "2001:db8:1:a::1";
const A2 = "2001:db8:2:a::1";
const B1 = "2001:db8:1:b::1";
const L3SHIM = new URL("../../bin/l3shim", import.meta.url).pathname;

let network: Network;
let directory: string;
const daemons: ShimDaemon[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "l3shim-daemon-"));
  network = await Network.create(PAPER_TOPOLOGY);
});

afterEach(async () => {
  for (const daemon of daemons.splice(0)) await daemon.stop();
  await network.destroy();
  await rm(directory, { recursive: true });
});

async function startDaemon(host: string): Promise<ShimDaemon> {
  const daemon = await ShimDaemon.start(network, host, {
    sendTimeout: 10,
    directory,
    dataplane: "ebpf",
  });
  daemons.push(daemon);
  return daemon;
}

function onHost(host: string, ...argv: string[]): Promise<string> {
  return run(inNamespace(network.namespace(host), argv));
}

/** Everything about host a that a daemon could have changed. */
async function hostState(): Promise<string[]> {
  const ip = (...args: string[]) => onHost("a", "ip", "-6", ...args);
  const rules = await ip("rule");
  const routes = await ip("route", "show", "table", "all");
  const addresses = await ip("-o", "address");
  const filters = await onHost("a", "ip6tables-save");
  const lines = [rules, routes, addresses, filters].flatMap((text) => text.split("\n"));
  // Tables and chains that a tool made stay behind empty: no difference.
  return lines.filter((line) => !/^(#|\*|:|COMMIT|$)/.test(line)).toSorted();
}

/** Daemons on a and b with a context between A1 and B1. */
async function establish(): Promise<ShimDaemon> {
  const a = await startDaemon("a");
  await startDaemon("b");
  await onHost("a", "ping", "-6", "-q", "-c60", "-i0.01", "-I", A1, B1);
  await waitFor(
    async () => {
      const { contexts } = (await a.get("/v1/contexts")) as ContextsReply;
      return contexts.some(({ state }) => state === "ESTABLISHED") || undefined;
    },
    { timeout: 20_000, interval: 100, timeoutError: () => new Error("no context came about") },
  );
  return a;
}

/** The way that a packet from host a would take. */
async function via(source: string, to: string): Promise<string> {
  return await onHost("a", "ip", "-6", "route", "get", to, "from", source);
}

async function ownedOnLoopback(): Promise<string> {
  return await onHost("a", "ip", "-6", "address", "show", "dev", "lo", "scope", "global");
}

test("each locator leaves by its own uplink; what the main table knows better goes first", async () => {
  await startDaemon("a");
  expect(await via(A1, B1)).toContain("dev isp1");
  expect(await via(A2, B1)).toContain("dev isp2");
  // On the link of the other uplink: no router needed.
  expect(await via(A2, "2001:db8:1:a::99")).toMatch(/^2001:db8:1:a::99 from .* dev isp1 .*/);
});

test("status and locators tell what the host has", async () => {
  const a = await startDaemon("a");
  const status = (await a.query("status")) as StatusReply;
  expect(status).toMatchObject({ dataplane: "ebpf", security: "unverified" });
  expect(status.uplinks.map((uplink) => [uplink.interface, uplink.operational])).toEqual([
    ["isp1", true],
    ["isp2", true],
  ]);
  const { locators } = (await a.query("locators")) as LocatorsReply;
  expect(locators.map((locator) => locator.address)).toEqual([A1, A2]);
});

/** With the address that a new session of host a gets then: a lost carrier does not change its choice. */
const LOSSES: readonly (readonly [Failure, chosen: string])[] = [
  [{ kind: "link-down", host: "a", isp: "isp1" }, A2],
  [{ kind: "carrier-lost", host: "a", isp: "isp1" }, A1],
  [{ kind: "address-deleted", host: "a", isp: "isp1" }, A2],
];

for (const [loss, chosen] of LOSSES) {
  test(`a session survives at once, and new ones get a right address: ${loss.kind}`, async () => {
    const a = await establish();
    expect(await ownedOnLoopback()).toMatch(`${A1}/128 scope global nodad deprecated`);
    const { heal } = await inject(network, loss);
    // Were it for the Send Timeout of 10 s, none of these 2 s would see an answer.
    const ping = ["ping", "-6", "-c40", "-i0.05", "-W1", "-I", A1, B1];
    expect((await tryRun(inNamespace(network.namespace("a"), ping))).stdout).toMatch(
      /([23]\d|40) received/,
    );
    const { locators } = (await a.query("locators")) as LocatorsReply;
    expect(locators.find((locator) => locator.address === A1)?.operational).toBe(false);
    const route = await onHost("a", "ip", "-6", "route", "get", "2001:db8:2:c::1");
    expect(route).toContain(`src ${chosen}`);
    await heal();
    await waitFor(
      async () => {
        const now = (await a.get("/v1/locators")) as LocatorsReply;
        return now.locators.every((locator) => locator.operational) || undefined;
      },
      { timeout: 20_000, interval: 100, timeoutError: () => new Error("A1 did not come back") },
    );
    expect(await via(A1, "2001:db8:2:c::1")).toContain("dev isp1");
  });
}

/** A daemon on a whose context has moved to other locators; isp1 is dead until healed. */
async function establishAndSwitch() {
  const a = await establish();
  const { heal } = await inject(network, { kind: "carrier-lost", host: "a", isp: "isp1" });
  await waitFor(
    async () => {
      const { contexts } = (await a.get("/v1/contexts")) as ContextsReply;
      return contexts[0]?.localLocator === A2 || undefined;
    },
    { timeout: 20_000, interval: 100, timeoutError: () => new Error("the context did not move") },
  );
  return { a, heal };
}

test("a clean stop leaves the host as it was, with a mapping in force too", async () => {
  const before = await hostState();
  const { a, heal } = await establishAndSwitch();
  await heal();
  expect(await hostState()).not.toEqual(before);
  await a.stop();
  expect(await hostState()).toEqual(before);
});

test("kill -9 and a new start: nothing is doubled, and the next stop leaves nothing", async () => {
  const before = await hostState();
  const a = await startDaemon("a");
  const running = await hostState();
  await a.kill();
  await a.restart();
  expect(await hostState()).toEqual(running);
  await a.stop();
  expect(await hostState()).toEqual(before);
});

test("kill -9 with a mapping in force: all stays, and the next start goes on with it", async () => {
  const { a, heal } = await establishAndSwitch();
  await heal();
  await untilUplinkIsBack();
  const mapped = await hostState();
  await a.kill();
  expect(withOnePriority(await hostState())).toEqual(withOnePriority(mapped));
  await a.restart();
  expect(withOnePriority(await hostState())).toEqual(withOnePriority(mapped));
});

/** The carrier comes back at once; that the daemon has heard of it shows in its rules. */
async function untilUplinkIsBack(): Promise<void> {
  const isBack = async () =>
    (await hostState()).some((line) => line.includes(`from ${A1} lookup 1400`)) || undefined;
  const timeoutError = () => new Error("the daemon did not set the rules of isp1 again");
  await waitFor(isBack, { timeout: 20_000, interval: 100, timeoutError });
}

/** The rule of the mapped ULIDs moves to and fro, so that sockets look for their routes anew. */
function withOnePriority(state: readonly string[]): string[] {
  return state.map((line) => line.replace(/^14001:/, "14000:")).toSorted();
}

test("the commands of docs/operations.md remove what a killed daemon left", async () => {
  const before = await hostState();
  const { a, heal } = await establishAndSwitch();
  await heal();
  await a.kill();
  const commands = await removalCommands();
  await tryRun(inNamespace(network.namespace("a"), ["sh", "-c", commands]));
  expect(await hostState()).toEqual(before);
});

test("a ULID that a crash left on the loopback interface goes with its context", async () => {
  const a = await establish();
  await a.kill();
  expect(await ownedOnLoopback()).toContain(A1);
  await a.restart();
  expect(await ownedOnLoopback()).toContain(A1);
  await a.kill();
  await rm(join(directory, "a", "state", "contexts"), { recursive: true });
  await a.restart();
  expect(await ownedOnLoopback()).toBe("");
});

test("plain IPv6 flows on when the daemon is killed, but for what waits in its queue", async () => {
  const a = await establish();
  const ping = ["ping", "-6", "-q", "-c100", "-i0.02", "-I", A1, B1];
  const pinging = tryRun(inNamespace(network.namespace("a"), ping));
  await sleep(500);
  await a.kill();
  expect((await pinging).stdout).toMatch(/(9[89]|100) received/);
});

test("a second daemon on the same socket is refused and disturbs nothing", async () => {
  const a = await startDaemon("a");
  const before = await hostState();
  const options = ["--socket", a.socket, "--state-dir", join(directory, "second")];
  const argv = [L3SHIM, "daemon", ...options, "--user", "root"];
  const second = await tryRun(inNamespace(network.namespace("a"), argv));
  expect(second.code).toBe(1);
  expect(second.stderr).toContain("a daemon listens on the control socket");
  expect(await hostState()).toEqual(before);
  expect(a.hasEnded).toBe(false);
});

test("without privilege the daemon says what it lacks, with exit status 1", async () => {
  const options = ["--socket", join(directory, "s"), "--state-dir", join(directory, "state")];
  const before = await hostState();
  const unprivileged = ["setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-all"];
  const daemon = await tryRun(
    inNamespace(network.namespace("a"), [...unprivileged, L3SHIM, "daemon", ...options]),
  );
  expect(daemon.code).toBe(1);
  expect(daemon.stderr).toContain("CAP_NET_ADMIN");
  expect(await hostState()).toEqual(before);
});

test("a bad configuration is told with file, line and key, with exit status 1", async () => {
  const file = join(directory, "bad.toml");
  await run(["sh", "-c", `printf '\\nsend-timeout = 0\\n' > ${file}`]);
  const daemon = await tryRun([L3SHIM, "daemon", "--config", file]);
  expect(daemon.code).toBe(1);
  expect(daemon.stderr).toContain(`${file}:2: send-timeout: must be a whole number from 1 to 100`);
});
