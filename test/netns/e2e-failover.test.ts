import { afterEach, describe, expect, test } from "vitest";
import { type Failure, inject } from "../../src/lab/failure.ts";
import type { Flow, FlowRecord } from "../../src/lab/flow.ts";
import { startTcp, startUdp, type TcpFlow } from "../../src/lab/flows.ts";
import { startPing } from "../../src/lab/ping.ts";
import { poll, sleep } from "../../src/lab/shell.ts";
import { untilMoves } from "./support/progress.ts";
import { A_TO_B, A1, B_TO_A, B1, SEND_TIMEOUT, ShimLab } from "./support/shim-lab.ts";

/** ms that a recovery may take on a busy machine: Send Timeout, exploration and TCP's timer. */
const LONGEST_OUTAGE = SEND_TIMEOUT * 1000 + 6_000;
const MEGABYTE = 1_000_000;

describe("sessions between hosts with stateful firewalls", () => {
  let lab: ShimLab;

  afterEach(async () => {
    await lab.close();
  });

  interface Traffic {
    readonly transfers: readonly (Flow & TcpFlow)[];
    readonly others: readonly Flow[];
  }

  /** A checked transfer each way, datagrams each way, and echo requests. */
  async function startTraffic(megabytes: number, rate: number): Promise<Traffic> {
    const { network } = lab;
    const size = { bytes: megabytes * MEGABYTE, rate: rate * MEGABYTE };
    return {
      transfers: await Promise.all([
        startTcp(network, { ...A_TO_B, port: 5001, ...size }),
        startTcp(network, { ...B_TO_A, port: 5002, bytes: size.bytes / 4, rate: size.rate / 4 }),
      ]),
      others: [
        await startUdp(network, { ...A_TO_B, port: 5003 }),
        await startUdp(network, { ...B_TO_A, port: 5004 }),
        startPing(network, A_TO_B),
      ],
    };
  }

  /** Breaks the path until both hosts have recovered and all traffic moves again, then heals. */
  async function survive(failure: Failure, { transfers, others }: Traffic): Promise<void> {
    const { at, heal } = await inject(lab.network, failure);
    await lab.untilAll(["a", "b"], "recovered", at);
    for (const flow of [...transfers, ...others]) await untilMoves(flow, 1);
    await sleep(1_000);
    await heal();
    await sleep(500);
  }

  async function finish({ transfers, others }: Traffic): Promise<FlowRecord[]> {
    const ended = () => transfers.every((flow) => flow.hasEnded()) || undefined;
    expect(await poll(ended, { timeout: 200_000 })).toBe(true);
    return Promise.all([...transfers, ...others].map((flow) => flow.stop()));
  }

  function expectIntact(records: readonly FlowRecord[]): void {
    for (const { kind, damage, gaps, lastArrival } of records) {
      expect({ kind, damage }).toEqual({ kind, damage: [] });
      expect(lastArrival).toBeDefined();
      const longest = Math.max(0, ...gaps.map(({ from, to }) => to - from));
      expect(longest).toBeGreaterThan(SEND_TIMEOUT * 1000 - 100);
      expect(longest).toBeLessThan(LONGEST_OUTAGE);
    }
  }

  test("200 MB survive the loss of the first path, then of the second", async () => {
    lab = await ShimLab.open({ shims: ["a", "b"], firewall: true });
    const traffic = await startTraffic(200, 10);
    await lab.untilAll(["a", "b"], "established", 0);
    await sleep(2_000);

    await survive({ kind: "silent-loss", isp: "isp1", direction: "both" }, traffic);
    expect((await lab.context("a")).localLocator).not.toBe(A1);
    await survive({ kind: "silent-loss", isp: "isp2", direction: "both" }, traffic);
    const context = await lab.context("a");
    expect(context).toMatchObject({ localLocator: A1, peerLocator: B1, reapState: "Operational" });

    const records = await finish(traffic);
    expect(records[0]?.bytes).toBe(200 * MEGABYTE);
    expectIntact(records);
  }, 300_000);

  for (const direction of ["to-host", "from-host"] as const) {
    test(`both directions survive when only packets ${direction} a are lost`, async () => {
      lab = await ShimLab.open({ shims: ["a", "b"], firewall: true });
      const traffic = await startTraffic(20, 2);
      await lab.untilAll(["a", "b"], "established", 0);
      await sleep(1_000);
      const { at } = await inject(lab.network, {
        ...{ kind: "silent-loss", isp: "isp1", host: "a", direction },
      });
      await lab.untilAll(["a", "b"], "recovered", at);
      const records = await finish(traffic);
      for (const { kind, damage, gaps } of records) {
        expect({ kind, damage }).toEqual({ kind, damage: [] });
        const longest = Math.max(0, ...gaps.map(({ from, to }) => to - from));
        expect(longest).toBeLessThan(LONGEST_OUTAGE);
      }
      const deaf = records.filter(({ to }) => (direction === "to-host" ? to === "a" : to === "b"));
      expect(deaf.length).toBeGreaterThan(0);
      for (const { gaps } of deaf) {
        expect(Math.max(...gaps.map(({ from, to }) => to - from))).toBeGreaterThan(1_500);
      }
    }, 300_000);
  }
});
