import { describe, expect, test } from "vitest";
import type { Happening, PairStatus } from "../../src/daemon/api.ts";
import { afterEvent, countGroups, selectContexts } from "../../web/src/model/contexts.ts";
import { matrixOf } from "../../web/src/model/matrix.ts";
import { Throughput } from "../../web/src/model/throughput.ts";
import { A1, A2, B1, B2, contextOf } from "./contexts.ts";

describe("contexts", () => {
  const well = contextOf();
  const exploring = contextOf({ localTag: "00000000000c", reapState: "Exploring" });
  const failed = contextOf({ localTag: "00000000000d", state: "NO-SUPPORT", reapState: null });
  const all = [well, exploring, failed];

  test("are counted by what one looks for", () => {
    expect(countGroups(all)).toEqual({ all: 3, operational: 1, exploring: 1, other: 1 });
  });

  test("are selected by state, and by a part of an address or tag", () => {
    expect(selectContexts(all, { filter: "exploring", text: "" })).toEqual([exploring]);
    expect(selectContexts(all, { filter: "all", text: " 0000D" })).toEqual([failed]);
    expect(selectContexts(all, { filter: "all", text: "db8:1:b" })).toEqual(all);
    expect(selectContexts(all, { filter: "operational", text: "db8:9" })).toEqual([]);
  });

  test("change with events before the daemon is asked", () => {
    const stamp = { sequence: 1, monotonic: 1, time: "2026-01-01T00:00:09.000Z" };
    const ids = { context: "00000000000a", localUlid: A1, peerUlid: B1 };
    const left = (happening: Happening) => afterEvent(well, { ...happening, ...stamp });
    const to = { localLocator: A2, peerLocator: B2 };
    expect(left({ ...ids, event: "exploring", cause: "suspicion" })?.reapState).toBe("Exploring");
    const from = { localLocator: A1, peerLocator: B1 };
    expect(left({ ...ids, event: "switched", from, to, cause: "exploration" })).toMatchObject({
      ...{ ...to, switches: 1, lastSwitchAt: stamp.time },
    });
    expect(left({ ...ids, event: "closed", cause: "idle" })).toBeUndefined();
  });
});

describe("the matrix", () => {
  test("has the pair, and its form in UDP, where its locators cross; and what is wrong with these", () => {
    const context = contextOf();
    const [first, second] = context.localLocators;
    if (first === undefined || second === undefined) throw new Error("two local locators");
    const locals = [first, { ...second, operational: false }];
    const direction = { state: "unverified", lastProbe: null } as const;
    const pair: PairStatus = {
      ...{ localLocator: A2, peerLocator: B1, inUse: false, roundTrip: null },
      ...{ out: direction, in: direction },
    };
    const inUdp: PairStatus = { ...pair, encapsulated: true };
    expect(matrixOf({ ...context, localLocators: locals }, [pair, inUdp])).toEqual({
      columns: [
        { address: B1, note: "ULID" },
        { address: B2, note: "" },
      ],
      rows: [
        { address: A1, note: "ULID", cells: [[], []] },
        { address: A2, note: "down", cells: [[pair, inUdp], []] },
      ],
    });
  });
});

describe("throughput", () => {
  test("is what has passed since the last look, by the path of now", () => {
    const throughput = new Throughput();
    const on = { localLocator: A2, peerLocator: B2 };
    throughput.sample(1_000, [contextOf({ bytesOut: 100 })]);
    throughput.sample(2_000, [contextOf({ bytesOut: 600, bytesIn: 50 })]);
    throughput.sample(4_000, [contextOf({ ...on, bytesOut: 800, bytesIn: 50 })]);
    expect(throughput.of("00000000000a")).toEqual({
      times: [2, 4],
      lines: [
        { path: `${A1} > ${B1}`, direction: "out", values: [500, null] },
        { path: `${A1} > ${B1}`, direction: "in", values: [50, null] },
        { path: `${A2} > ${B2}`, direction: "out", values: [null, 100] },
        { path: `${A2} > ${B2}`, direction: "in", values: [null, 0] },
      ],
    });
    expect(throughput.host.lines.map(({ path }) => path)).toEqual([A1, A1, A2, A2]);
  });

  test("of contexts that are gone is forgotten", () => {
    const throughput = new Throughput();
    throughput.sample(1_000, [contextOf()]);
    throughput.sample(2_000, [contextOf()]);
    throughput.sample(3_000, []);
    expect(throughput.of("00000000000a").times).toEqual([]);
  });
});
