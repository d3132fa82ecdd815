import { afterEach, describe, expect, test } from "vitest";
import { inject } from "../../src/lab/failure.ts";
import type { FlowRecord } from "../../src/lab/flow.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { inNamespace, poll, run, sleep } from "../../src/lab/shell.ts";
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
    const untouched = await hostState();
    await lab.startDaemon("a");
    const flows = [
      await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 2e6 }),
      await startUdp(lab.network, { ...A_TO_B, port: 5002 }),
    ];
    await lab.untilAll(["a", "b"], "established", 0);
    await sleep(1_000);
    const running = await hostState();
    expect(running).not.toEqual(untouched);

    const killedAt = Date.now();
    await lab.daemon("a").kill();
    await sleep(WITHOUT_DAEMON);
    await lab.daemon("a").restart();
    await untilEstablished();
    expect(await hostState()).toEqual(running);
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
    expect(await hostState()).toEqual(untouched);
  });

  test("in the middle of a rewritten session leaves nothing behind after the next run", async () => {
    const untouched = await killWhileRewriting();
    await lab.daemon("a").restart();
    await lab.daemon("a").stop();
    expect(await hostState()).toEqual(untouched);
  });

  test("leaves nothing behind after a flush, and a handover that cannot be is a stop", async () => {
    const untouched = await killWhileRewriting();
    expect(await hostState()).not.toEqual(untouched);
    await lab.daemon("a").flush();
    expect(await hostState()).toEqual(untouched);
    await lab.daemon("a").restart();
    await expect(lab.daemon("a").flush()).rejects.toThrow("a daemon listens on the control socket");
    await lab.daemon("a").handOver();
    expect(await hostState()).toEqual(untouched);
  });

  /** @returns the state of host a before it had a daemon */
  async function killWhileRewriting(): Promise<Record<string, string[]>> {
    lab = await ShimLab.open({ shims: ["b"] });
    const untouched = await hostState();
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

  /** All that a daemon may put into host a's kernel, without counters and process ids. */
  async function hostState(): Promise<Record<string, string[]>> {
    const lines = async (command: string) => {
      const argv = inNamespace(lab.network.namespace("a"), command.split(" "));
      return (await run(argv)).split("\n").map((line) => line.trim());
    };
    return {
      rules: await lines("ip -6 rule show"),
      routes: await lines("ip -6 route show table all"),
      addresses: await lines("ip -6 -o addr show"),
      // Terse: what the set of busy pairs holds is traffic, not state.
      nftables: rulesOf(await lines("nft --stateless --terse list ruleset")),
      legacy: await lines("ip6tables-legacy-save"),
      queues: (await lines("cat /proc/net/netfilter/nfnetlink_queue")).map(
        (line) => line.split(/\s+/)[0] ?? "",
      ),
      links: await lines("ip -o link show"),
    };
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

/**
 * Each rule with its table and chain. ip6tables leaves its empty tables behind, and a chain's
 * place in the listing says nothing.
 */
function rulesOf(ruleset: readonly string[]): string[] {
  let table = "";
  let chain = "";
  const rules: string[] = [];
  for (const line of ruleset) {
    if (line.startsWith("table ")) table = line;
    else if (line.startsWith("chain ")) chain = line;
    else if (line !== "" && line !== "}" && !line.startsWith("type ")) {
      rules.push(`${table} ${chain} ${line}`);
    }
  }
  return rules.toSorted();
}
