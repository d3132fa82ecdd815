import type { FailureRun } from "../experiment.ts";
import type { FlowRecord, Sample } from "../flow.ts";
import { escapeText } from "./markup.ts";
import { linearScale, roundUp, type Scale, ticks } from "./scale.ts";
import { type SentMessage, sentMessages } from "./sent-messages.ts";

const WIDTH = 960;
const LEFT = 84;
const RIGHT = 16;
const TOP = 58;
const PANEL_HEIGHT = 84;
const PANEL_GAP = 26;
const LANE_HEIGHT = 30;
const AXIS_HEIGHT = 44;

/** ms shown before the failure and behind the last recovery, where there is as much. */
const BEFORE = 4_500;
const AFTER = 3_500;
/** ms; as the applications sum their arrivals. */
const SAMPLE_INTERVAL = 100;

/** Throughput of each application and the control messages, on one time axis, as an SVG. */
export function renderChart(run: FailureRun): string {
  const { from, to } = shownTime(run);
  const x = linearScale(from, to, LEFT, WIDTH - RIGHT);
  const messages = sentMessages(run.messages).filter(({ time }) => {
    const seconds = (time - run.failedAt) / 1000;
    return seconds >= from && seconds <= to;
  });
  const lanesTop = TOP + run.flows.length * (PANEL_HEIGHT + PANEL_GAP);
  const lanes = ["a", "b"];
  const bottom = lanesTop + lanes.length * LANE_HEIGHT;
  const panels = run.flows.map((flow, index) =>
    renderPanel(flow, run.failedAt, x, TOP + index * (PANEL_HEIGHT + PANEL_GAP)),
  );
  const rows = lanes.map((host, index) =>
    renderLane(host, messages, run.failedAt, x, lanesTop + index * LANE_HEIGHT),
  );
  return [
    `<svg viewBox="0 0 ${WIDTH} ${bottom + AXIS_HEIGHT}" role="img" aria-label="${escapeText(
      `Throughput and control messages around the failure: ${run.title}`,
    )}">`,
    renderPhases(run, x, bottom),
    ...panels,
    ...rows,
    renderTimeAxis(x, bottom),
    renderFailureMark(x, bottom),
    "</svg>",
  ].join("\n");
}

/** Seconds from the failure. */
function shownTime({ startedAt, failedAt, observedUntil, events }: FailureRun) {
  const recoveries = events.filter(({ event }) => event === "recovered").map(({ time }) => time);
  const over = recoveries.length === 0 ? observedUntil : Math.max(...recoveries) + AFTER;
  return {
    from: (Math.max(startedAt, failedAt - BEFORE) - failedAt) / 1000,
    to: (Math.min(observedUntil, over) - failedAt) / 1000,
  };
}

/** Where the sender a looked for the failure, and where it looked for another path. */
function renderPhases({ measurements, failedAt }: FailureRun, x: Scale, bottom: number): string {
  const own = measurements.find(({ from }) => from === "a");
  if (own?.detection === undefined || own.exploration === undefined) return "";
  const explored = own.detection / 1000;
  const recovered = explored + own.exploration / 1000;
  const band = (name: string, from: number, to: number) =>
    `<rect class="${name}" x="${round(x(from))}" y="${TOP - 8}" ` +
    `width="${round(Math.max(1, x(Math.min(to, x.to)) - x(from)))}" height="${bottom - TOP + 8}"/>`;
  const label = (name: string, at: number) =>
    `<text class="phase" x="${round(x(at) + 4)}" y="${TOP - 26}">${name}</text>`;
  const wide = x(explored) - x(0) > 90;
  return [
    `<!-- failure at ${new Date(failedAt).toISOString()} -->`,
    band("detection", 0, explored),
    band("exploration", explored, recovered),
    wide ? label("detection", 0) + label("exploration", explored) : "",
  ].join("\n");
}

