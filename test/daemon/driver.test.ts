import { beforeEach, expect, test } from "vitest";
import type { Endpoint } from "../../src/core/endpoint.ts";
import type { Output } from "../../src/core/output.ts";
import { instant } from "../../src/core/time.ts";
import { Driver, type DriverObserver } from "../../src/daemon/driver.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { FakePlane } from "./fake-planes.ts";
import { address, VirtualClock } from "./fakes.ts";
import { ScriptedEndpoint } from "./scripted-endpoint.ts";

const TAG = contextTag(0xabc);
const ULIDS = { local: address("2001:db8:a::1"), peer: address("2001:db8:b::1") };
const MAPPING = { ulids: ULIDS, locators: ULIDS, peerTag: contextTag(1) };

let clock: VirtualClock;
let plane: FakePlane;
let endpoint: ScriptedEndpoint;
let observed: string[];
let driver: Driver;
let start: number;

beforeEach(async () => {
  clock = new VirtualClock();
  plane = new FakePlane();
  endpoint = new ScriptedEndpoint();
  observed = [];
  start = clock.now();
  const observer: DriverObserver = {
    event: (event) => observed.push(`event ${event.event}`),
    controlSent: () => observed.push("sent"),
    controlReceived: () => observed.push("received"),
    sendFailed: (_output, error) => observed.push(`send failed: ${error.message}`),
    contextSet: () => observed.push("context set"),
    contextCleared: () => observed.push("context cleared"),
    surveyed: (survey) => observed.push(`survey ${survey} over`),
    contextChanged: () => observed.push("context changed"),
    stepBegan: () => undefined,
    stepEnded: () => undefined,
    mappingInForce: () => observed.push("mapping in force"),
    failed: (error) => observed.push(`failed: ${error.message}`),
  };
  driver = new Driver(endpoint as unknown as Endpoint, plane, clock, observer);
  await driver.start(() => undefined);
  plane.calls.length = 0;
});

function send(): Output {
  return {
    type: "send",
    source: ULIDS.local,
    destination: ULIDS.peer,
    encapsulated: false,
    bytes: new Uint8Array(16),
    message: { type: "Keepalive", receiverContextTag: TAG, options: [] },
    tag: TAG,
  };
}

test("everything that the plane reports reaches the endpoint with its time", () => {
  const { events } = plane;
  const now = (span: number) => instant(start + span);
  events.trigger(now(1), ULIDS);
  events.control(now(2), ULIDS.peer, ULIDS.local, new Uint8Array(8));
  events.unknownTag(now(3), ULIDS.peer, ULIDS.local, TAG);
  events.inboundPayload(now(4), TAG, true);
  events.icmpError(now(5), ULIDS.peer, new Uint8Array(8));
  events.trafficResumed(now(6), TAG);
  const times = [1, 2, 3, 4, 5, 6].map((span) => start + span);
  expect(endpoint.inputs).toEqual(
    ["trigger", "control", "unknown-tag", "payload", "icmp", "resumed"].map(
      (name, i) => `${name} ${times[i]}`,
    ),
  );
  expect(observed).toEqual(["received"]);
});

test("that a mapping is in force is told, and not after the end", async () => {
  plane.events.mappingInForce(TAG);
  expect(observed).toEqual(["mapping in force"]);
  await driver.stop();
  plane.events.mappingInForce(TAG);
  expect(observed).toEqual(["mapping in force"]);
});

test("the endpoint's time never runs backwards", () => {
  plane.events.trigger(instant(start + 10), ULIDS);
  plane.events.inboundPayload(instant(start + 5), TAG, true);
  expect(endpoint.inputs).toEqual([`trigger ${start + 10}`, `payload ${start + 10}`]);
});

test("every output is carried out, in its order", () => {
  endpoint.react = () => {
    endpoint.react = () => undefined;
    endpoint.outputs.push(
      { type: "set-context", tag: TAG, ulids: ULIDS, forkedInstance: 0 },
      send(),
      { type: "set-mapping", tag: TAG, mapping: MAPPING },
      { type: "watch", tag: TAG, on: true },
      { type: "withhold-errors", tag: TAG, on: true },
      { type: "mark-traffic", tag: TAG, direction: "out" },
      { type: "await-traffic", tag: TAG, packets: 0 },
      { type: "clear-mapping", tag: TAG },
      { type: "clear-context", tag: TAG },
      { type: "save-context", tag: TAG },
      { type: "arm-trigger", ulids: ULIDS },
      {
        type: "event",
        event: { at: clock.now(), tag: TAG, ulids: ULIDS, event: "closed", cause: "idle" },
      },
    );
  };
  plane.events.trigger(clock.now(), ULIDS);
  expect(plane.calls).toEqual([
    "setContext",
    "setMapping",
    "watch true",
    "withholdErrors true",
    "markTraffic out",
    "awaitTraffic",
    "clearMapping",
    "clearContext",
    "armTrigger",
  ]);
  expect(plane.sent).toHaveLength(1);
  expect(observed).toEqual([
    "context set",
    "sent",
    "context cleared",
    "context changed",
    "event closed",
  ]);
});

