import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ContextFiles } from "../../src/daemon/contexts/context-files.ts";
import { Authority } from "../../src/daemon/control/authority.ts";
import { type ContextTag, parseTag } from "../../src/wire/tag.ts";
import { FakeKernel, FakePlane, SurvivingPlane } from "./fake-planes.ts";
import { FakeEntries, VirtualClock } from "./fakes.ts";
import { A1, A2, B1, B2, connect, networkOf, type TestDaemon, Workshop } from "./fixture.ts";

let workshop: Workshop;
let kernel: FakeKernel;
let own: FakeEntries;
let runs: number;

beforeEach(() => {
  workshop = new Workshop();
  kernel = new FakeKernel();
  own = new FakeEntries();
  runs = 0;
});

afterEach(() => workshop.close());

interface RunOptions {
  readonly now?: number;
  readonly network?: readonly string[];
  readonly plane?: FakePlane;
  readonly boot?: string;
}

/** A daemon of host a, which finds what the runs before it have left. */
function createRun({
  now,
  network = [A1, A2],
  plane = new SurvivingPlane(kernel),
  boot,
}: RunOptions = {}) {
  const clock = new VirtualClock(now);
  const surroundings = { plane, own, ...(boot === undefined ? {} : { boot }) };
  const run = workshop.create("a", networkOf(...network), clock, "", new Authority(), surroundings);
  runs += 1;
  return { ...run, plane, socket: `${run.socket}.${runs}` };
}

async function startRun(options: RunOptions = {}) {
  const run = createRun(options);
  await run.daemon.start(run.socket);
  return run;
}

async function startPeer(): Promise<TestDaemon> {
  const peer = workshop.create("b", networkOf(B1, B2));
  await peer.daemon.start(peer.socket);
  return peer;
}

function join2(a: TestDaemon, b: TestDaemon): void {
  connect(a, b);
  connect(b, a);
}

/** ms after which a change is on disk, or the first of many are. */
const UNTIL_KEPT = 20;

/** The process is gone: nothing of it happens any more. */
function kill({ clock }: TestDaemon): void {
  clock.timers.clear();
}

/** Two daemons with a context that has moved away from A1. */
async function switched() {
  const b = await startPeer();
  const a = await startRun();
  join2(a, b);
  a.plane.events.trigger(a.clock.now(), { local: A1, peer: B1 });
  a.monitor.change(networkOf(A2));
  a.clock.advance(3_000);
  const [context] = a.daemon.contexts();
  if (context === undefined) throw new Error("no context");
  expect(context).toMatchObject({ localUlid: A1, localLocator: A2, reapState: "Operational" });
  own.log.length = 0;
  return { a, b, context };
}

function tagOf(text: string | null): ContextTag {
  const tag = parseTag(text ?? "");
  if (tag === undefined) throw new Error(`no tag: ${text}`);
  return tag;
}

function contextFiles(): string[] {
  const directory = join(workshop.stateOf("a"), "contexts");
  return existsSync(directory) ? readdirSync(directory).toSorted() : [];
}

function warningsOf({ logged }: TestDaemon): unknown[] {
  return logged.filter(({ level }) => level === 40).map(({ msg }) => msg);
}

test("a killed daemon is followed by one that has its contexts, and nothing was interrupted", async () => {
  const { a, b, context } = await switched();
  const before = [[...kernel.records], [...kernel.mappings]];
  kill(a);
  const next = await startRun({ now: a.clock.now(), network: [A2] });
  join2(next, b);
  const { next: _next, probesSent: _sent, probesReceived: _received, path, ...same } = context;
  expect([...next.daemon.contexts()]).toMatchObject([same]);
  expect([...next.daemon.contexts()]).toMatchObject([
    { path: { since: path?.since, cause: "restored", exploration: null } },
  ]);
  expect([[...kernel.records], [...kernel.mappings]]).toEqual(before);
  expect(kernel.records.get(tagOf(context.localTag))).toBe(before[0]?.[0]?.[1]);
  expect(own.log).toEqual([]);
  expect(own.ulidList).toEqual([A1]);
  expect(next.plane.calls.slice(0, 2)).toEqual(["open", "setContext"]);
  expect(next.plane.calls).toContain("settle");
  expect(next.logged.find(({ msg }) => msg === "context restored")).toMatchObject({
    context: context.localTag,
    localLocator: A2,
  });
  expect(next.plane.sent).toEqual([]);
});

