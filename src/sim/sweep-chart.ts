import type { SweepCell } from "./sweep.ts";

/** In SVG's units. */
const PANEL = { width: 300, height: 260, left: 56, top: 40, gap: 36 };
const FONT = 'font-family="sans-serif" font-size="12"';
/** One for each loss, in order; told apart without colour vision too. */
const COLOURS = ["#0072b2", "#e69f00", "#cc3311", "#009e73"] as const;

/**
 * Plots the sweep: a panel for each number of pairs, a line for each loss. Times stand on a
 * logarithmic scale from 1 s, for maxima with loss are a hundred times the medians.
 */
export function chartSweep(cells: readonly SweepCell[]): string {
  const panels = distinct(cells.map(({ locators }) => locators));
  const losses = distinct(cells.map(({ loss }) => loss));
  const width = PANEL.left + panels.length * (PANEL.width + PANEL.gap);
  const height = PANEL.top + PANEL.height + 78;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ${FONT}>`,
    "<title>Recovery time over Send Timeout</title>",
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...panels.map((locators, i) =>
      drawPanel(
        cells.filter((cell) => cell.locators === locators),
        losses,
        PANEL.left + i * (PANEL.width + PANEL.gap),
      ),
    ),
    drawLegend(losses, PANEL.top + PANEL.height + 62),
    "</svg>\n",
  ].join("\n");
}

/** Where a value stands on the page. */
interface Scales {
  readonly x: (sendTimeout: number) => number;
  readonly y: (seconds: number) => number;
}

function drawPanel(cells: readonly SweepCell[], losses: readonly number[], left: number): string {
  const timeouts = distinct(cells.map(({ sendTimeout }) => sendTimeout));
  const top = Math.max(...cells.flatMap(({ maximum, worstCase }) => [maximum, worstCase]));
  const most = Math.max(...timeouts);
  const bottom = PANEL.top + PANEL.height;
  const scales: Scales = {
    x: (sendTimeout) => round(left + (sendTimeout / most) * PANEL.width),
    y: (seconds) => round(bottom - (Math.log(seconds) / Math.log(top)) * PANEL.height),
  };
  const locators = cells[0]?.locators ?? 0;
  return [
    `<text x="${left}" y="${PANEL.top - 14}" font-weight="bold">${locators}x${locators} pairs</text>`,
    `<path d="M${left} ${PANEL.top}V${bottom}H${left + PANEL.width}" fill="none" stroke="black"/>`,
    ...timeouts.map((timeout) => label(scales.x(timeout), bottom + 18, "middle", `${timeout}`)),
    label(left + PANEL.width / 2, bottom + 36, "middle", "Send Timeout in s"),
    label(left, PANEL.top - 2, "middle", "s"),
    ...ticks(top).map((value) => label(left - 6, scales.y(value) + 4, "end", `${value}`)),
    ...losses.map((loss, i) =>
      drawLoss(
        cells.filter((cell) => cell.loss === loss),
        COLOURS[i % COLOURS.length] ?? "black",
        scales,
      ),
    ),
    drawWorst(cells, scales),
  ].join("\n");
}

/** The median as a line; bars reach up to the maximum. */
function drawLoss(cells: readonly SweepCell[], colour: string, { x, y }: Scales): string {
  const points = cells.map(({ sendTimeout, median }) => `${x(sendTimeout)},${y(median)}`);
  const bars = cells.map(
    ({ sendTimeout, median, maximum }) => `M${x(sendTimeout)} ${y(median)}V${y(maximum)}m-3 0h6`,
  );
  return [
    `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    `<path d="${bars.join("")}" fill="none" stroke="${colour}"/>`,
  ].join("\n");
}

function drawWorst(cells: readonly SweepCell[], { x, y }: Scales): string {
  const [first] = cells;
  const points = cells
    .filter(({ loss }) => loss === first?.loss)
    .map(({ sendTimeout, worstCase }) => `${x(sendTimeout)},${y(worstCase)}`);
  return `<polyline points="${points.join(" ")}" fill="none" stroke="black" stroke-dasharray="4 3"/>`;
}

function drawLegend(losses: readonly number[], y: number): string {
  const entries = losses.map((loss, i) => ({
    text: `loss ${Math.round(loss * 100)} %: median, bar to maximum`,
    colour: COLOURS[i % COLOURS.length] ?? "black",
  }));
  entries.push({ text: "worst case without loss (dashed)", colour: "black" });
  return entries
    .map(
      ({ text, colour }, i) =>
        `<text x="${PANEL.left + i * 230}" y="${y}" fill="${colour}">${text}</text>`,
    )
    .join("\n");
}

function label(x: number, y: number, anchor: string, text: string): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;
}

/** 1, 3, 10, 30 and so on up to `top`. */
function ticks(top: number): number[] {
  const values: number[] = [];
  for (let decade = 1; decade <= top; decade *= 10) values.push(decade, 3 * decade);
  return values.filter((value) => value <= top);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function distinct(values: readonly number[]): number[] {
  return [...new Set(values)];
}
