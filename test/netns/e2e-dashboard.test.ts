import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HostsServer } from "../../src/daemon/web/hosts-server.ts";
import { inject } from "../../src/lab/failure.ts";
import { startTcp } from "../../src/lab/flows.ts";
import { A_TO_B, A1, A2, B_TO_A, B1, B2, ShimLab } from "./support/shim-lab.ts";

/** ms from an event to its place on the page. */
const PROMPTNESS = 1_000;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Notes when each title of the timeline first stood there, in ms since 1970. */
const WATCH = `
  window.seen = {};
  setInterval(() => {
    for (const title of document.querySelectorAll(".entry .title")) {
      window.seen[title.textContent.slice(2)] ??= Date.now();
    }
    for (const chip of document.querySelectorAll(".detail .chip")) {
      window.seen[chip.textContent.slice(2)] ??= Date.now();
    }
  }, 10);
`;

let lab: ShimLab;
let server: HostsServer;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  [lab, server, browser] = await Promise.all([
    ShimLab.open({ shims: ["a", "b"] }),
    HostsServer.listen(0),
    chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] }),
  ]);
  server.show(new Map(["a", "b"].map((host) => [host, lab.daemon(host).socket])));
  await startTcp(lab.network, { ...A_TO_B, port: 5001, rate: 200_000 });
  await startTcp(lab.network, { ...B_TO_A, port: 5002, rate: 200_000 });
  await lab.untilAgreed();
  page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  await page.goto(`${server.url}a/`);
  await page.locator(".detail .chip").filter({ hasText: "Operational" }).waitFor();
  await page.locator(".entry").filter({ hasText: "Established" }).first().waitFor();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  await lab?.close();
});

test("a failure, its exploration and the switch are on the page within a second of each", async () => {
  await page.evaluate(WATCH);
  const { at } = await inject(lab.network, { kind: "silent-loss", isp: "isp1", direction: "both" });
  await lab.untilAll(["a", "b"], "recovered", at);
  await page.locator(".entry").filter({ hasText: "Recovered" }).first().waitFor();
  const seen = await page.evaluate<Record<string, number>>("window.seen");
  const { events } = lab.daemon("a");
  const first = (...names: string[]) => {
    const found = events.find((entry) => names.includes(entry.event) && entry.time >= at);
    if (found === undefined) throw new Error(`no event ${names.join(" or ")} at host a`);
    return found;
  };
  // Both hosts wait for answers: either may be the first that misses them.
  const failure = first("exploring", "inboundok");
  const title = failure.event === "exploring" ? "Path failed" : "Peer explores";
  const delays = {
    failure: Number(seen[title]) - failure.time,
    switch: Number(seen["Switched"]) - first("switched").time,
    recovery: Number(seen["Recovered"]) - first("recovered").time,
  };
  const late = Object.entries(delays).filter(([, delay]) => !(delay < PROMPTNESS));
  expect(late).toEqual([]);
});

test("the matrix is right afterwards", async () => {
  const cell = (local: string, peer: string) =>
    page
      .locator(".matrix tbody tr")
      .filter({ has: page.locator("th", { hasText: local }) })
      .locator("td")
      .nth(peer === B1 ? 0 : 1);
  await cell(A2, B2).filter({ hasText: "in use" }).waitFor();
  expect(await cell(A2, B2).locator(".direction").allInnerTexts()).toEqual([
    expect.stringContaining("confirmed"),
    expect.stringContaining("confirmed"),
  ]);
  // It may be probed at this moment: better pairs are, now and then.
  expect(await cell(A1, B1).locator(".direction").allInnerTexts()).toEqual([
    expect.stringMatching(/dead|probing/),
    expect.stringContaining("dead"),
  ]);
});

test("the other host is one step away, and shows the same session from its side", async () => {
  await page.getByRole("navigation", { name: "Host" }).getByRole("link", { name: "b" }).click();
  await page.getByRole("heading", { name: `${B1} → ${A1}` }).waitFor();
  expect(new URL(page.url()).pathname).toBe("/b/");
});

test("a command is given by the keyboard", async () => {
  await page.goto(`${server.url}a/`);
  const explore = page.getByRole("button", { name: "Explore now" });
  await explore.focus();
  await page.keyboard.press("Enter");
  await page.locator(".answer").filter({ hasText: /\S/ }).waitFor();
  expect(await page.locator(".answer").textContent()).toBe("Exploring.");
});

test.each([
  ["light", 1440],
  ["dark", 1440],
  ["light", 375],
  ["dark", 375],
] as const)("axe finds nothing serious: %s, %d pixels wide", async (colorScheme, width) => {
  // On the way from one scheme's colours to the other's the contrast is neither's.
  await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
  await page.setViewportSize({ width, height: 900 });
  await page.locator(".matrix").waitFor();
  // The policy of the page lets no script in that another one adds: so this is evaluated.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<{
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  }>("axe.run()");
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  expect(serious.map(({ id, nodes }) => [id, nodes[0]?.html, nodes[0]?.failureSummary])).toEqual(
    [],
  );
  const overflow = await page.evaluate<number>(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
  expect(overflow).toBe(0);
});
