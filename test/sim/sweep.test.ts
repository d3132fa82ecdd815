import { expect, test } from "vitest";
import { FULL_SWEEP, probeTimes, sweep, worstCase } from "../../src/sim/sweep.ts";
import { chartSweep } from "../../src/sim/sweep-chart.ts";
import { formatSweep } from "../../src/sim/sweep-text.ts";

/** What docs/simulator.md shows; `l3shim sim sweep --seeds 5` prints the same. */
const RESULT = sweep({ ...FULL_SWEEP, seeds: 5 });

test("the table and the chart of the sweep are as they were (changed for a reason: vitest -u)", async () => {
  await expect(formatSweep(RESULT.cells)).toMatchFileSnapshot("../../docs/sweep.txt");
  await expect(chartSweep(RESULT.cells)).toMatchFileSnapshot("../../docs/sweep.svg");
});

test("every run of the sweep recovers", () => {
  expect(RESULT.failed).toEqual([]);
});

test("without loss nothing takes longer than the analytic worst case", () => {
  const lossless = RESULT.cells.filter(({ loss }) => loss === 0);
  expect(lossless).toHaveLength(15);
  for (const { maximum, median, sendTimeout, worstCase: worst } of lossless) {
    expect(maximum).toBeLessThanOrEqual(worst);
    expect(median).toBeGreaterThan(sendTimeout);
  }
});

test("probes leave as RFC 5534 section 4.3 has it, 60 s apart at most", () => {
  expect(probeTimes(11)).toEqual([0, 0.5, 1, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 64.5, 124.5]);
});

test("the worst case grows with Send Timeout and pairs", () => {
  expect(worstCase(10, 2)).toBeGreaterThan(10 + 1);
  expect(worstCase(10, 3)).toBeGreaterThan(10 + 16.5 - 0.5);
  expect(worstCase(15, 2) - worstCase(10, 2)).toBeCloseTo(5.25);
});

test("the chart has a panel for each number of pairs and a line for each loss", () => {
  const chart = chartSweep(RESULT.cells);
  expect(chart.match(/x\d pairs/g)).toHaveLength(3);
  // Three losses and the worst case in each of three panels.
  expect(chart.match(/<polyline/g)).toHaveLength(12);
  expect(chart).not.toContain("NaN");
});
