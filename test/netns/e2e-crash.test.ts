import { afterEach, describe, expect, test } from "vitest";
import { inject } from "../../src/lab/failure.ts";
import type { FlowRecord } from "../../src/lab/flow.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { poll, sleep } from "../../src/lab/shell.ts";
import { type HostState, hostState } from "./support/host-state.ts";
import { A_TO_B, ShimLab } from "./support/shim-lab.ts";

/** ms: far longer than a busy machine lets an application wait for its turn. */
const WITHOUT_DAEMON = 4_000;

describe("a daemon that is killed", () => {
  let lab: ShimLab;

  afterEach(async () => {
    await lab.close();
  });

  test("takes nothing from a null-mapped session, and a new one finds a clean host", async () => {
    lab = await ShimLab.open({ shims: ["b"] });
    const untouched = await hostState(lab.network, "a");
    await lab.startDaemon("a");
    const flows = [
      await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 2e6 }),
      await startUdp(lab.network, { ...A_TO_B, port: 5002 }),
    ];
    await lab.untilAll(["a", "b"], "established", 0);
    await sleep(1_000);
    const running = await hostState(lab.network, "a");
    expect(running).not.toEqual(untouched);

    const killedAt = Date.now();
    await lab.daemon("a").kill();
    await sleep(WITHOUT_DAEMON);
    await lab.daemon("a").restart();
    await untilEstablished();
    expect(await hostState(lab.network, "a")).toEqual(running);
    await sleep(1_000);

    const [tcp, udp] = [await flows[0]?.stop(), await flows[1]?.stop()];
    expect(tcp?.damage).toEqual([]);
    expect(udp?.damage).toEqual([]);
    expectLossesOfTheKill(udp?.losses ?? [], killedAt);
    for (const record of [tcp, udp]) {
      const longest = Math.max(0, ...(record?.gaps ?? []).map(({ from, to }) => to - from));
      expect(longest).toBeLessThan(WITHOUT_DAEMON - 1_000);
    }

    await lab.daemon("a").stop();
    expect(await hostState(lab.network, "a")).toEqual(untouched);
  });

  test("in the middle of a rewritten session leaves nothing behind after the next run", async () => {
    const untouched = await killWhileRewriting();
    await lab.daemon("a").restart();
    await lab.daemon("a").stop();
    expect(await hostState(lab.network, "a")).toEqual(untouched);
  });

  test("leaves nothing behind after a flush", async () => {
    const untouched = await killWhileRewriting();
    expect(await hostState(lab.network, "a")).not.toEqual(untouched);
    await lab.daemon("a").flush();
    expect(await hostState(lab.network, "a")).toEqual(untouched);
  });

  /** @returns the state of host a before it had a daemon */
  async function killWhileRewriting(): Promise<HostState> {
    lab = await ShimLab.open({ shims: ["b"] });
    const untouched = await hostState(lab.network, "a");
    await lab.startDaemon("a");
    const flow = await startUdp(lab.network, { ...A_TO_B, port: 5001 });
    await lab.untilAll(["a", "b"], "established", 0);
    const { at, heal } = await inject(lab.network, {
      ...{ kind: "address-deleted", host: "a", isp: "isp1" },
    });
    await lab.untilAll(["a", "b"], "recovered", at);
    await lab.daemon("a").kill();
    await flow.stop();
    await heal();
    return untouched;
  }

  /** Asked for and not awaited as an event: it may come before the new daemon can be heard. */
  async function untilEstablished(): Promise<void> {
    const established = async () =>
      (await lab.contexts("a")).some(({ state }) => state === "ESTABLISHED") || undefined;
    expect(await poll(established, { timeout: 30_000, interval: 100 })).toBe(true);
  }
});

/**
 * The kernel drops what waits in a queue whose reader dies: some milliseconds' worth, which TCP
 * sends again and datagrams don't get back. Nothing else may be missing.
 */
function expectLossesOfTheKill(losses: FlowRecord["losses"], killedAt: number): void {
  for (const { from, to, missing } of losses) {
    expect(from).toBeGreaterThan(killedAt - 100);
    expect(to).toBeLessThan(killedAt + WITHOUT_DAEMON);
    expect(missing).toBeLessThan(100);
  }
}
