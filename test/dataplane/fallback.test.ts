import { describe, expect, test } from "vitest";
import { DataPlaneError, type DataPlaneEvents } from "../../src/dataplane/dataplane.ts";
import { FallbackDataPlane } from "../../src/dataplane/fallback.ts";
import { FakePlane } from "../daemon/fake-planes.ts";

const EVENTS = {} as DataPlaneEvents;

describe("of two planes", () => {
  test("the first is used where it opens, and the second is never opened", async () => {
    const first = new FakePlane();
    const second = new FakePlane();
    const reasons: DataPlaneError[] = [];
    const plane = new FallbackDataPlane(first, second, (reason) => reasons.push(reason));
    await plane.open(EVENTS);
    plane.clearMapping(0 as never);
    await plane.close();
    expect(first.calls).toEqual(["open", "clearMapping", "close"]);
    expect(second.calls).toEqual([]);
    expect(reasons).toEqual([]);
  });

  test("the second is used where the first lacks something, which is told", async () => {
    const first = new FakePlane();
    const second = new FakePlane();
    first.openError = new DataPlaneError("no bpffs", "Mount one.");
    const reasons: DataPlaneError[] = [];
    const plane = new FallbackDataPlane(first, second, (reason) => reasons.push(reason));
    await plane.open(EVENTS);
    plane.armTrigger({} as never);
    expect(reasons).toEqual([first.openError]);
    expect(second.calls).toEqual(["open", "armTrigger"]);
  });

  test("what is no lack of the host's is no reason to fall back", async () => {
    const first = new FakePlane();
    const second = new FakePlane();
    first.openError = new Error("a bug");
    const plane = new FallbackDataPlane(first, second, () => undefined);
    await expect(plane.open(EVENTS)).rejects.toThrow("a bug");
    expect(second.calls).toEqual([]);
  });
});
