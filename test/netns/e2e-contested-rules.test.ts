import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import type { StatusReply } from "../../src/daemon/api.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { LabProcess } from "../../src/lab/lab-process.ts";
import { poll, sleep } from "../../src/lab/shell.ts";
import { A_TO_B, A1, A2, B_TO_A, ShimLab } from "./support/shim-lab.ts";

/** Seconds of the fight. Issue 6 wants a minute: `L3SHIM_FIGHT_SECONDS=60`. */
const FIGHT_SECONDS = Number(process.env["L3SHIM_FIGHT_SECONDS"] ?? 8);

/** ms; the rules are away for moments, and TCP's retransmission timer may back off meanwhile. */
const LONGEST_STALL = 3_000;

/** Part of one processor, beside what packets take. */
const CPU_SHARE = 0.1;

/** What is of the shim, and the system's own rule to its main table too, once a second. */
const DELETER = [
  "while :; do ip -6 rule flush",
  "ip -6 route flush table 1399999",
  "for i in 1 2 3 4 5 6 7 8 9; do ip -6 route flush table 140000$i; done",
  "ip -6 address flush dev lo scope global",
  "sleep 1; done 2>/dev/null",
].join("\n");

let lab: ShimLab;

afterEach(async () => {
  await lab.close();
});

test("somebody who deletes all rules and routes every second stops no session, and heats nothing", async ({
  annotate,
}) => {
  lab = await ShimLab.open({ shims: ["a", "b"] });
  const flows = [
    await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 500_000 }),
    await startTcp(lab.network, { ...B_TO_A, port: 5002, rate: 500_000 }),
    await startUdp(lab.network, { ...A_TO_B, port: 5003 }),
  ];
  await lab.untilAll(["a", "b"], "established", 0);
  // Off the ULID's own uplink: now the data plane's rule and routes count, too.
  const { at } = await inject(lab.network, { kind: "carrier-lost", host: "a", isp: "isp1" });
  await lab.untilAll(["a", "b"], "recovered", at);
  expect(await status()).toMatchObject({ counters: { daemon: { repaired: 0 } } });

  const { pid } = await status();
  const calm = await cpuShare(pid, 2);
  const started = Date.now();
  const deleter = new LabProcess({
    namespace: lab.network.namespace("a"),
    argv: ["sh", "-c", DELETER],
  });
  lab.lab.defer(() => deleter.stop("SIGKILL"));
  const share = await cpuShare(pid, FIGHT_SECONDS);
  const { warnings, counters } = await status();
  await deleter.stop("SIGKILL");
  const repaired = counters.daemon["repaired"] ?? 0;
  const percents = [share, calm].map((part) => (100 * part).toFixed(1));
  await annotate(`${repaired} entries put back, ${percents.join(" %, before ")} % of a processor`);

  expect(repaired).toBeGreaterThan(2 * FIGHT_SECONDS);
  expect(warnings).toContainEqual({
    code: "rules-contested",
    severity: "warning",
    text: expect.stringContaining("ManageForeignRoutingPolicyRules=no"),
  });
  expect(share - calm).toBeLessThan(CPU_SHARE);
  expect(await lab.context("a")).toMatchObject({ localUlid: A1, localLocator: A2 });
  for (const flow of flows) {
    const moved = () => flow.bytesReceived(started) > 0 || undefined;
    expect(await poll(moved, { timeout: LONGEST_STALL })).toBe(true);
    const stalls = flow.gaps().filter(({ from }) => from > started);
    expect(Math.max(0, ...stalls.map(({ from, to }) => to - from))).toBeLessThan(LONGEST_STALL);
  }
  for (const flow of flows) expect((await flow.stop()).damage).toEqual([]);
});

async function status(): Promise<StatusReply> {
  return (await lab.daemon("a").get("/v1/status")) as StatusReply;
}

/** What the process takes of one processor in the next seconds. */
async function cpuShare(pid: number, seconds: number): Promise<number> {
  const [start, before] = [Date.now(), cpuSeconds(pid)];
  await sleep(seconds * 1_000);
  return (cpuSeconds(pid) - before) / ((Date.now() - start) / 1_000);
}

/** In user and kernel mode, of all threads (proc(5): fields 14 and 15, in 1/100 s). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
