/** Frames a second of the dashboard with many contexts, while it is scrolled and events arrive. */
import { parseArgs } from "node:util";
import { chromium, type Page } from "playwright-core";
import { PageServer } from "./page-server.ts";
import { describeMachine, REPORT_FILE, type Section, writeSection } from "./section.ts";

const SECTION: Section = {
  name: "page",
  heading: "The dashboard",
  command: "npm run bench:page -- --write",
};
const EVENTS_PER_SECOND = 50;
const LEAST_FRAMES = 58;

const { values } = parseArgs({
  options: {
    contexts: { type: "string", default: "10000" },
    seconds: { type: "string", default: "10" },
    write: { type: "boolean", default: false },
  },
});
const contexts = Number(values.contexts);
const seconds = Number(values.seconds);

/** What the browser drew in `seconds`. */
interface Frames {
  readonly perSecond: number;
  /** ms between two frames: of 99 in 100 at most, and of all. */
  readonly p99: number;
  readonly longest: number;
}

const server = await PageServer.listen(contexts);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  await page.goto(server.url);
  await page.locator(`[aria-setsize="${contexts}"]`).first().waitFor();
  const version = browser.version();
  const still = await framesOf(page, 0);
  const scrolled = await framesOf(page, 37);
  const timer = setInterval(() => server.makeEvent(), 1000 / EVENTS_PER_SECOND);
  const busy = await framesOf(page, 37);
  clearInterval(timer);
  const report = render(version, { still, scrolled, busy });
  process.stdout.write(`${report}\n`);
  if (values.write) await writeSection(REPORT_FILE, SECTION, report);
  if (busy.perSecond < LEAST_FRAMES) process.exitCode = 1;
} finally {
  await browser.close();
  await server.close();
}

/** @param step pixels that the list of contexts is scrolled by in each frame */
async function framesOf(page: Page, step: number): Promise<Frames> {
  const intervals = await page.evaluate<number[]>(`new Promise((resolve) => {
    const list = document.querySelector("[role=listbox]");
    const intervals = [];
    let last = performance.now();
    const end = last + ${seconds * 1000};
    const draw = (now) => {
      intervals.push(now - last);
      last = now;
      list.scrollTop += ${step};
      if (now < end) requestAnimationFrame(draw);
      else resolve(intervals.slice(1));
    };
    requestAnimationFrame(draw);
  })`);
  const sorted = intervals.toSorted((a, b) => a - b);
  const sum = intervals.reduce((total, interval) => total + interval, 0);
  return {
    perSecond: (1000 * intervals.length) / sum,
    p99: sorted[Math.floor(0.99 * sorted.length)] ?? 0,
    longest: sorted.at(-1) ?? 0,
  };
}

function render(
  version: string,
  { still, scrolled, busy }: Readonly<Record<"still" | "scrolled" | "busy", Frames>>,
): string {
  const row = (name: string, { perSecond, p99, longest }: Frames) =>
    `| ${name} | ${perSecond.toFixed(1)} | ${p99.toFixed(0)} ms | ${longest.toFixed(0)} ms |`;
  return [
    `${describeMachine()}, Chromium ${version} without a screen or a graphics card, ${seconds} s each, ` +
      `${contexts} contexts in the list. Chromium draws 60 frames a second at most.`,
    "",
    "| the page | frames/s | 99 of 100 come within | the longest |",
    "|---|---|---|---|",
    row("at rest", still),
    row("scrolled by 37 pixels a frame", scrolled),
    row(`the same, with ${EVENTS_PER_SECOND} events a second`, busy),
  ].join("\n");
}
