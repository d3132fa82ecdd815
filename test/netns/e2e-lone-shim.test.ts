import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { addFilter } from "../../src/lab/filter.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { poll, sleep } from "../../src/lab/shell.ts";
import { PATIENCE } from "./support/progress.ts";
import { A_TO_B, ShimLab } from "./support/shim-lab.ts";
import { tshark, WireCapture } from "./support/wire-capture.ts";

const I1 = "1";

// Both mostly wait: so they do it at the same time, each in a network of its own.
describe.concurrent("a peer without L3SHIM", () => {
  function captureAtA(lab: ShimLab): Promise<WireCapture> {
    return WireCapture.start(lab.network, "a", "isp1", join(lab.lab.directory, "a.pcap"));
  }

  async function messageTypes(recording: WireCapture): Promise<string[]> {
    // An ICMPv6 error quotes what it complains about.
    return (await tshark(recording.file, "shim6.p == 0 and not icmpv6", "shim6.type")).flat();
  }

  test("that says so gets one I1; the hold-down covers later sessions", async ({
    onTestFinished,
  }) => {
    const lab = await ShimLab.open({ shims: ["a"] });
    onTestFinished(() => lab.close());
    const recording = await captureAtA(lab);
    const first = await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 1e6, bytes: 4e6 });
    await lab.untilAll(["a"], "failed", 0);
    await sleep(2_000);
    const second = await startTcp(lab.network, { ...A_TO_B, port: 5002, rate: 1e6, bytes: 3e6 });
    const ended = () => (first.hasEnded() && second.hasEnded()) || undefined;
    expect(await poll(ended, { timeout: PATIENCE })).toBe(true);
    const records = [await first.stop(), await second.stop()];
    await recording.stop();

    expect(records.map(({ damage, bytes }) => ({ damage, bytes }))).toEqual([
      { damage: [], bytes: 4e6 },
      { damage: [], bytes: 3e6 },
    ]);
    for (const { gaps } of records) expectUndisturbed(gaps);
    expect(lab.daemon("a").events).toMatchObject([{ event: "failed", cause: "no-support" }]);
    expect(await messageTypes(recording)).toEqual([I1]);
  });

  test("that is silent gets 5 I1s at most; then the hold-down holds", async ({
    onTestFinished,
  }) => {
    const lab = await ShimLab.open({ shims: ["a"] });
    onTestFinished(() => lab.close());
    await addFilter(lab.network.namespace("b"), {
      ...{ table: "no_shim6", hook: "input", rules: ["meta l4proto 140 drop"] },
    });
    const recording = await captureAtA(lab);
    const started = Date.now();
    const flow = await startUdp(lab.network, { ...A_TO_B, port: 5001 });
    await lab.untilAll(["a"], "failed", 0, 195_000);
    const failedAfter = Date.now() - started;
    // Without the hold-down the next 50 datagrams would bring another I1.
    await sleep(5_000);
    const { damage, losses, gaps } = await flow.stop();
    await recording.stop();

    expect(damage).toEqual([]);
    expect(losses).toEqual([]);
    expectUndisturbed(gaps);
    expect(lab.daemon("a").events).toMatchObject([{ event: "failed", cause: "no-answer" }]);
    // RFC 5533 section 7.8: 4 s, doubling up to the fourth retransmission, times 0.5 to 1.5: at
    // most 186 s in all.
    expect(failedAfter).toBeGreaterThan(4 * 4_000);
    expect(await messageTypes(recording)).toEqual([I1, I1, I1, I1, I1]);
  }, 240_000);
});

/** No packet has waited for an answer of the peer's, the first of which has 4 s to come. */
function expectUndisturbed(gaps: readonly { from: number; to: number }[]): void {
  expect(Math.max(0, ...gaps.map(({ from, to }) => to - from))).toBeLessThan(3_000);
}