test("the contexts survive a further failure after a restart", async () => {
  const { a, b, context } = await switched();
  kill(a);
  const next = await startRun({ now: a.clock.now(), network: [A2] });
  join2(next, b);
  const address = "2001:db8:a3::a";
  next.monitor.change(networkOf(A2, address));
  next.monitor.change(networkOf(address));
  next.clock.advance(5_000);
  expect([...next.daemon.contexts()]).toMatchObject([
    { localTag: context.localTag, localLocator: address, reapState: "Operational" },
  ]);
});

test("a context is kept in a file that only the daemon's user can read, until it closes", async () => {
  const { a, context } = await switched();
  expect(contextFiles()).toEqual([`${context.localTag}.json`]);
  const directory = join(workshop.stateOf("a"), "contexts");
  const file = join(directory, `${context.localTag}.json`);
  expect([directory, file].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o600]);
  expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
    ...{ schemaVersion: 1, bootId: "boot", dataplane: "ebpf", localUlid: A1 },
    state: { version: 3, locators: { local: A2 } },
  });
  expect(a.daemon.close(tagOf(context.localTag))).toBe(true);
  a.clock.advance(UNTIL_KEPT);
  expect(contextFiles()).toEqual([]);
});

test("a stop takes contexts, files and ULIDs away; the next run begins with none", async () => {
  const { a } = await switched();
  await a.daemon.stop();
  expect(existsSync(join(workshop.stateOf("a"), "contexts"))).toBe(false);
  expect([own.ruleList, own.routeList, own.ulidList]).toEqual([[], [], []]);
  expect(kernel.records.size).toBe(0);
  const next = await startRun({ now: a.clock.now() });
  expect([...next.daemon.contexts()]).toEqual([]);
});

test("a handover leaves everything in force but the socket", async () => {
  const { a, b, context } = await switched();
  const rules = [...own.ruleList];
  await a.daemon.release();
  expect(a.plane.calls.at(-1)).toBe("release");
  expect(a.plane.calls).not.toContain("close");
  expect([own.log, own.ruleList, own.ulidList]).toEqual([[], rules, [A1]]);
  expect([existsSync(a.socket), own.closed]).toEqual([false, true]);
  expect(contextFiles()).toHaveLength(1);
  const next = await startRun({ now: a.clock.now(), network: [A2] });
  join2(next, b);
  expect([...next.daemon.contexts()]).toMatchObject([{ localTag: context.localTag }]);
});

test("a handover with a data plane that cannot go on by itself is a stop, and says so", async () => {
  const a = await startRun({ plane: new FakePlane() });
  await a.daemon.release();
  expect(a.plane.calls.at(-1)).toBe("close");
  expect(own.ruleList).toEqual([]);
  expect(warningsOf(a)).toContain("this data plane cannot go on without the daemon");
});

test("without a surviving plane nothing is kept, and what another left is removed", async () => {
  const { a, b } = await switched();
  kill(a);
  const next = await startRun({ now: a.clock.now(), plane: new FakePlane() });
  join2(next, b);
  expect([...next.daemon.contexts()]).toEqual([]);
  expect(own.ulidList).toEqual([]);
  next.plane.events.trigger(next.clock.now(), { local: A1, peer: B1 });
  expect([...next.daemon.contexts()]).toHaveLength(1);
  expect(existsSync(join(workshop.stateOf("a"), "contexts"))).toBe(false);
});

test("contexts of an earlier boot are removed without a word", async () => {
  const { a } = await switched();
  kill(a);
  kernel = new FakeKernel();
  const next = await startRun({ now: a.clock.now(), boot: "another" });
  expect([...next.daemon.contexts()]).toEqual([]);
  expect(contextFiles()).toEqual([]);
  expect(own.ulidList).toEqual([]);
});

test.each([
  ["cut off", '{"schemaVersion":1,"boo', /no context, and is removed/],
  ["of another release", undefined, /is not restored: its version is 9/],
])("a file that is %s costs its context and no other", async (_what, text, warning) => {
  const { a, b, context } = await switched();
  a.plane.events.trigger(a.clock.now(), { local: A2, peer: B2 });
  expect([...a.daemon.contexts()]).toHaveLength(2);
  a.clock.advance(UNTIL_KEPT);
  kill(a);
  const file = join(workshop.stateOf("a"), "contexts", `${context.localTag}.json`);
  const kept = JSON.parse(readFileSync(file, "utf8")) as { state: object };
  writeFileSync(file, text ?? JSON.stringify({ ...kept, state: { ...kept.state, version: 9 } }));
  writeFileSync(`${file}.new`, "half");
  const next = await startRun({ now: a.clock.now(), network: [A2] });
  join2(next, b);
  expect([...next.daemon.contexts()]).toMatchObject([{ localUlid: A2 }]);
  expect(warningsOf(next)).toEqual(expect.arrayContaining([expect.stringMatching(warning)]));
  expect(kernel.records.size).toBe(1);
  expect(own.ulidList).toEqual([A2]);
  expect(contextFiles()).toHaveLength(1);
});

