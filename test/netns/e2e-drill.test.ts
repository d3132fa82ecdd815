import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DrillReport, StatusReply, SurveyReply } from "../../src/daemon/api.ts";
import type { Flow } from "../../src/lab/flow.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { LabProcess } from "../../src/lab/lab-process.ts";
import { poll, run, waitFor } from "../../src/lab/shell.ts";
import { hostState } from "./support/host-state.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { A_TO_B, A1, A2, B1, SEND_TIMEOUT, ShimLab } from "./support/shim-lab.ts";
import { tshark } from "./support/wire-capture.ts";

/** What tshark calls a right checksum. */
const GOOD = "1";
const L3SHIM = fileURLToPath(new URL("../../bin/l3shim", import.meta.url));

/** Octets of payload that are captured. */
const SNAP_LENGTH = 64;

describe("a drill", () => {
  let lab: ShimLab;
  let flows: Flow[];

  beforeAll(async () => {
    const extraConfig = "fail-back.hold = 1\nfail-back.max-hold = 1";
    lab = await ShimLab.open({ shims: ["a", "b"], extraConfig });
    flows = [
      await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 500_000 }),
      await startUdp(lab.network, { ...A_TO_B, port: 5002 }),
    ];
    await lab.untilAgreed();
  });

  afterAll(async () => {
    await lab.close();
  });

  test("reports the interruption of each session, and leaves no trace", async () => {
    const before = await hostState(lab.network, "a");
    const capture = await startCapture();
    const report = await drill("6s").ended();
    capture.signal("SIGINT");
    await capture.ended;
    const [flow, ...others] = report.flows;
    expect(others).toEqual([]);
    expect(flow).toMatchObject({
      outcome: "moved",
      from: { localLocator: A1, peerLocator: B1 },
      to: { localLocator: A2 },
    });
    expect(flow?.interruption).toBeGreaterThan(SEND_TIMEOUT / 2);
    expect(flow?.interruption).toBeLessThan(6);
    expect(flow?.detection).not.toBeNull();
    expect(flow?.exploration).not.toBeNull();
    await untilBack();
    expect(await hostState(lab.network, "a")).toEqual(before);
  });

  test("tshark finds comments and right checksums in what was captured of it", async () => {
    const rows = await tshark(
      file(),
      "shim6.type",
      "shim6.type",
      "shim6.checksum.status",
      "frame.comment",
    );
    expect(rows.length).toBeGreaterThan(3);
    expect(new Set(rows.map(([, status]) => status))).toEqual(new Set([GOOD]));
    expect(
      rows.every(([, , comment]) => /context [0-9a-f]{12}; .*cause: /.test(comment ?? "")),
    ).toBe(true);
    // Both hosts notice at about the same time. Whom the other's probe tells first is InboundOk at
    // once; the daemon's own events say which it was.
    const explored = lab.daemon("a").events.some(({ event }) => event === "exploring");
    const words = explored ? "-> Exploring" : "-> InboundOk";
    expect(rows.map(([, , comment]) => comment)).toContainEqual(expect.stringContaining(words));
    const infos = await run(["capinfos", file()]);
    expect(infos).toMatch(/Name = isp1$/m);
    expect(infos).toContain(`l3shim: control messages, and payload: ${SNAP_LENGTH} octets`);
    expect(infos).toContain(`; ${A1} > ${B1}; pair: ${A1} > ${B1}; state: Operational`);
  });

  test.each([
    ["plain before the switch", "not shim6", `pair: ${A1} > ${B1}; plain`],
    ["with its header after it", "shim6.p == 1", `pair: ${A2} > `],
  ])("tshark finds the beginning of payload in it, %s", async (_, form, words) => {
    const filter = `${form} and frame.comment contains "${words}"`;
    const rows = await tshark(file(), filter, "frame.comment", "frame.len", "frame.cap_len");
    for (const direction of ["out", "in"]) {
      const lengths = rows
        .filter(([comment]) => comment?.startsWith(`payload ${direction}; context `))
        .map(([, whole, captured]) => [Number(whole), Number(captured)] as const);
      expect(lengths.length).toBeGreaterThan(3);
      expect(lengths.every(([whole, captured]) => captured === Math.min(whole, SNAP_LENGTH))).toBe(
        true,
      );
      expect(lengths.some(([whole]) => whole > SNAP_LENGTH)).toBe(true);
    }
  });

  test("ends with Ctrl-C, and reports", async () => {
    const { process, ended } = await started(drill("120s"));
    process.signal("SIGINT");
    expect(await ended()).toMatchObject({ uplink: "isp1", endedBy: "command" });
    expect(await isOverSoon()).toBe(true);
  });

  test("ends with its command, killed", async () => {
    const { process } = await started(drill("120s"));
    process.signal("SIGKILL");
    await process.ended;
    expect(await isOverSoon()).toBe(true);
  });

  test("ends with a daemon that is killed, and does not go on with the next one", async () => {
    const { process } = await started(drill("120s"));
    await lab.daemon("a").kill();
    await process.ended;
    for (const flow of flows) await untilMoves(flow, 50_000);
    await lab.daemon("a").restart();
    expect(await isOverSoon()).toBe(true);
  });

  test("ends with a daemon that stops", async () => {
    const { process } = await started(drill("120s"));
    await lab.daemon("a").stop();
    await process.ended;
    for (const flow of flows) expect((await flow.stop()).damage).toEqual([]);
  });

  function file(): string {
    return join(lab.lab.directory, "shim.pcapng");
  }

  /** Once the daemon has begun to write. */
  async function startCapture(): Promise<LabProcess> {
    const process = new LabProcess({
      namespace: lab.network.namespace("a"),
      argv: [
        L3SHIM,
        "capture",
        "-w",
        file(),
        "--payload",
        `${SNAP_LENGTH}`,
        "--socket",
        lab.daemon("a").socket,
      ],
    });
    await waitFor(() => (existsSync(file()) && statSync(file()).size > 0) || undefined, {
      timeout: PATIENCE,
      timeoutError: () => process.failure("nothing is captured"),
    });
    return process;
  }

  function drill(span: string) {
    const lines: string[] = [];
    const argv = [L3SHIM, "drill", "isp1", "--for", span, "--json"];
    const process = new LabProcess({
      namespace: lab.network.namespace("a"),
      argv: [...argv, "--socket", lab.daemon("a").socket],
      onLine: (line) => lines.push(line),
    });
    const ended = async () => {
      await process.ended;
      const [line] = lines;
      if (line === undefined) throw process.failure("there is no report");
      return JSON.parse(line) as DrillReport;
    };
    return { process, ended };
  }

  async function started<Value>(value: Value): Promise<Value> {
    await waitFor(async () => (await isDrilling()) || undefined, {
      timeout: PATIENCE,
      timeoutError: () => new Error("the drill did not start"),
    });
    return value;
  }

  async function isDrilling(): Promise<boolean> {
    const { warnings } = (await lab.daemon("a").get("/v1/status")) as StatusReply;
    return warnings.some(({ code }) => code === "drill");
  }

  /** No warning of it, and control messages pass on all pairs, both ways. */
  async function isOverSoon(): Promise<boolean> {
    const isOver = async () => !(await isDrilling()) && (await allPass());
    return (await poll(async () => (await isOver()) || undefined, { timeout: PATIENCE })) ?? false;
  }

  async function allPass(): Promise<boolean> {
    const wish = { peer: B1, rounds: 1, echoes: false };
    const { survey } = (await lab.daemon("a").post("/v1/survey", wish)) as SurveyReply;
    return survey.pairs.every(({ there, back }) => there === true && back === true);
  }

  async function untilBack(): Promise<void> {
    await waitFor(
      async () => {
        const hosts = [await lab.context("a"), await lab.context("b")];
        const isBack = hosts.every(({ localLocator }) => [A1, B1].includes(localLocator as never));
        return isBack || undefined;
      },
      { timeout: PATIENCE, timeoutError: () => new Error("the session did not come back") },
    );
  }
});
