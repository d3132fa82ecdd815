import { afterEach, describe, expect, test } from "vitest";
import { inject } from "../../src/lab/failure.ts";
import { startTcp } from "../../src/lab/flows.ts";
import { hostState } from "./support/host-state.ts";
import { untilMoves } from "./support/progress.ts";
import { A_TO_B, DATAPLANE, ShimLab } from "./support/shim-lab.ts";

const BOTH = ["a", "b"] as const;

describe.runIf(DATAPLANE === "ebpf")("a session whose packets the kernel rewrites", () => {
  let lab: ShimLab;

  afterEach(async () => {
    await lab.close();
  });

  /** In mid-transfer, on the second path, the first being dead. */
  async function switched() {
    lab = await ShimLab.open({ shims: ["b"] });
    const untouched = await hostState(lab.network, "a");
    await lab.startDaemon("a");
    const flow = await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 2e6 });
    await lab.untilAll(BOTH, "established", 0);
    const { at, heal } = await inject(lab.network, {
      ...{ kind: "silent-loss", isp: "isp1", direction: "both" },
    });
    await lab.untilAll(BOTH, "recovered", at);
    await untilMoves(flow, 100_000);
    await heal();
    return { flow, untouched };
  }

  /** The daemons have it from their predecessors. @returns what both say of it */
  async function restored() {
    const contexts = await Promise.all(BOTH.map((host) => lab.context(host)));
    for (const { state, switches } of contexts) {
      expect(state).toBe("ESTABLISHED");
      expect(switches).toBeGreaterThan(0);
    }
    return contexts.map(({ localTag, peerTag, localLocator, peerLocator }) => {
      return [localTag, peerTag, localLocator, peerLocator];
    });
  }

  test("goes on when both daemons are killed; new ones have it, and survive another failure", async () => {
    const { flow } = await switched();
    const before = await restored();
    await Promise.all(BOTH.map((host) => lab.daemon(host).kill()));
    await untilMoves(flow, 1_000_000);
    await Promise.all(BOTH.map((host) => lab.daemon(host).restart()));
    expect(await restored()).toEqual(before);
    await untilMoves(flow, 100_000);

    const { at } = await inject(lab.network, {
      ...{ kind: "silent-loss", isp: "isp2", direction: "both" },
    });
    await lab.untilAll(BOTH, "recovered", at);
    await untilMoves(flow, 500_000);
    expect((await flow.stop()).damage).toEqual([]);
  });

  test("goes on over a handover, and a stop of the successor takes everything away", async () => {
    const { flow, untouched } = await switched();
    await lab.daemon("a").handOver();
    await untilMoves(flow, 500_000);
    await lab.daemon("a").restart();
    await restored();
    await untilMoves(flow, 500_000);
    expect((await flow.stop()).damage).toEqual([]);
    expect(await hostState(lab.network, "a")).not.toEqual(untouched);
    await lab.daemon("a").stop();
    expect(await hostState(lab.network, "a")).toEqual(untouched);
  });
});
