import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { HostsServer } from "../src/daemon/web/hosts-server.ts";
import { inject } from "../src/lab/failure.ts";
import { startTcp, startUdp } from "../src/lab/flows.ts";
import { type Lab, withLab } from "../src/lab/lab.ts";
import { sleep, waitFor } from "../src/lab/shell.ts";
import { ShimDaemon } from "../src/lab/shim-daemon.ts";
import { PAPER_TOPOLOGY, uplinkSpec } from "../src/lab/topology.ts";

/**
 * `npm run screenshots`: pictures of the dashboard for the docs, from the lab: host a talks to b
 * and c, and its first ISP loses everything in silence.
 */

const TARGET = fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));

const SIZES = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844 },
} as const;

/** ms: what the charts show before and after the failure. */
const STEADY = 20_000;

await withLab(PAPER_TOPOLOGY, async (lab) => {
  const server = await HostsServer.listen(0);
  lab.defer(() => server.close());
  const daemons = await startDaemons(lab);
  server.show(new Map(daemons.map(({ host, socket }) => [host, socket])));
  await startFlows(lab);
  await sleep(STEADY);
  const { at } = await inject(lab.network, { kind: "silent-loss", isp: "isp1", direction: "both" });
  await untilRecovered(daemons, at);
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  lab.defer(() => browser.close());
  await takeAll(browser, `${server.url}a/`);
});

async function startDaemons(lab: Lab): Promise<ShimDaemon[]> {
  const { directory, network } = lab;
  const options = { directory, sendTimeout: 10, detect: "adaptive" } as const;
  const names = PAPER_TOPOLOGY.hosts.map(({ name }) => name);
  const daemons = await Promise.all(names.map((host) => ShimDaemon.start(network, host, options)));
  for (const daemon of daemons) lab.defer(() => daemon.stop());
  return daemons;
}

async function startFlows({ network }: Lab): Promise<void> {
  const on = (host: string, isp: string) => uplinkSpec(network.host(host), isp).address;
  const toB = { from: "a", to: "b", source: on("a", "isp1"), destination: on("b", "isp1") };
  const toC = { from: "a", to: "c", source: on("a", "isp2"), destination: on("c", "isp2") };
  await startTcp(network, { ...toB, port: 5001, rate: 400_000 });
  await startUdp(network, { ...toB, port: 5002 });
  await startTcp(network, { ...toC, port: 5003, rate: 150_000 });
}

async function untilRecovered(daemons: readonly ShimDaemon[], since: number): Promise<void> {
  const hasRecovered = ({ events }: ShimDaemon) =>
    events.some(({ event, time }) => event === "recovered" && time >= since);
  await waitFor(() => daemons.slice(0, 2).every(hasRecovered) || undefined, {
    timeout: 60_000,
    interval: 100,
    timeoutError: () => new Error("the sessions have not moved"),
  });
}

async function takeAll(browser: Browser, url: string): Promise<void> {
  await mkdir(TARGET, { recursive: true });
  const open = Object.entries(SIZES).flatMap(([name, viewport]) =>
    (["light", "dark"] as const).map(async (colorScheme) => {
      const page = await browser.newPage({ viewport, colorScheme });
      await page.goto(url);
      return { page, path: `${TARGET}${name}-${colorScheme}.png`, fullPage: name === "phone" };
    }),
  );
  const pages = await Promise.all(open);
  await sleep(STEADY);
  for (const { page, path, fullPage } of pages) await page.screenshot({ path, fullPage });
}