test("read-traffic is answered before the outputs behind it", () => {
  plane.setContext(TAG);
  plane.calls.length = 0;
  let callsAtAnswer: number | undefined;
  endpoint.react = (input) => {
    if (input.startsWith("trigger")) {
      endpoint.outputs.push(
        { type: "read-traffic", tag: TAG },
        { type: "mark-traffic", tag: TAG, direction: "in" },
      );
    } else {
      callsAtAnswer = plane.calls.length;
    }
  };
  plane.events.trigger(clock.now(), ULIDS);
  expect(endpoint.inputs).toEqual([`trigger ${start}`, `traffic ${start}`]);
  expect(callsAtAnswer).toBe(0);
  expect(plane.calls).toEqual(["markTraffic in"]);
});

test("a packet that passes before the plane awaits one counts as the one awaited", () => {
  plane.setContext(TAG);
  endpoint.react = (input) => {
    if (input.startsWith("trigger")) {
      endpoint.outputs.push({ type: "await-traffic", tag: TAG, packets: 0 });
    }
  };
  plane.events.trigger(clock.now(), ULIDS);
  expect(endpoint.inputs).toEqual([`trigger ${start}`]);
  plane.records.get(TAG)?.in(clock.now(), 100);
  plane.events.trigger(clock.now(), ULIDS);
  expect(endpoint.inputs.slice(1)).toEqual([`trigger ${start}`, `resumed ${start}`]);
});

test("what the plane reports during a step waits for its end", () => {
  plane.setMapping = () => plane.events.inboundPayload(clock.now(), TAG, true);
  endpoint.react = (input) => {
    if (!input.startsWith("trigger")) return;
    endpoint.outputs.push({ type: "set-mapping", tag: TAG, mapping: MAPPING }, send());
  };
  plane.sendControl = () => expect(endpoint.inputs).toHaveLength(1);
  plane.events.trigger(clock.now(), ULIDS);
  expect(endpoint.inputs).toEqual([`trigger ${start}`, `payload ${start}`]);
});

test("one timer stands at the endpoint's deadline and follows it", () => {
  endpoint.deadline = start + 100;
  plane.events.trigger(clock.now(), ULIDS);
  endpoint.deadline = start + 50;
  plane.events.trigger(clock.now(), ULIDS);
  expect(clock.timers.size).toBe(1);
  endpoint.react = () => {
    endpoint.deadline = undefined;
  };
  clock.advance(49);
  expect(endpoint.inputs).toHaveLength(2);
  clock.advance(1);
  expect(endpoint.inputs[2]).toBe(`timeout ${start + 50}`);
  expect(clock.timers.size).toBe(0);
});

test("a deadline that stays the same after its timeout is armed again", () => {
  endpoint.deadline = start + 10;
  plane.events.trigger(clock.now(), ULIDS);
  endpoint.react = () => {
    endpoint.react = () => {
      endpoint.deadline = undefined;
    };
  };
  clock.advance(10);
  expect(endpoint.inputs.filter((input) => input.startsWith("timeout"))).toHaveLength(2);
});

test("a message that the system refuses is reported and the step goes on", () => {
  plane.sendError = new Error("EADDRNOTAVAIL");
  endpoint.outputs.push(send(), { type: "arm-trigger", ulids: ULIDS });
  driver.run(() => undefined);
  expect(observed).toEqual(["send failed: EADDRNOTAVAIL"]);
  expect(plane.calls).toEqual(["armTrigger"]);
});

test("an exception out of the endpoint fails the driver once and for all", () => {
  endpoint.deadline = start + 10;
  plane.events.trigger(clock.now(), ULIDS);
  endpoint.react = () => {
    throw new Error("broken invariant");
  };
  plane.events.trigger(clock.now(), ULIDS);
  plane.events.trigger(clock.now(), ULIDS);
  clock.advance(100);
  expect(observed).toEqual(["failed: broken invariant"]);
  expect(endpoint.inputs).toHaveLength(2);
});

test("a failure of the plane fails the driver", () => {
  plane.events.failed(new Error("queue gone"));
  expect(observed).toEqual(["failed: queue gone"]);
});

test("a command gets the time and gives its value back", () => {
  clock.advance(7);
  expect(driver.run((_endpoint, now) => now)).toBe(start + 7);
});

test("after a stop the plane is closed and nothing runs any more", async () => {
  endpoint.deadline = start + 10;
  plane.events.trigger(clock.now(), ULIDS);
  await driver.stop();
  plane.events.trigger(clock.now(), ULIDS);
  clock.advance(100);
  expect(endpoint.inputs).toHaveLength(1);
  expect(plane.calls).toEqual(["close"]);
  expect(driver.run(() => 1)).toBeUndefined();
});
