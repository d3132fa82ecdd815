import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseConfig } from "../../src/daemon/config/config.ts";
import { ContextFiles } from "../../src/daemon/contexts/context-files.ts";
import { flush } from "../../src/daemon/flush.ts";
import { UlidFile } from "../../src/daemon/host/ulid-file.ts";
import { SurvivingPlane } from "./fake-planes.ts";
import { FakeMonitor, identitySystem, VirtualClock } from "./fakes.ts";
import { A1, A2, networkOf, type TestDaemon, Workshop } from "./fixture.ts";

let workshop: Workshop;
let flushed: string[];

beforeEach(() => {
  workshop = new Workshop();
  flushed = [];
});

afterEach(() => workshop.close());

/** On the host of that daemon, with its state directory. */
function flushHost({ own }: TestDaemon, socket: string, failing = false): Promise<unknown[]> {
  const directory = workshop.stateOf("a");
  return flush({
    config: parseConfig("", "test.toml"),
    socket,
    system: {
      monitor: new FakeMonitor(networkOf(A1, A2)),
      own,
      ulidFile: new UlidFile(directory, "boot"),
      identity: identitySystem(directory, new VirtualClock()),
    },
    contextFiles: new ContextFiles(directory, "boot"),
    planes: ["first", "second"].map((name) => () => {
      flushed.push(name);
      return failing ? Promise.reject(new Error(`${name} is stuck`)) : Promise.resolve();
    }),
  });
}

async function startDaemon(): Promise<TestDaemon> {
  const surroundings = { plane: new SurvivingPlane() };
  const a = workshop.create("a", networkOf(A1, A2), undefined, "", undefined, surroundings);
  await a.daemon.start(a.socket);
  return a;
}

test("all that daemons have left is taken away, of every data plane", async () => {
  const a = await startDaemon();
  new ContextFiles(workshop.stateOf("a"), "boot").write("ebpf", { tag: 1, ulids: {} } as never);
  await a.daemon.release();
  expect(a.own.ruleList).not.toEqual([]);
  expect(await flushHost(a, a.socket)).toEqual([]);
  expect([a.own.ruleList, a.own.routeList, a.own.ulidList]).toEqual([[], [], []]);
  expect(flushed).toEqual(["first", "second"]);
  expect(existsSync(join(workshop.stateOf("a"), "contexts"))).toBe(false);
});

test("what fails keeps nothing else from being taken away", async () => {
  const a = await startDaemon();
  await a.daemon.release();
  expect(await flushHost(a, a.socket, true)).toMatchObject([
    { message: "first is stuck" },
    { message: "second is stuck" },
  ]);
  expect(a.own.ruleList).toEqual([]);
});

test("with a daemon at work nothing is touched", async () => {
  const a = await startDaemon();
  const rules = [...a.own.ruleList];
  expect(await flushHost(a, a.socket)).toMatchObject([
    { message: expect.stringContaining("a daemon listens on the control socket") },
  ]);
  expect(a.own.ruleList).toEqual(rules);
  expect(flushed).toEqual([]);
});
