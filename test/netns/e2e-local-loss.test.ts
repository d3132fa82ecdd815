import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { describeFailure, type Failure, inject } from "../../src/lab/failure.ts";
import type { Flow } from "../../src/lab/flow.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { sleep } from "../../src/lab/shell.ts";
import { A_TO_B, A1, B_TO_A, ShimLab } from "./support/shim-lab.ts";

/** One after the other, each hits the uplink that the sessions are on by then. */
const FAILURES: readonly Failure[] = [
  { kind: "link-down", host: "a", isp: "isp1" },
  { kind: "address-deleted", host: "a", isp: "isp2" },
  { kind: "carrier-lost", host: "a", isp: "isp1" },
  { kind: "link-down", host: "a", isp: "isp2" },
  { kind: "carrier-lost", host: "a", isp: "isp1" },
  { kind: "carrier-lost", host: "a", isp: "isp2" },
  { kind: "address-deleted", host: "a", isp: "isp1" },
];

describe("sessions whose own uplink goes away", () => {
  let lab: ShimLab;
  let flows: Flow[];

  beforeAll(async () => {
    lab = await ShimLab.open({ shims: ["a", "b"] });
    flows = [
      await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 500_000 }),
      await startTcp(lab.network, { ...B_TO_A, port: 5002, rate: 500_000 }),
      await startUdp(lab.network, { ...A_TO_B, port: 5003 }),
    ];
    await lab.untilAll(["a", "b"], "established", 0);
  });

  afterAll(async () => {
    await lab.close();
  });

  // The uplink that was healed last is to be one again before the next one goes.
  beforeEach(async () => {
    await sleep(1_000);
  });

  for (const [index, failure] of FAILURES.entries()) {
    test(`go on within a second, ${index + 1}: ${describeFailure(failure)}`, async () => {
      const { at, heal } = await inject(lab.network, failure);
      onTestFinished(heal);
      await lab.untilAll(["a"], "recovered", at);
      const explored = lab
        .daemon("a")
        .events.find(({ event, time }) => event === "exploring" && time >= at);
      expect(explored).toMatchObject({ cause: "local-locator-lost" });
      await sleep(1_000);
      const before = flows.map((flow) => flow.bytesReceived());
      await sleep(500);
      for (const [position, flow] of flows.entries()) {
        expect(flow.bytesReceived()).toBeGreaterThan(before[position] ?? 0);
        const silences = flow.gaps().filter(({ to }) => to > at);
        const longest = Math.max(0, ...silences.map(({ from, to }) => to - from));
        expect({ kind: flow.kind, inTime: longest < 1_000 }).toEqual({
          ...{ kind: flow.kind, inTime: true },
        });
      }
    });
  }

  test("lose nothing by all that", async () => {
    expect((await lab.context("a")).localUlid).toBe(A1);
    for (const flow of flows) expect((await flow.stop()).damage).toEqual([]);
  });
});
