import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatClock } from "../../../src/cli/spans.ts";
import type { Chart } from "../model/throughput.ts";
import { formatRate, shorten } from "../model/words.ts";
import { DARK, useMedia } from "./hooks.ts";

const HEIGHT = 170;
/** Seconds that are shown at least. */
const SPAN = 120;

interface ChartProps {
  readonly label: string;
  readonly chart: Chart;
}

/** Throughput by path: a line for each, what leaves in full, what comes dashed. */
export function ThroughputChart(props: ChartProps) {
  if (props.chart.lines.length === 0) return <p class="empty">Nothing has passed yet.</p>;
  return <Plot {...props} />;
}

function Plot({ label, chart }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const isDark = useMedia(DARK);
  const plot = useRef<uPlot | undefined>(undefined);
  const names = chart.lines.map(({ path, direction }) => `${path} ${direction}`).join("|");
  const data = [chart.times, ...chart.lines.map(({ values }) => values)] as uPlot.AlignedData;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new uPlot(optionsOf(chart, element), data, element);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [names, isDark]);
  useEffect(() => plot.current?.setData(data), [chart.times.at(-1), names]);
  return <div ref={box} class="chart" role="img" aria-label={`${label}: ${summaryOf(chart)}`} />;
}

function summaryOf({ lines }: Chart): string {
  const latest = lines.map(
    ({ path, direction, values }) => `${path} ${direction} ${formatRate(values.at(-1) ?? 0)}`,
  );
  return latest.join(", ") || "nothing yet";
}

function optionsOf({ lines }: Chart, element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const paths = [...new Set(lines.map(({ path }) => path))];
  const axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    scales: {
      x: { range: (_plot, from, to) => [Math.min(from, to - SPAN), to] },
      y: { range: (_plot, _from, to) => [0, Math.max(1000, to * 1.1)] },
    },
    axes: [
      { ...axis, values: (_plot, times) => times.map(formatTime) },
      { ...axis, size: 74, values: (_plot, values) => values.map(formatRate) },
    ],
    series: [
      {},
      ...lines.map(({ path, direction }) => ({
        label: `${direction === "out" ? "→" : "←"} ${path.split(" > ").map(shorten).join(" > ")}`,
        stroke: color(`--path-${paths.indexOf(path) % PATH_COLORS}`),
        width: 1.5,
        ...(direction === "in" ? { dash: [4, 3] } : {}),
        value: (_plot: uPlot, value: number | null) => (value === null ? "–" : formatRate(value)),
        points: { show: false },
      })),
    ],
    cursor: { y: false, points: { size: 6 } },
    legend: { live: true },
  };
}

/** "12:00:10", in local time, of seconds since 1970. */
function formatTime(time: number): string {
  return formatClock(new Date(time * 1000)).slice(0, 8);
}

/** As many as style.css has. */
const PATH_COLORS = 6;
