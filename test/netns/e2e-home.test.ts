import { afterEach, expect, test } from "vitest";
import type { StatusReply } from "../../src/daemon/api.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp, startUdp } from "../../src/lab/flows.ts";
import { provenAddress } from "../../src/lab/proven-addresses.ts";
import { waitFor } from "../../src/lab/shell.ts";
import { HOME_TOPOLOGY } from "../../src/lab/topology.ts";
import { PATIENCE, untilMoves } from "./support/progress.ts";
import { ShimLab } from "./support/shim-lab.ts";

let lab: ShimLab;

afterEach(async () => {
  await lab.close();
});

test("with nothing configured uplinks are found; sessions outlive their prefix, and the peer is told", async () => {
  lab = await ShimLab.open({
    topology: HOME_TOPOLOGY,
    shims: ["a", "b"],
    security: "verified",
  });
  const [a, b] = await Promise.all([
    provenAddress(lab.daemon("a"), "isp1"),
    provenAddress(lab.daemon("b"), "isp3"),
  ]);
  const { uplinks } = (await lab.daemon("a").get("/v1/status")) as StatusReply;
  expect(uplinks).toMatchObject([
    { interface: "isp1", operational: true, gateway: expect.stringMatching(/^fe80::/) },
    { interface: "isp2", operational: true, gateway: expect.stringMatching(/^fe80::/) },
  ]);
  const flows = [
    await startTcp(lab.network, {
      ...{ from: "a", to: "b", source: a, destination: b, port: 5001, rate: 500_000 },
    }),
    await startUdp(lab.network, { from: "b", to: "a", source: b, destination: a, port: 5002 }),
  ];
  await lab.untilAll(["a", "b"], "established", 0);

  await inject(lab.network, { kind: "prefix-withdrawn", host: "a", isp: "isp1" });
  const moved = async () => {
    const [here, there] = [await lab.context("a"), await lab.context("b")];
    const told = there.peerLocators.find(({ address }) => address === a)?.preference;
    return (/^2001:db8:2:a:/.test(here.localLocator) && told === 255) || undefined;
  };
  await waitFor(moved, {
    timeout: PATIENCE,
    interval: 100,
    timeoutError: () => new Error("the session stayed, or the peer was not told"),
  });
  expect(await lab.context("a")).toMatchObject({ localUlid: a });
  for (const flow of flows) await untilMoves(flow, 10_000);
  for (const flow of flows) expect((await flow.stop()).damage).toEqual([]);
});
