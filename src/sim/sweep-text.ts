import type { SweepCell } from "./sweep.ts";

/** The sweep as a table of text: a block for each number of pairs, a row for each Send Timeout. */
export function formatSweep(cells: readonly SweepCell[]): string {
  const [first] = cells;
  if (first === undefined) return "";
  const losses = distinct(cells.map(({ loss }) => loss));
  const head = [
    `Recovery time in seconds, median / maximum of ${first.seeds} runs: all pairs die but one.`,
    "Worst: the analytic worst case without loss (docs/simulator.md).",
  ];
  const blocks = distinct(cells.map(({ locators }) => locators)).map((locators) => {
    const block = cells.filter((cell) => cell.locators === locators);
    const columns = losses.map((loss) => `loss ${Math.round(loss * 100)} %`.padStart(18)).join("");
    const title = `${locators}x${locators} pairs`;
    const lines = distinct(block.map(({ sendTimeout }) => sendTimeout)).map((sendTimeout) =>
      formatRow(block.filter((cell) => cell.sendTimeout === sendTimeout)),
    );
    return [`${title.padEnd(14)}${columns}${"worst".padStart(10)}`, ...lines].join("\n");
  });
  return `${[head.join("\n"), ...blocks].join("\n\n")}\n`;
}

function formatRow(cells: readonly SweepCell[]): string {
  const [first] = cells;
  if (first === undefined) return "";
  const measured = cells.map(({ median, maximum }) =>
    `${median.toFixed(1)} / ${maximum.toFixed(1)}`.padStart(18),
  );
  const worst = first.worstCase.toFixed(1).padStart(10);
  return `Timeout ${`${first.sendTimeout} s`.padStart(4)}  ${measured.join("")}${worst}`;
}

function distinct(values: readonly number[]): number[] {
  return [...new Set(values)];
}
