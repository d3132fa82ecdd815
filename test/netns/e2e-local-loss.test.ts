import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { describeFailure, type Failure, inject } from "../../src/lab/failure.ts";
import type { Flow } from "../../src/lab/flow.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { waitFor } from "../../src/lab/shell.ts";
import type { ShimEvent } from "../../src/lab/shim-event.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { A_TO_B, A1, B_TO_A, SEND_TIMEOUT, ShimLab } from "./support/shim-lab.ts";

/** One after the other, each hits the uplink that the sessions are on by then. */
const FAILURES: readonly Failure[] = [
  { kind: "link-down", host: "a", isp: "isp1" },
  { kind: "address-deleted", host: "a", isp: "isp2" },
  { kind: "carrier-lost", host: "a", isp: "isp1" },
  { kind: "link-down", host: "a", isp: "isp2" },
  { kind: "carrier-lost", host: "a", isp: "isp1" },
  { kind: "carrier-lost", host: "a", isp: "isp2" },
  { kind: "address-deleted", host: "a", isp: "isp1" },
  { kind: "interface-removed", host: "a", isp: "isp2" },
  { kind: "interface-removed", host: "a", isp: "isp1" },
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

  /** Who began, and why. On a busy machine the ISP's router may tell b before the kernel tells a. */
  function firstExploration(since: number): string | undefined {
    const first = eventsSince(since).find(({ event }) => event === "exploring");
    return first && `${first.host} ${"cause" in first ? first.cause : "?"}`;
  }

  function eventsSince(since: number): ShimEvent[] {
    return ["a", "b"]
      .flatMap((host) => lab.daemon(host).events)
      .filter(({ time }) => time >= since)
      .toSorted((one, other) => one.time - other.time);
  }

  // The uplink that was healed last is to be one again before the next one goes.
  beforeEach(async () => {
    const healed = async () => {
      const contexts = await Promise.all([lab.context("a"), lab.context("b")]);
      const known = contexts.every(
        ({ localLocators, peerLocators }) =>
          localLocators.every(({ operational }) => operational) &&
          peerLocators.every(({ broken }) => !broken),
      );
      return known || undefined;
    };
    const timeoutError = () => new Error("the uplink did not come back");
    await waitFor(healed, { timeout: PATIENCE, interval: 100, timeoutError });
  });

  for (const [index, failure] of FAILURES.entries()) {
    test(`go on before any timer runs out, ${index + 1}: ${describeFailure(failure)}`, async () => {
      const { at, heal } = await inject(lab.network, failure);
      onTestFinished(heal);
      await lab.untilAll(["a"], "recovered", at);
      expect(["a local-locator-lost", "b icmp-error"]).toContain(firstExploration(at));
      const late: string[] = [];
      for (const flow of flows) {
        await untilMoves(flow, 50_000);
        for (const { from, to } of flow.gaps()) {
          if (to <= at || to - from < SEND_TIMEOUT * 1_000) continue;
          late.push(`${flow.kind} of ${flow.from} silent from ${from - at} to ${to - at} ms`);
        }
      }
      expect(late, `the failure was at ${at}: ${JSON.stringify(eventsSince(at))}`).toEqual([]);
    });
  }

  test("lose nothing by all that", async () => {
    expect((await lab.context("a")).localUlid).toBe(A1);
    for (const flow of flows) expect((await flow.stop()).damage).toEqual([]);
  });
});