test("files that others may have written are not believed", async () => {
  const { a } = await switched();
  kill(a);
  const directory = join(workshop.stateOf("a"), "contexts");
  rmSync(directory, { recursive: true });
  mkdirSync(directory, { mode: 0o755 });
  const next = await startRun({ now: a.clock.now() });
  expect(warningsOf(next)).toContain(
    `${directory} is open to others: the contexts in it are not restored`,
  );
  expect(existsSync(directory)).toBe(false);
});

test("what comes while the plane is being opened finds the contexts restored", async () => {
  const { a, b, context } = await switched();
  kill(a);
  const plane = new SurvivingPlane(kernel);
  let probe: Uint8Array | undefined;
  b.plane.sendControl = (_source, _destination, bytes) => {
    probe = bytes.slice();
  };
  b.daemon.explore(tagOf(context.peerTag));
  if (probe === undefined) throw new Error("no probe");
  const bytes = probe;
  plane.opening = (events) => events.control(a.clock.now(), B1, A2, bytes);
  const next = await startRun({ now: a.clock.now(), network: [A2], plane });
  expect(next.daemon.status().counters.endpoint).toMatchObject({ "drop-unknown-context": 0 });
  expect([...next.daemon.contexts()]).toMatchObject([
    { probesReceived: 1, reapState: "InboundOk" },
  ]);
});

test("a run that never began leaves the contexts to the next", async () => {
  const { a, b, context } = await switched();
  const second = createRun({ now: a.clock.now() });
  await expect(second.daemon.start(a.socket)).rejects.toThrow("listens on the control socket");
  await second.daemon.stop();
  expect(contextFiles()).toHaveLength(1);
  kill(a);
  const third = await startRun({ now: a.clock.now(), network: [A2] });
  join2(third, b);
  expect([...third.daemon.contexts()]).toMatchObject([{ localTag: context.localTag }]);
});

test("many contexts that change at once are written bit by bit, and all before a handover", async () => {
  const b = await startPeer();
  const a = await startRun();
  join2(a, b);
  const peers = Array.from({ length: 150 }, (_, i) => `2001:db8:b1::${(i + 16).toString(16)}`);
  b.monitor.change(networkOf(B1, ...peers));
  for (const peer of peers) {
    a.plane.events.trigger(a.clock.now(), { local: A1, peer: peer as typeof B1 });
  }
  const directory = join(workshop.stateOf("a"), "contexts");
  const exploring = () =>
    contextFiles().filter((name) => {
      return !readFileSync(join(directory, name), "utf8").includes('"outage":null');
    }).length;
  a.clock.advance(2 * UNTIL_KEPT);
  expect([contextFiles().length, exploring()]).toEqual([150, 0]);
  a.plane.sendControl = () => undefined;
  a.monitor.change(networkOf(A2));
  a.clock.advance(UNTIL_KEPT);
  expect(exploring()).toBe(32);
  await a.daemon.release();
  expect(exploring()).toBe(150);
});

test("a disk that refuses is told of once, and the shim goes on", async () => {
  const { a } = await switched();
  const directory = join(workshop.stateOf("a"), "contexts");
  rmSync(directory, { recursive: true });
  writeFileSync(directory, "");
  const peer = { local: A2, peer: B2 };
  a.plane.events.trigger(a.clock.now(), peer);
  a.plane.events.trigger(a.clock.now(), { local: A2, peer: B1 });
  expect([...a.daemon.contexts()]).toHaveLength(3);
  a.clock.advance(UNTIL_KEPT);
  expect(
    warningsOf(a).filter((text) => String(text).includes("cannot keep contexts")),
  ).toHaveLength(1);
  expect(a.failures).toEqual([]);
});

test("what another directory holds is none of the contexts' business", () => {
  const files = new ContextFiles(join(workshop.directory, "nowhere"), "boot");
  const unexpected = (error: Error): never => {
    throw error;
  };
  expect(files.read("ebpf", unexpected)).toEqual([]);
  files.remove(tagOf("5"));
  files.removeAll();
});
