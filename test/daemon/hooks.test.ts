import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { milliseconds } from "../../src/core/time.ts";
import type { MonitorEvent } from "../../src/daemon/api.ts";
import { Hooks, type HooksParts } from "../../src/daemon/hooks.ts";

let directory: string;
let logged: Record<string, unknown>[];
let hooks: Hooks;

const EVENT = {
  time: "2026-01-01T00:00:00.000Z",
  event: "exploring",
  context: "0000000000ab",
  localUlid: "2001:db8::a",
  peerUlid: "2001:db8::b",
  cause: "command",
  sequence: 1,
  monotonic: 12.5,
} satisfies MonitorEvent;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "l3shim-hooks-"));
  mkdirSync(join(directory, "hooks.d"));
  logged = [];
  hooks = open({});
});

afterEach(() => {
  hooks.end();
  rmSync(directory, { recursive: true });
});

function open(changes: Partial<HooksParts>): Hooks {
  const write = (line: string) => logged.push(JSON.parse(line) as Record<string, unknown>);
  const log = pino({ base: null, timestamp: false }, { write });
  return new Hooks({ directory: join(directory, "hooks.d"), log, isRoot: false, ...changes });
}

/** @param body shell; `$OUT` is a file that the test reads */
function hook(name: string, body: string, mode = 0o755): void {
  const file = join(directory, "hooks.d", name);
  writeFileSync(file, `#!/bin/sh\nOUT=${directory}/out\n${body}\n`);
  chmodSync(file, mode);
}

function output(): string {
  return readFileSync(join(directory, "out"), "utf8");
}

async function run(count: number): Promise<void> {
  await expect.poll(() => hooks.counters["hooks-run"], { timeout: 10_000 }).toBe(count);
}

/** Nobody may have taken note of its end yet. */
function isAlive(pid: string): boolean {
  const status = `/proc/${pid}/status`;
  return existsSync(status) && !/^State:\s+Z/m.test(readFileSync(status, "utf8"));
}

test("each executable gets the event, in the order of names, events in their order", async () => {
  hook("20-second", 'echo "second $L3SHIM_EVENT" >>$OUT');
  hook("10-first", "cat >>$OUT");
  hook("30-not-executable", "echo never >>$OUT", 0o644);
  hook("40-old~", "echo never >>$OUT");
  hook("50.dpkg-old", "echo never >>$OUT");
  hook(".hidden", "echo never >>$OUT");
  mkdirSync(join(directory, "hooks.d", "60-directory"));
  hooks.receive(EVENT);
  hooks.receive({ ...EVENT, event: "closed", cause: "idle" });
  await run(4);
  await expect.poll(output).toMatch(/second closed\n$/);
  const [first = "", ...others] = output().split("\n");
  expect(JSON.parse(first)).toEqual({ schemaVersion: 1, ...EVENT });
  expect(others[0]).toBe("second exploring");
  expect(JSON.parse(others[1] ?? "")).toMatchObject({ event: "closed" });
  expect(others.slice(2)).toEqual(["second closed", ""]);
  expect(logged).toEqual([]);
});

test("a hook has the daemon's path and no other variable, and no capability", async () => {
  hook(
    "10-look",
    "env | sort >>$OUT; grep -E '^Cap(Inh|Amb)' /proc/self/status >>$OUT; echo . >>$OUT",
  );
  hooks.receive(EVENT);
  await expect.poll(() => run(1).then(output)).toMatch(/\.\n$/);
  const names = output().match(/^\w+(?==)/gm) ?? [];
  // The shell makes the other ones.
  expect(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name))).toEqual([
    "L3SHIM_EVENT",
    "PATH",
  ]);
  expect(output()).toMatch(/^CapInh:\s0+$/m);
  expect(output()).toMatch(/^CapAmb:\s0+$/m);
});

test("a hook that fails is logged with what it said, counted, and stops no other one", async () => {
  hook("10-fails", "echo what a pity >&2; exit 3");
  hook("20-goes-on", "echo here >>$OUT");
  hooks.receive(EVENT);
  await run(2);
  await expect.poll(output).toBe("here\n");
  expect(hooks.counters).toMatchObject({ "hooks-run": 2, "hooks-failed": 1 });
  expect(logged).toMatchObject([
    { level: 40, event: "exploring", msg: "a hook ended with status 3, saying: what a pity" },
  ]);
});

test("a hook that takes too long is killed with all that it started", async () => {
  hook("10-hangs", "sleep 1000 & echo $! >>$OUT; wait");
  // On a busy machine it may be killed before it has started anything.
  for (let limit = 100; !existsSync(join(directory, "out")); limit *= 2) {
    hooks = open({ timeLimit: milliseconds(limit) });
    hooks.receive(EVENT);
    await expect.poll(() => hooks.counters["hooks-failed"], { timeout: 10_000 }).toBe(1);
    expect(logged.at(-1)?.["msg"]).toContain("was killed");
  }
  await expect.poll(() => isAlive(output().trim())).toBe(false);
});

test("more events than can wait are counted, not kept", async () => {
  hook("10-hangs", "exec sleep 1000");
  for (let i = 0; i < 300; i += 1) hooks.receive(EVENT);
  expect(hooks.counters["hooks-dropped"]).toBe(44);
  await run(1);
  hooks.end();
  hooks.receive(EVENT);
  expect(hooks.counters).toMatchObject({ "hooks-run": 1, "hooks-failed": 0 });
});

test("root's hooks are not run, which is told once", async () => {
  hooks = open({ isRoot: true });
  hook("10-never", "echo never >>$OUT");
  hooks.receive(EVENT);
  hooks.receive(EVENT);
  await expect.poll(() => logged).toHaveLength(1);
  expect(logged[0]?.msg).toContain("would have the privileges of root");
  expect(hooks.counters["hooks-run"]).toBe(0);
});

test("without a directory nothing is run or told", async () => {
  hooks = open({ directory: join(directory, "none") });
  for (let i = 0; i < 300; i += 1) hooks.receive(EVENT);
  await new Promise(setImmediate);
  expect(hooks.counters).toEqual({ "hooks-run": 0, "hooks-failed": 0, "hooks-dropped": 0 });
  expect(logged).toEqual([]);
});
