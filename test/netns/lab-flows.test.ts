import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inject } from "../../src/lab/failure.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { Network } from "../../src/lab/network.ts";
import { startPing } from "../../src/lab/ping.ts";
import { poll, sleep } from "../../src/lab/shell.ts";
import { literal, PAPER_TOPOLOGY } from "../../src/lab/topology.ts";
import { startVideo } from "../../src/lab/video.ts";

const A_TO_B = {
  from: "a",
  to: "b",
  source: literal("2001:db8:1:a::1"),
  destination: literal("2001:db8:1:b::1"),
};

/** ms that a busy machine may add. */
const BUSY = 500;

describe("applications that measure themselves, on plain IPv6", () => {
  let network: Network;

  beforeAll(async () => {
    network = await Network.create(PAPER_TOPOLOGY);
  });

  afterAll(async () => {
    await network.destroy();
  });

  /** Between which times (Unix time in ms) the path may have been dead, at the widest. */
  async function interrupt(milliseconds: number): Promise<{ from: number; to: number }> {
    const { at, heal } = await inject(network, {
      ...{ kind: "silent-loss", isp: "isp1", direction: "both" },
    });
    await sleep(milliseconds);
    await heal();
    return { from: at, to: Date.now() };
  }

  test("a TCP transfer ends by itself, whole, at about its rate", async () => {
    const started = Date.now();
    const flow = await startTcp(network, { ...A_TO_B, port: 5001, rate: 1e6, bytes: 2e6 });
    expect(await poll(() => flow.hasEnded() || undefined, { timeout: 20_000 })).toBe(true);
    expect(Date.now() - started).toBeGreaterThan(1_900);
    expect(await flow.stop()).toMatchObject({ damage: [], bytes: 2e6, peer: A_TO_B.source });
  });

  test("a TCP transfer that is cut off is damaged", async () => {
    const flow = await startTcp(network, { ...A_TO_B, port: 5002, rate: 1e6, patience: 3_000 });
    const { heal } = await inject(network, { kind: "link-down", host: "b", isp: "isp1" });
    const record = await flow.stop();
    await heal();
    expect(record.damage).toHaveLength(1);
  });

  test("datagrams come at 1 kHz; an outage is one loss and one silence of its length", async () => {
    const flow = await startUdp(network, { ...A_TO_B, port: 5003 });
    await sleep(1_000);
    const outage = await interrupt(1_000);
    await sleep(1_000);
    const longest = outage.to - outage.from + BUSY;
    const { gaps, losses, bytes, damage } = await flow.stop();
    expect(damage).toEqual([]);
    expect(bytes / 160).toBeGreaterThan(1_500);
    const silence = gaps.find(({ from, to }) => to > outage.from && to - from > 900);
    expect((silence?.to ?? 0) - (silence?.from ?? 0)).toBeLessThan(longest);
    const missing = losses.reduce((sum, loss) => sum + loss.missing, 0);
    expect(missing).toBeGreaterThan(900);
    expect(missing).toBeLessThan(longest);
  });

  test("a video stream arrives with pictures; an outage shows in its counters", async () => {
    const flow = await startVideo(network, { ...A_TO_B, port: 5004, directory: tmpdir() });
    await poll(() => flow.bytesReceived() > 200_000 || undefined, { timeout: 20_000 });
    await interrupt(700);
    await sleep(2_000);
    const { damage, summary, losses } = await flow.stop();
    expect(damage).toEqual([]);
    expect(losses.length).toBeGreaterThan(0);
    expect(summary).toMatch(/^\d+ MPEG-TS packets, [1-9]\d* counter jumps, [1-9]\d* pictures/);
  });

  test("ping counts what was not answered", async () => {
    const flow = startPing(network, A_TO_B);
    await sleep(1_000);
    await interrupt(1_000);
    await sleep(1_000);
    const { summary, gaps } = await flow.stop();
    expect(summary).not.toMatch(/ 0% packet loss/);
    expect(Math.max(...gaps.map(({ from, to }) => to - from))).toBeGreaterThan(900);
  });
});
