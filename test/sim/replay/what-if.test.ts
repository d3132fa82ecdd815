import { describe, expect, test } from "vitest";
import { seconds } from "../../../src/core/time.ts";
import {
  canBeModelled,
  type ModelledOutage,
  modelOutage,
  type RecordedOutage,
  type WhatIfSettings,
} from "../../../src/sim/replay/what-if.ts";
import type { Failure, Scenario } from "../../../src/sim/scenario.ts";
import { readTrace, recordScenario } from "./support.ts";

const RFC: WhatIfSettings = { sendTimeout: 15, detect: "rfc" };

/** The first outage that A has in the scenario. */
function recordedOutage(name: string, changes: Partial<Scenario> = {}): RecordedOutage {
  const [trace = []] = recordScenario(name, { sendTimeout: 15, ...changes });
  const [outage] = readTrace(trace).outages;
  if (outage === undefined) throw new Error("no outage");
  return outage;
}

function length({ outage }: RecordedOutage): number {
  return (outage.detection + outage.exploration) / 1000;
}

/** Within the range of the model, or a jitter beside it. */
function expectNear({ shortest, longest, lasting }: ModelledOutage, span: number): void {
  expect(lasting).toBe(0);
  expect(span).toBeGreaterThan(shortest - 0.8);
  expect(span).toBeLessThan(longest + 0.8);
}

describe("the model of an outage", () => {
  test.each([
    ["both ways", "both"],
    ["towards the host", "down"],
  ] as const)("is near to the record, and to what other settings really do: %s", (_, direction) => {
    const failure = {
      type: "uplink",
      host: "a",
      uplink: 0,
      direction,
      seen: false,
      at: 60,
    } as const;
    const changes = { failures: [failure], duration: 120 };
    const name = "paper";
    const recorded = recordedOutage(name, changes);
    expect(canBeModelled(recorded.outage)).toBe(true);

    expectNear(modelOutage(recorded, RFC), length(recorded));

    const real = length(recordedOutage(name, { ...changes, sendTimeout: 3 }));
    expect(real).toBeLessThan(length(recorded) - 5);
    expectNear(modelOutage(recorded, { ...RFC, sendTimeout: 3 }), real);
    const adaptive = modelOutage(recorded, { ...RFC, detect: "adaptive" });
    expectNear(adaptive, length(recordedOutage(name, { ...changes, detect: "adaptive" })));
  });

  test("knows that a path was dead at first: a shorter timeout does not bring it back", () => {
    const dead = { at: 60, lasts: 40, type: "partition", hosts: ["a"] } as const;
    const first = { at: 60, type: "uplink", host: "a", uplink: 0, direction: "both", seen: false };
    const recorded = recordedOutage("paper", { failures: [dead, first as Failure] });

    expect(length(recorded)).toBeGreaterThan(39);
    const model = modelOutage(recorded, { ...RFC, sendTimeout: 3 });
    expect(model.shortest).toBeGreaterThan(39);
    expect(model.lasting).toBe(0);
  });

  test("does not count on paths that nobody tried", () => {
    const { evidence, locators } = recordedOutage("paper");

    expect(locators.local.length * locators.peer.length).toBe(4);
    const throughout = 8 - evidence.dead.length;
    expect(throughout).toBeGreaterThanOrEqual(2);
    expect(throughout).toBeLessThan(8);
    expect(evidence.dead.filter(({ until }) => until === undefined).length).toBeGreaterThan(1);
  });

  test("has packets as often as the trace, and the same round trip", () => {
    const { evidence } = recordedOutage("paper");

    expect(evidence.roundTrip).toBeCloseTo(40, 0);
    expect(evidence.rate?.out).toBeGreaterThan(2);
    expect(evidence.rate?.out).toBeLessThan(5);
  });

  test("is none where the host sees for itself that its uplink is gone", () => {
    const { outage } = recordedOutage("cable");

    expect(outage.cause).toBe("local-locator-lost");
    expect(outage.detection).toBeLessThan(seconds(1));
    expect(canBeModelled(outage)).toBe(false);
  });
});
