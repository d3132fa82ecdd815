import { afterEach, describe, expect, test } from "vitest";
import type { ContextStatus } from "../../src/daemon/api.ts";
import { MessageCapture } from "../../src/lab/capture.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { inNamespace, poll, run } from "../../src/lab/shell.ts";
import { literal } from "../../src/lab/topology.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { A_TO_B, A1, A2, B_TO_A, ShimLab } from "./support/shim-lab.ts";

/** A second address from A's second ISP. */
const A3 = literal("2001:db8:2:a::3");

describe("a session whose host gets and loses addresses", () => {
  let lab: ShimLab;

  afterEach(async () => {
    await lab.close();
  });

  async function changeAddress(change: "add" | "del", address: string): Promise<void> {
    const command = ["ip", "-6", "address", change, `${address}/64`, "dev", "isp2"];
    const options = change === "add" ? ["nodad"] : [];
    await run(inNamespace(lab.network.namespace("a"), [...command, ...options]));
  }

  /** Waits until both daemons show these as the operational locators of A. */
  async function untilBothKnow(...locators: string[]): Promise<void> {
    const wanted = locators.toSorted().join();
    const known = async () => {
      const [a, b] = await Promise.all([lab.context("a"), lab.context("b")]);
      return offered(a) === wanted && peers(b) === wanted ? true : undefined;
    };
    const agreed = await poll(known, { timeout: PATIENCE, interval: 200 });
    const [a, b] = [await lab.context("a"), await lab.context("b")];
    expect({ agreed, a: offered(a), b: peers(b) }).toEqual({ agreed: true, a: wanted, b: wanted });
  }

  test("tells the peer of them, and moves to the new one when the current one goes", async () => {
    lab = await ShimLab.open({ shims: ["a", "b"] });
    const flows = [
      await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 500_000 }),
      await startUdp(lab.network, { ...B_TO_A, port: 5002 }),
    ];
    await lab.untilAll(["a", "b"], "established", 0);
    await untilBothKnow(A1, A2);
    const recording = await MessageCapture.start(lab.network, "a", lab.lab.directory);

    await changeAddress("add", A3);
    await untilBothKnow(A1, A2, A3);
    await changeAddress("del", A2);
    await untilBothKnow(A1, A3);
    expect(await lab.context("a")).toMatchObject({ localLocator: A1, switches: 0 });

    const { at } = await inject(lab.network, { kind: "address-deleted", host: "a", isp: "isp1" });
    await lab.untilAll(["a", "b"], "recovered", at);
    await untilBothKnow(A3);
    expect(await lab.context("a")).toMatchObject({ localLocator: A3, localUlid: A1 });
    expect(await lab.context("b")).toMatchObject({ peerLocator: A3, peerUlid: A1 });
    for (const flow of flows) await untilMoves(flow, 10_000);

    const messages = await recording.stop();
    const updates = messages.filter(({ type }) => /^Update/.test(type));
    expect(updates.map(({ type, direction }) => `${type} ${direction}`)).toEqual(
      expect.arrayContaining(["UpdateRequest sent", "UpdateAcknowledgement received"]),
    );
    for (const flow of flows) expect((await flow.stop()).damage).toEqual([]);
  });
});

function offered({ localLocators }: ContextStatus): string {
  const usable = localLocators.filter(({ operational }) => operational);
  return usable
    .map(({ address }) => address)
    .toSorted()
    .join();
}

function peers({ peerLocators }: ContextStatus): string {
  const usable = peerLocators.filter(({ broken }) => !broken);
  return usable
    .map(({ address }) => address)
    .toSorted()
    .join();
}
