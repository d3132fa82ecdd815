import { afterEach, describe, expect, test } from "vitest";
import { Application } from "../../src/lab/application.ts";
import { type CapturedMessage, MessageCapture } from "../../src/lab/capture.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp } from "../../src/lab/flows.ts";
import { poll } from "../../src/lab/shell.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { A_TO_B, A1, A2, B1, B2, ShimLab } from "./support/shim-lab.ts";

const PORT = 5001;
/** RFC 5533 sections 7.17 to 7.20. */
const RECOVERY = ["R1bis", "I2bis", "R2"];

describe("a session whose peer has forgotten it", () => {
  let lab: ShimLab;

  afterEach(async () => {
    await lab.close();
  });

  /** Both hosts leave the first path, which is dead from now on. */
  async function switchToSecondPath(): Promise<void> {
    const { at } = await inject(lab.network, {
      ...{ kind: "silent-loss", isp: "isp1", direction: "both" },
    });
    await lab.untilAll(["a", "b"], "recovered", at);
    expect(await lab.context("a")).toMatchObject({ localLocator: A2, peerLocator: B2 });
  }

  function recordAtA(): Promise<MessageCapture> {
    return MessageCapture.start(lab.network, "a", lab.lab.directory);
  }

  test("goes on intact in mid-transfer when the peer's daemon was killed and begins anew", async ({
    annotate,
  }) => {
    lab = await ShimLab.open({ shims: ["a", "b"] });
    const flow = await startTcp(lab.network, { ...A_TO_B, port: PORT, rate: 1e6 });
    await lab.untilAll(["a", "b"], "established", 0);
    await switchToSecondPath();
    await untilMoves(flow, 100_000);

    const recording = await recordAtA();
    await lab.daemon("b").kill();
    await lab.daemon("b").flush();
    await lab.daemon("b").restart();
    const restarted = Date.now();
    const { a, b } = await lab.untilAgreed();
    expect([a.localLocator, a.peerLocator]).toEqual([A2, B2]);
    expect([b.localLocator, b.peerLocator]).toEqual([B2, A2]);
    await untilMoves(flow, 1_000_000);
    const messages = await recording.stop();
    await annotate(`recovered ${recoveredAfter(messages, restarted)} ms after the restart`);
    expect(typesOf(messages)).toEqual(expect.arrayContaining(RECOVERY));
    expect((await flow.stop()).damage).toEqual([]);
  });

  for (const rewritten of [false, true]) {
    const mapping = rewritten ? "rewritten" : "null-mapped";
    test(`gets its datagrams through again when the peer was rebooted while ${mapping}`, async ({
      annotate,
    }) => {
      lab = await ShimLab.open({ shims: ["a", "b"] });
      const first = await startReceiver();
      const sender = await Application.start(lab.network, "a", "udp-send", {
        ...{ from: A1, to: B1, port: PORT },
      });
      await lab.untilAll(["a", "b"], "established", 0);
      if (rewritten) await switchToSecondPath();

      const recording = await recordAtA();
      await lab.network.cutPower("b");
      await first.collect(0);
      const { localLocator, peerLocator } = await lab.context("a");
      expect([localLocator, peerLocator]).toEqual(rewritten ? [A2, B2] : [A1, B1]);
      await lab.network.boot("b");
      // The machine's boot, by which a daemon knows that nothing goes on, is the lab's.
      await lab.daemon("b").flush();
      const receiver = await startReceiver();
      const restarted = Date.now();
      await lab.daemon("b").restart();
      await lab.untilAgreed();
      await untilReceives(receiver);
      const messages = await recording.stop();
      sender.finish();
      receiver.finish();
      const result = await receiver.collect(PATIENCE);
      if (result?.app !== "udp-receive") throw new Error(`no account: ${receiver.errorText}`);
      await annotate(
        `daemon started at 0 ms, recovered at ${recoveredAfter(messages, restarted)} ms, ` +
          `first datagram at ${(result.first ?? Number.NaN) - restarted} ms`,
      );
      // The socket's own address is the peer's ULID; this is ours as the peer's socket saw it.
      expect(result.peer).toBe(A1);
      expect(result).toMatchObject({ corrupt: 0, duplicates: 0 });
      expect(typesOf(messages)).toEqual(expect.arrayContaining(rewritten ? RECOVERY : ["R2"]));
    });
  }

  function startReceiver(): Promise<Application> {
    return Application.start(lab.network, "b", "udp-receive", { listen: B1, port: PORT });
  }
});

/** Waits until it has received for some intervals from now on. */
async function untilReceives(receiver: Application): Promise<void> {
  const samples = () => receiver.outputs.filter(({ type }) => type === "sample").length;
  const start = samples();
  const received = () => samples() >= start + 5 || undefined;
  expect(await poll(received, { timeout: PATIENCE })).toBe(true);
}

function typesOf(messages: readonly CapturedMessage[]): string[] {
  return messages.map(({ type }) => type);
}

/** ms from `since` to the R2 with which the peer has its context again. */
function recoveredAfter(messages: readonly CapturedMessage[], since: number): number {
  const time = messages.findLast(({ type }) => type === "R2")?.time ?? Number.NaN;
  return Math.round(time - since);
}
