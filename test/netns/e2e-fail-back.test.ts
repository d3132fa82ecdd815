import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inject } from "../../src/lab/failure.ts";
import type { Flow } from "../../src/lab/flow.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { waitFor } from "../../src/lab/shell.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { A_TO_B, A1, B_TO_A, B1, SEND_TIMEOUT, ShimLab } from "./support/shim-lab.ts";

/** Seconds. */
const HOLD = 2;

describe("a path that failed in silence and works again", () => {
  let lab: ShimLab;
  let flows: Flow[];

  beforeAll(async () => {
    const extraConfig = `fail-back.hold = ${HOLD}\nfail-back.max-hold = ${2 * HOLD}`;
    lab = await ShimLab.open({ shims: ["a", "b"], extraConfig });
    flows = [
      await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 500_000 }),
      await startTcp(lab.network, { ...B_TO_A, port: 5002, rate: 500_000 }),
      await startUdp(lab.network, { ...A_TO_B, port: 5003 }),
    ];
    await lab.untilAgreed();
  });

  afterAll(async () => {
    await lab.close();
  });

  test("is left, and returned to by itself when it has been good for the hold time", async () => {
    const { at, heal } = await inject(lab.network, {
      kind: "silent-loss",
      isp: "isp1",
      direction: "both",
    });
    await lab.untilAll(["a", "b"], "recovered", at);
    const healedAt = Date.now();
    await heal();
    const { a, b } = await waitFor(bothReturned, {
      timeout: PATIENCE,
      interval: 200,
      timeoutError: () => new Error("the session did not come back"),
    });
    expect(Date.now() - healedAt).toBeGreaterThanOrEqual(1_000 * HOLD);
    // There and back. Reports that cross the end of the exploration can add such a pair of switches.
    expect([2, 4]).toContain(a.switches);
    expect([2, 4]).toContain(b.switches);
    for (const flow of flows) await untilMoves(flow, 50_000);
    const silences = flows.flatMap((flow) => flow.gaps().filter(({ from }) => from > healedAt));
    const longest = Math.max(0, ...silences.map(({ from, to }) => to - from));
    // The return is no failure: no timer has to run out.
    expect(longest).toBeLessThan(1_000 * SEND_TIMEOUT);
  });

  test("loses nothing by that", async () => {
    for (const flow of flows) expect((await flow.stop()).damage).toEqual([]);
  });

  async function bothReturned() {
    const [a, b] = await Promise.all([lab.context("a"), lab.context("b")]);
    const back =
      a.localLocator === A1 &&
      a.peerLocator === B1 &&
      b.localLocator === B1 &&
      b.peerLocator === A1;
    return back ? { a, b } : undefined;
  }
});