function renderPanel(flow: FlowRecord, failedAt: number, x: Scale, top: number): string {
  const rates = ratesOf(flow.samples, failedAt, x);
  const most = roundUp(Math.max(...rates.map(({ rate }) => rate)));
  const y = linearScale(0, most, top + PANEL_HEIGHT, top);
  const marks = [0, most / 2, most].map(
    (value) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>` +
      `<text class="tick" x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${value}</text>`,
  );
  return [
    `<text class="panel" x="${WIDTH - RIGHT}" y="${top - 7}" text-anchor="end">${escapeText(
      `${flow.kind}, host ${flow.from} to host ${flow.to}`,
    )}<tspan class="unit" dx="8">Mbit/s</tspan></text>`,
    ...marks,
    renderArea(rates, x, y),
  ].join("\n");
}

interface Rate {
  /** Seconds from the failure. */
  readonly time: number;
  /** Mbit/s */
  readonly rate: number;
}

/** One rate per interval of the shown time, those without arrivals included. */
function ratesOf(samples: readonly Sample[], failedAt: number, x: Scale): Rate[] {
  const bytes = new Map(samples.map((sample) => [sample.time, sample.bytes]));
  const first = Math.ceil((failedAt + x.from * 1000) / SAMPLE_INTERVAL) * SAMPLE_INTERVAL;
  const last = failedAt + x.to * 1000 - SAMPLE_INTERVAL;
  const rates: Rate[] = [];
  for (let time = first; time <= last; time += SAMPLE_INTERVAL) {
    const megabits = ((bytes.get(time) ?? 0) * 8) / 1e6;
    rates.push({ time: (time - failedAt) / 1000, rate: (megabits * 1000) / SAMPLE_INTERVAL });
  }
  return rates;
}

/** Steps, because each rate stands for its whole interval. */
function renderArea(rates: readonly Rate[], x: Scale, y: Scale): string {
  const first = rates[0];
  if (first === undefined) return "";
  const width = SAMPLE_INTERVAL / 1000;
  const steps = rates.map(
    ({ time, rate }) =>
      `${round(x(time))},${round(y(rate))} ${round(x(time + width))},${round(y(rate))}`,
  );
  const end = (rates.at(-1)?.time ?? 0) + width;
  const line = `M${steps.join(" L")}`;
  const area = `${line} L${round(x(end))},${y(0)} L${round(x(first.time))},${y(0)} Z`;
  return `<path class="area" d="${area}"/><path class="rate" d="${line}"/>`;
}

function renderLane(
  host: string,
  messages: readonly SentMessage[],
  failedAt: number,
  x: Scale,
  top: number,
): string {
  const middle = top + LANE_HEIGHT / 2;
  const marks = messages
    .filter((message) => message.host === host)
    .map((message) => renderMessage(message, (message.time - failedAt) / 1000, x, middle));
  return [
    `<text class="tick" x="${LEFT - 8}" y="${middle + 4}" text-anchor="end">${host} sends</text>`,
    `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${middle}" y2="${middle}"/>`,
    ...marks,
  ].join("\n");
}

function renderMessage(message: SentMessage, seconds: number, x: Scale, y: number): string {
  const { source, destination, arrivedAt } = message;
  const name = messageName(message);
  const lost = arrivedAt === undefined;
  const text = `${formatOffset(seconds)}: ${name}, ${source} to ${destination}${lost ? ", lost" : ""}`;
  return (
    `<circle class="message ${messageClass(message)}${lost ? " lost" : ""}" ` +
    `cx="${round(x(seconds))}" cy="${y}" r="5"><title>${escapeText(text)}</title></circle>`
  );
}

export function messageName({ type, detail }: SentMessage): string {
  return detail === "" ? type : `${type} (${detail})`;
}

/** The kinds of messages that the chart tells apart; classes of the style sheet. */
export const MESSAGE_CLASSES: readonly (readonly [name: string, label: string])[] = [
  ["establishment", "I1, R1, I2, R2"],
  ["keepalive", "Keepalive"],
  ["exploring", "Probe (exploring)"],
  ["inboundok", "Probe (inboundok)"],
  ["operational", "Probe (operational)"],
];

/** The class of the style sheet that colours a message. */
export function messageClass({ type, detail }: SentMessage): string {
  if (type === "Probe") return detail;
  return type === "Keepalive" ? "keepalive" : "establishment";
}

function renderTimeAxis(x: Scale, top: number): string {
  const marks = ticks(x.from, x.to, 10).map(
    (value) =>
      `<line class="axis" x1="${round(x(value))}" x2="${round(x(value))}" y1="${top}" y2="${top + 5}"/>` +
      `<text class="tick" x="${round(x(value))}" y="${top + 18}" text-anchor="middle">${value}</text>`,
  );
  return [
    `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${top}" y2="${top}"/>`,
    ...marks,
    `<text class="tick" x="${WIDTH - RIGHT}" y="${top + 36}" text-anchor="end">seconds from the failure</text>`,
  ].join("\n");
}

function renderFailureMark(x: Scale, bottom: number): string {
  const at = round(x(0));
  return (
    `<line class="failure" x1="${at}" x2="${at}" y1="${TOP - 42}" y2="${bottom}"/>` +
    `<text class="failure-label" x="${at}" y="${TOP - 46}" text-anchor="middle">failure</text>`
  );
}

export function formatOffset(seconds: number): string {
  return `${seconds < 0 ? "" : "+"}${seconds.toFixed(3)} s`;
}

function round(value: number): string {
  return value.toFixed(1);
}
