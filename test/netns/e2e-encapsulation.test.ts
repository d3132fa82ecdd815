import { afterEach, describe, expect, test } from "vitest";
import { inject } from "../../src/lab/failure.ts";
import { addFilter } from "../../src/lab/filter.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { waitFor } from "../../src/lab/shell.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { A_TO_B, B_TO_A, ShimLab } from "./support/shim-lab.ts";

const ON = "encapsulation.enabled = true";

describe("between hosts whose ISPs drop protocol 140", () => {
  let lab: ShimLab;

  afterEach(async () => {
    await lab.close();
  });

  async function open(extraConfig: string): Promise<void> {
    lab = await ShimLab.open({ shims: [], firewall: true });
    for (const isp of ["isp1", "isp2"]) {
      const rules = ["meta l4proto 140 counter drop"];
      await addFilter(lab.network.namespace(isp), { table: "shimless", hook: "forward", rules });
    }
    await Promise.all(["a", "b"].map((host) => lab.startDaemon(host, extraConfig)));
  }

  async function startFlows() {
    const { network } = lab;
    return [
      await startTcp(network, { ...A_TO_B, port: 5001, rate: 500_000 }),
      await startUdp(network, { ...B_TO_A, port: 5003 }),
    ];
  }

  test("sessions fail over in UDP where both hosts take it", async () => {
    await open(ON);
    const flows = await startFlows();
    await lab.untilAgreed();
    const { at } = await inject(lab.network, {
      ...{ kind: "silent-loss", isp: "isp1", direction: "both" },
    });
    await lab.untilAll(["a", "b"], "recovered", at, PATIENCE);
    for (const flow of flows) await untilMoves(flow, 10_000);
    expect(await lab.context("a")).toMatchObject({ encapsulated: true, reapState: "Operational" });
    expect(await lab.context("b")).toMatchObject({ encapsulated: true, reapState: "Operational" });
    const records = await Promise.all(flows.map((flow) => flow.stop()));
    expect(records.map(({ damage }) => damage)).toEqual([[], []]);
  });

  test("they stay plain where the hosts don't", async () => {
    await open("");
    const flows = await startFlows();
    await waitFor(async () => (await lab.contexts("a"))[0], {
      timeout: PATIENCE,
      timeoutError: () => new Error("host a has not tried to establish a context"),
    });
    for (const flow of flows) await untilMoves(flow, 50_000);
    const contexts = [...(await lab.contexts("a")), ...(await lab.contexts("b"))];
    expect(contexts.filter(({ state }) => state === "ESTABLISHED")).toEqual([]);
  });
});
