import type { FailureRun } from "../experiment.ts";
import { messageClass, messageName } from "./chart.ts";
import { escapeText } from "./markup.ts";
import { linearScale, type Scale, ticks } from "./scale.ts";
import { type SentMessage, sentMessages } from "./sent-messages.ts";

const WIDTH = 960;
const LEFT = 84;
const RIGHT = 16;
const LANE_A = 66;
const LANE_B = 146;
const AXIS = 214;
const HEIGHT = 254;
/** Labels don't overlap when their starts are as far apart as this. */
const LABEL_WIDTH = 132;
const LABEL_HEIGHT = 16;
const LABEL_ROWS = 3;

/** ms; longer explorations are readable in the chart of the whole run. */
const LONGEST = 3_000;

/**
 * The probes between a and b from the first one after the failure to the last, as arrows in time,
 * which stand one upon the other in the chart of the whole run. Empty when there are none.
 */
export function renderLadder({ messages, failedAt, observedUntil }: FailureRun): string {
  const probes = sentMessages(messages).filter(
    ({ type, time }) => type === "Probe" && time >= failedAt && time <= observedUntil,
  );
  const [first] = probes;
  if (first === undefined) return "";
  const shown = probes.filter(({ time }) => time - first.time < LONGEST);
  const times = shown.flatMap(({ time, arrivedAt = time }) => [time, arrivedAt]);
  const [from, to] = [first.time - failedAt, Math.max(...times) - failedAt];
  const margin = Math.max(1, (to - from) * 0.06);
  const x = linearScale(from - margin, to + 3 * margin, LEFT, WIDTH - RIGHT);
  return [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Probes of the exploration">`,
    ...renderLanes(),
    ...["a", "b"].flatMap((host) =>
      renderArrows(
        shown.filter((message) => message.host === host),
        failedAt,
        x,
      ),
    ),
    renderAxis(x),
    "</svg>",
  ].join("\n");
}

function renderLanes(): string[] {
  return [
    { host: "a", y: LANE_A },
    { host: "b", y: LANE_B },
  ].map(
    ({ host, y }) =>
      `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>` +
      `<text class="panel" x="${LEFT - 12}" y="${y + 4}" text-anchor="end">host ${host}</text>`,
  );
}

/** Those of one host, whose labels stand outside of its lane, in rows where they are dense. */
function renderArrows(messages: readonly SentMessage[], failedAt: number, x: Scale): string[] {
  const rowEnds = new Array<number>(LABEL_ROWS).fill(Number.NEGATIVE_INFINITY);
  return messages.map((message) => {
    const start = x(message.time - failedAt);
    const free = rowEnds.findIndex((end) => end <= start);
    const row = free === -1 ? LABEL_ROWS - 1 : free;
    rowEnds[row] = start + LABEL_WIDTH;
    return renderArrow(message, failedAt, x, row);
  });
}

function renderArrow(message: SentMessage, failedAt: number, x: Scale, row: number): string {
  const { host, time, arrivedAt, source, destination } = message;
  const [near, far] = host === "a" ? [LANE_A, LANE_B] : [LANE_B, LANE_A];
  const outward = Math.sign(near - far);
  const start = x(time - failedAt);
  const end = { x: x((arrivedAt ?? time) - failedAt), y: far };
  // What was lost ends half way.
  if (arrivedAt === undefined) end.y = (near + far) / 2;
  const labelY = near + outward * (10 + row * LABEL_HEIGHT) + (outward > 0 ? 8 : 0);
  const paths = `${source} to ${destination}${arrivedAt === undefined ? ", lost" : ""}`;
  return (
    `<g class="${messageClass(message)}"><title>${escapeText(paths)}</title>` +
    `<line class="arrow" x1="${start.toFixed(1)}" y1="${near}" x2="${end.x.toFixed(1)}" y2="${end.y}"/>` +
    renderHead(end, arrivedAt !== undefined, -outward) +
    `<text class="label" x="${start.toFixed(1)}" y="${labelY}">${escapeText(
      messageName(message),
    )}</text></g>`
  );
}

/** A triangle that points up (-1) or down (1), or a cross for what was lost. */
function renderHead(at: { x: number; y: number }, arrived: boolean, down: number): string {
  const x = Number(at.x.toFixed(1));
  if (!arrived) {
    return `<path class="arrow" d="M${x - 4},${at.y - 4} l8,8 m0,-8 l-8,8"/>`;
  }
  return `<path class="head" d="M${x},${at.y} l-4,${-8 * down} l8,0 Z"/>`;
}

function renderAxis(x: Scale): string {
  const marks = ticks(x.from, x.to, 10).map(
    (value) =>
      `<line class="grid" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${LANE_A}" y2="${AXIS}"/>` +
      `<text class="tick" x="${x(value).toFixed(1)}" y="${AXIS + 16}" text-anchor="middle">${value}</text>`,
  );
  return `${marks.join("\n")}<text class="tick" x="${WIDTH - RIGHT}" y="${AXIS + 34}" text-anchor="end">milliseconds from the failure</text>`;
}
