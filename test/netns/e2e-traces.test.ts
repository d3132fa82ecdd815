import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReplayReply } from "../../src/cli/replay.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp } from "../../src/lab/flows.ts";
import { run } from "../../src/lab/shell.ts";
import { metricsOf, Prometheus } from "./support/prometheus.ts";
import { A_TO_B, SEND_TIMEOUT, ShimLab } from "./support/shim-lab.ts";

const L3SHIM = fileURLToPath(new URL("../../bin/l3shim", import.meta.url));

describe("what a failover leaves behind", () => {
  let lab: ShimLab;
  let prometheus: Prometheus;

  beforeAll(async () => {
    lab = await ShimLab.open({ shims: [] });
    await Promise.all(
      ["a", "b"].map((host) => lab.startDaemon(host, `record.file = "${traceOf(host)}"`)),
    );
    const sockets = { a: lab.daemon("a").socket, b: lab.daemon("b").socket };
    prometheus = await Prometheus.start(join(lab.lab.directory, "prometheus"), sockets);
    lab.lab.defer(() => prometheus.stop());
    await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 500_000 });
    await lab.untilAgreed();
  });

  afterAll(async () => {
    await lab.close();
  });

  function traceOf(host: string): string {
    return join(lab.lab.directory, `${host}.trace`);
  }

  test("promtool takes the metrics while a path is looked for and once it is found", async () => {
    const isp1 = { kind: "silent-loss", isp: "isp1", direction: "both" } as const;
    const { at, heal } = await inject(lab.network, isp1);
    await Promise.any(["a", "b"].map((host) => lab.untilAll([host], "exploring", at)));
    await check();
    await lab.untilAll(["a", "b"], "recovered", at);
    await check();
    await heal();

    async function check(): Promise<void> {
      for (const host of ["a", "b"]) {
        const { socket } = lab.daemon(host);
        expect(await run(["promtool", "check", "metrics"], await metricsOf(socket))).toBe("");
      }
    }
  });

  test("Prometheus has the switches of both hosts", async () => {
    const moved = await prometheus.untilValues(
      "sum by (instance) (l3shim_switches_total)",
      ({ a = 0, b = 0 }) => a > 0 && b > 0,
    );
    expect(Object.keys(moved).toSorted()).toEqual(["a", "b"]);
  });

  test("Prometheus warns of the host whose cables are pulled, and of no other", async () => {
    const first = await inject(lab.network, { kind: "carrier-lost", host: "a", isp: "isp1" });
    const second = await inject(lab.network, { kind: "carrier-lost", host: "a", isp: "isp2" });
    const alerts = await prometheus.untilAlerts((all) => {
      return all.some(({ labels, state }) => {
        return labels["alertname"] === "L3shimNoUplink" && state === "firing";
      });
    });
    const named = alerts.map(({ labels }) => `${labels["alertname"]} ${labels["instance"]}`);
    expect(named).toContain("L3shimUplinkDown a");
    expect(named.filter((name) => name.endsWith(" b") && name.includes("Uplink"))).toEqual([]);
    await second.heal();
    await first.heal();
    await prometheus.untilAlerts((all) => {
      return all.every(({ labels }) => labels["alertname"] !== "L3shimNoUplink");
    });
  });

  test("the daemons' traces go the same way again, and another Send Timeout makes a difference", async () => {
    const replies: ReplayReply[] = [];
    for (const host of ["a", "b"]) {
      await lab.daemon(host).stop();
      const longer = `send-timeout=${3 * SEND_TIMEOUT}s`;
      const argv = [L3SHIM, "replay", traceOf(host), "--set", longer, "--json"];
      replies.push(JSON.parse(await run(argv)) as ReplayReply);
    }
    for (const reply of replies) {
      expect(reply).toMatchObject({ same: true, end: "stopped" });
      expect(reply.events.map(({ event }) => event)).toContain("recovered");
    }
    // Of the silent loss, which came first: at least one end noticed by itself that nothing came any
    // more. Where b did so of a's cables, too, its outage lasted until they were back.
    const modelled = replies
      .flatMap(({ outages }) => outages.slice(0, 1))
      .filter(({ cause }) => cause === "send-timeout");
    expect(modelled.length).toBeGreaterThan(0);
    for (const { asRecorded, changed } of modelled) {
      const longer = (changed?.median ?? 0) - (asRecorded?.median ?? 0);
      expect(longer).toBeGreaterThan(SEND_TIMEOUT);
      expect(longer).toBeLessThan(3 * SEND_TIMEOUT);
    }
  });
});
