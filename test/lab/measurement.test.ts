import { describe, expect, test } from "vitest";
import { measure, type Recording } from "../../src/lab/measurement.ts";
import { problemsOf, rowProblems } from "../../src/lab/verdict.ts";
import { FAILED_AT, failureRun, flowRecord, message, shimEvents } from "./recording.ts";

const recording: Recording = {
  failedAt: FAILED_AT,
  observedUntil: FAILED_AT + 15_000,
  events: shimEvents(10_000, 10_600),
  messages: [message(10_000, "a", "sent"), message(10_001, "b", "received")],
};

describe("what a failure did to an application", () => {
  test("the interruption is split where the sender began to explore and was done", () => {
    expect(measure(flowRecord("TCP", 10_800), recording)).toMatchObject({
      interruption: 10_800,
      detection: 10_000,
      exploration: 600,
      resumption: 200,
    });
  });

  test("a probe counts once, where it was sent", () => {
    expect(measure(flowRecord("TCP", 10_800), recording).probesSent).toBe(1);
  });

  test("a receiver that noticed nothing has an interruption of 0", () => {
    expect(measure(flowRecord("UDP", 0), recording).interruption).toBe(0);
  });

  test("a silence to the end of the observation is no recovery", () => {
    const silent = { ...flowRecord("UDP", 0), lastArrival: FAILED_AT };
    expect(measure(silent, recording).interruption).toBeUndefined();
  });

  test("a silence that only the end of the observation broke is no recovery", () => {
    const gaps = [{ from: FAILED_AT, to: FAILED_AT + 15_500 }];
    const late = { ...flowRecord("TCP", 0), gaps, lastArrival: FAILED_AT + 16_000 };
    expect(measure(late, recording).interruption).toBeUndefined();
  });

  test("nothing at all having arrived is no recovery", () => {
    const nothing = { ...flowRecord("TCP", 0), lastArrival: undefined };
    expect(measure(nothing, recording).interruption).toBeUndefined();
  });

  test("silences before the failure are not counted", () => {
    const gaps = [{ from: FAILED_AT - 3_000, to: FAILED_AT - 1_000 }];
    const flow = { ...flowRecord("TCP", 0), gaps };
    expect(measure(flow, recording).interruption).toBe(0);
  });

  test("losses are told apart by whether the outage explains them", () => {
    const loss = (from: number, missing: number) => ({
      from: FAILED_AT + from,
      to: FAILED_AT + from + 10,
      missing,
    });
    const losses = [loss(-2_000, 1), loss(5_000, 1_000), loss(14_000, 3)];
    const flow = { ...flowRecord("UDP", 10_800), losses };
    expect(measure(flow, recording).lostOutside).toBe(4);
  });
});

describe("the verdict", () => {
  const measurement = measure(flowRecord("TCP", 10_800), recording);

  test("is good for a session that went on in time, whole", () => {
    expect(rowProblems(measurement, 20_000)).toEqual([]);
  });

  test("names an interruption that is too long", () => {
    expect(rowProblems(measurement, 1_000)).toEqual(["silent for 10.8 s, more than 1.00 s"]);
  });

  test("names a session that never went on", () => {
    const lost = { ...measurement, interruption: undefined };
    expect(rowProblems(lost, 20_000)).toEqual(["did not recover"]);
  });

  test("names damage and unexplained losses", () => {
    const damaged = { ...measurement, damage: ["2 datagrams came twice"], lostOutside: 7 };
    expect(rowProblems(damaged, 20_000)).toEqual([
      "2 datagrams came twice",
      "7 packets lost outside the interruption",
    ]);
  });

  test("covers the new session: its source and its context", () => {
    const newSession = {
      flow: flowRecord("TCP", 0),
      source: "2001:db8:1:a::1",
      expectedSource: message(0, "a", "sent").source as never,
      established: false,
    };
    expect(problemsOf({ ...failureRun(), newSession })).toEqual([
      "silent path loss, new session: came from 2001:db8:1:a::1, not from 2001:db8:2:a::1",
      "silent path loss, new session: no Shim6 context was established for it",
    ]);
  });
});
