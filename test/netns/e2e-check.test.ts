import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Finding } from "../../src/daemon/api.ts";
import { addFilter, removeFilter } from "../../src/lab/filter.ts";
import { inNamespace, run, tryRun } from "../../src/lab/shell.ts";
import { literal } from "../../src/lab/topology.ts";
import { A1, A2, B1, B2, ShimLab } from "./support/shim-lab.ts";

const L3SHIM = fileURLToPath(new URL("../../bin/l3shim", import.meta.url));
const C = literal("2001:db8:2:c::1");
const PROBLEMS_FOUND = 4;
/** All paths that ISP 2 has a part in. */
const BY_ISP2 = [`${A1} > ${B2}`, `${A2} > ${B1}`, `${A2} > ${B2}`];
const SOURCE_ROUTING_OFF = ["priority", "100", "from", "all", "lookup", "main"];

/** Hosts a and b run daemons; c has one uplink and no daemon. */
describe("l3shim check names the cause", () => {
  let lab: ShimLab;

  beforeAll(async () => {
    lab = await ShimLab.open({ shims: ["a", "b"] });
  });

  afterAll(async () => {
    await lab.close();
  });

  /** @returns the exit status, and what is a problem as "ID SUBJECT" */
  async function check(host: string, args: readonly string[], launcher: readonly string[] = []) {
    const argv = [...launcher, L3SHIM, "check", ...args, "--json"];
    const { code, stdout, stderr } = await tryRun(inNamespace(lab.network.namespace(host), argv));
    expect(stderr).toBe("");
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    const problems = findings.filter(({ severity }) => severity !== "info");
    return { code, problems: problems.map(({ id, subject }) => `${id} ${subject}`) };
  }

  function checkFromA(...peer: string[]) {
    return check("a", [...peer, "--socket", lab.daemon("a").socket]);
  }

  /** Without a daemon: as it would be started by whom `launcher` makes of root. */
  function checkAlone(host: string, launcher: readonly string[] = []) {
    return check(host, ["--socket", "/nonexistent/l3shim.sock"], launcher);
  }

  test("none where nothing is wrong", async () => {
    expect(await checkFromA(B1)).toEqual({ code: 0, problems: [] });
  });

  test("no second uplink", async () => {
    expect(await checkAlone("c")).toEqual({
      code: PROBLEMS_FOUND,
      problems: ["single-uplink isp2"],
    });
  });

  test("no capability", async () => {
    const launcher = ["setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-all"];
    expect(await checkAlone("a", launcher)).toEqual({
      code: PROBLEMS_FOUND,
      problems: ["missing-capability CAP_NET_ADMIN", "missing-capability CAP_NET_RAW"],
    });
  });

  test("source routing that another rule takes away, with the peer, too", async () => {
    const host = lab.network.namespace("a");
    await run(inNamespace(host, ["ip", "-6", "rule", "add", ...SOURCE_ROUTING_OFF]));
    try {
      const expected = { code: PROBLEMS_FOUND, problems: [`no-source-routing ${A2}`] };
      expect(await checkFromA(B1)).toEqual(expected);
    } finally {
      await run(inNamespace(host, ["ip", "-6", "rule", "del", ...SOURCE_ROUTING_OFF]));
    }
  });

  /** Checks the paths while ISP 2's router does this to what it forwards. */
  async function checkBehind(rule: string) {
    const isp = lab.network.namespace("isp2");
    await addFilter(isp, { table: "broken", hook: "forward", rules: [rule] });
    try {
      return await checkFromA(B1);
    } finally {
      await removeFilter(isp, "broken");
    }
  }

  test("a path that loses long packets in silence", async () => {
    expect(await checkBehind("ip6 length > 1300 drop")).toEqual({
      code: PROBLEMS_FOUND,
      problems: BY_ISP2.map((pair) => `mtu-black-hole ${pair}`),
    });
  });

  test("an ISP that drops protocol 140; the session stays, and its pairs are marked", async () => {
    expect(await checkBehind("meta l4proto 140 drop")).toEqual({
      code: PROBLEMS_FOUND,
      problems: BY_ISP2.map((pair) => `protocol-140-dropped ${pair}`),
    });
    const context = await lab.context("a");
    expect(context).toMatchObject({ localLocator: A1, peerLocator: B1, switches: 0 });
    const pairs = context.survey?.pairs.map(({ there, back, echo }) => [
      there === true && back === true,
      echo?.answered,
    ]);
    expect(pairs).toEqual([
      [true, true],
      [false, true],
      [false, true],
      [false, true],
    ]);
  });

  test("a peer without L3SHIM", async () => {
    expect(await checkFromA(C)).toEqual({
      code: PROBLEMS_FOUND,
      problems: [`peer-without-shim ${C}`],
    });
  });
});
