import { beforeEach, expect, test } from "vitest";
import { type Duration, seconds } from "../../src/core/time.ts";
import { describeStatus, managerSettings, Supervision } from "../../src/daemon/supervision.ts";
import { VirtualClock } from "./fakes.ts";

let clock: VirtualClock;
let told: string[][];
let warnings: string[];

beforeEach(() => {
  clock = new VirtualClock();
  told = [];
  warnings = [];
});

function supervise(watchdog: Duration | undefined, notify = record): Supervision {
  return new Supervision({
    clock,
    settings: { socket: "/run/notify", watchdog },
    describe: () => "fine",
    warn: (error) => warnings.push(error.message),
    notify,
  });
}

function record(socket: string, assignments: readonly string[]): void {
  expect(socket).toBe("/run/notify");
  told.push([...assignments]);
}

test("readiness is told once, then three signs of life in each span of the watchdog", () => {
  supervise(seconds(30)).ready();
  expect(told).toEqual([["READY=1", "STATUS=fine"]]);
  clock.advance(29_999);
  expect(told.slice(1)).toEqual([
    ["WATCHDOG=1", "STATUS=fine"],
    ["WATCHDOG=1", "STATUS=fine"],
  ]);
  clock.advance(1);
  expect(told).toHaveLength(4);
});

test("without a watchdog the status is told every 15 seconds", () => {
  supervise(undefined).ready();
  clock.advance(60_000);
  expect(told).toHaveLength(5);
});

test("after the end there are no signs of life", () => {
  const supervision = supervise(seconds(30));
  supervision.ready();
  supervision.stopping();
  clock.advance(60_000);
  expect(told.slice(1)).toEqual([["STOPPING=1", "STATUS=leaving plain IPv6"]]);
});

test("a handover is a reload that began now, by the monotonic clock", () => {
  const supervision = supervise(seconds(30));
  supervision.ready();
  supervision.handingOver();
  clock.advance(60_000);
  expect(told.slice(1)).toEqual([
    ["RELOADING=1", "MONOTONIC_USEC=1000000000", "STATUS=handing over"],
  ]);
});

test("a manager that does not listen is told of once, and borne", () => {
  const supervision = supervise(seconds(30), () => {
    throw new Error("nobody there");
  });
  supervision.ready();
  clock.advance(60_000);
  supervision.stopping();
  expect(warnings).toEqual(["nobody there"]);
});

test.each([
  [{}, undefined],
  [{ NOTIFY_SOCKET: "" }, undefined],
  [{ NOTIFY_SOCKET: "@s" }, { socket: "@s", watchdog: undefined }],
  [
    { NOTIFY_SOCKET: "@s", WATCHDOG_USEC: "3000000" },
    { socket: "@s", watchdog: 3000 },
  ],
  [
    { NOTIFY_SOCKET: "@s", WATCHDOG_USEC: "3000000", WATCHDOG_PID: "7" },
    { socket: "@s", watchdog: 3000 },
  ],
  [
    { NOTIFY_SOCKET: "@s", WATCHDOG_USEC: "3000000", WATCHDOG_PID: "8" },
    { socket: "@s", watchdog: undefined },
  ],
])("process 7 with the environment %j has the manager %j", (environment, settings) => {
  expect(managerSettings(environment, 7)).toEqual(settings);
});

test("the status line counts uplinks, contexts and warnings", () => {
  const uplink = { operational: true } as Parameters<typeof describeStatus>[0]["uplinks"][0];
  const contexts = { total: 1, byState: {}, byReapState: {} };
  const uplinks = [uplink, { ...uplink, operational: false }];
  expect(describeStatus({ contexts, uplinks, warnings: [] })).toBe("1 of 2 uplinks up, 1 context");
  const warnings = [{ code: "x", severity: "warning" as const, text: "y" }];
  expect(describeStatus({ contexts: { ...contexts, total: 0 }, uplinks, warnings })).toBe(
    "1 of 2 uplinks up, 0 contexts, 1 warning: see l3shim status",
  );
});
