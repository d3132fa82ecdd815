import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ControlSocketError } from "../../src/daemon/control/socket.ts";
import { EndOfRun } from "../../src/daemon/end-of-run.ts";
import { DataPlaneError } from "../../src/dataplane/dataplane.ts";

const EVENTS = [
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGUSR2",
  "uncaughtException",
  "unhandledRejection",
] as const;

let messages: string[];
let end: EndOfRun;
let before: Map<string, unknown[]>;

beforeEach(() => {
  before = new Map(EVENTS.map((event) => [event, process.listeners(event as "SIGTERM")]));
  messages = [];
  const write = (line: string) => messages.push((JSON.parse(line) as { msg: string }).msg);
  end = new EndOfRun(pino({ base: null }, { write }));
});

afterEach(() => {
  for (const event of EVENTS) {
    for (const listener of process.listeners(event as "SIGTERM")) {
      if (!before.get(event)?.includes(listener)) process.off(event, listener);
    }
  }
});

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("%s ends the run well", async (signal) => {
  process.emit(signal);
  await end.reached;
  expect(end.status).toBe(0);
  expect(messages).toEqual(["stopping"]);
  expect(end.handsOver).toBe(false);
});

test("SIGUSR2 ends the run well, and leaves everything to a successor", async () => {
  process.emit("SIGUSR2");
  await end.reached;
  expect([end.status, end.handsOver]).toEqual([0, true]);
  expect(messages).toEqual(["handing over"]);
});

test("a failure hands nothing over, also when it comes while handing over", () => {
  process.emit("SIGUSR2");
  end.fail(new Error("broken"));
  expect([end.status, end.handsOver]).toEqual([1, false]);
});

test("a failure ends the run with status 1, whatever comes after", async () => {
  end.fail(new ControlSocketError("the socket is taken"));
  process.emit("SIGTERM");
  await end.reached;
  expect(end.status).toBe(1);
  expect(messages[0]).toBe("the socket is taken");
});

test("a failure of the data plane is told with its remedy", () => {
  end.fail(new DataPlaneError("no queue", "Load the module."));
  expect(messages).toEqual(["no queue. Load the module."]);
});

test("a failure that nobody expected is told with its stack", () => {
  end.fail(new TypeError("broken invariant"));
  expect(messages[0]).toMatch(/^TypeError: broken invariant\n\s+at /);
});
