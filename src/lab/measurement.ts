import type { CapturedMessage } from "./capture.ts";
import type { FlowKind, FlowRecord, Interval } from "./flow.ts";
import type { ShimEvent } from "./shim-event.ts";

/** What one failure did to one application: a row of the table that a run ends with. */
export interface Measurement {
  readonly application: FlowKind;
  readonly from: string;
  readonly to: string;
  /** ms of silence at the receiver; `undefined` when it went on beyond the observation. */
  readonly interruption: number | undefined;
  /** ms from the failure to the start of the exploration at the sender. */
  readonly detection: number | undefined;
  /** ms from there until the sender was Operational again. */
  readonly exploration: number | undefined;
  /** ms from there to the first arrival: what the application and its transport took. */
  readonly resumption: number | undefined;
  /** Probes that both hosts sent, as their interfaces saw them. */
  readonly probesSent: number;
  readonly damage: readonly string[];
  /** Datagrams that are missing for another reason than the interruption. */
  readonly lostOutside: number;
}

/** A failure and what was recorded around it; Unix time in ms. */
export interface Recording {
  readonly failedAt: number;
  /** The failure was undone, or the observation ended. */
  readonly observedUntil: number;
  readonly events: readonly ShimEvent[];
  readonly messages: readonly CapturedMessage[];
}

/**
 * ms of slack: a failure's time is taken before its command runs, and the losses that it causes
 * begin with what was in flight.
 */
const SLACK = 50;

export function measure(flow: FlowRecord, recording: Recording): Measurement {
  const { failedAt } = recording;
  const interruption = findInterruption(flow, recording);
  const recovery = findRecovery(flow.from, recording);
  const { explored, recovered } = recovery;
  const noticed = interruption !== undefined && interruption.to > interruption.from;
  return {
    application: flow.kind,
    from: flow.from,
    to: flow.to,
    interruption: interruption === undefined ? undefined : interruption.to - interruption.from,
    detection: span(failedAt, explored),
    exploration: span(explored, recovered),
    resumption: noticed ? span(recovered, interruption.to) : undefined,
    probesSent: probesSent(recording),
    damage: flow.damage,
    lostOutside: interruption === undefined ? 0 : lostOutside(flow, recording, interruption),
  };
}

/**
 * The longest silence that the failure can have caused: one that began before both hosts had
 * recovered. An empty one when the receiver noticed nothing; `undefined` when the silence lasted
 * to the end of the observation.
 */
function findInterruption(flow: FlowRecord, recording: Recording): Interval | undefined {
  const { failedAt, observedUntil } = recording;
  if (flow.lastArrival === undefined || flow.lastArrival < observedUntil - LONGEST_QUIET) {
    return undefined;
  }
  const over = recoveredAt(recording) ?? observedUntil;
  const silences = flow.gaps.filter((gap) => gap.to > failedAt && gap.from < over);
  if (silences.some((gap) => gap.to > observedUntil && gap.to - gap.from > LONGEST_QUIET)) {
    return undefined;
  }
  const longest = silences.reduce<Interval | undefined>(
    (best, gap) => (best === undefined || gap.to - gap.from > best.to - best.from ? gap : best),
    undefined,
  );
  return longest ?? { from: failedAt, to: failedAt };
}

/** When the last host had recovered; `undefined` when none did. */
function recoveredAt({ events, failedAt }: Recording): number | undefined {
  const times = events
    .filter(({ event, time }) => event === "recovered" && time >= failedAt - SLACK)
    .map(({ time }) => time);
  return times.length === 0 ? undefined : Math.max(...times);
}

/** ms; what a working application may be quiet for on a busy machine. */
const LONGEST_QUIET = 1_000;

/** When the host began to explore, and when it had a working pair again. */
function findRecovery(host: string, { events, failedAt, observedUntil }: Recording) {
  const own = events.filter(
    (event) => event.host === host && event.time >= failedAt - SLACK && event.time <= observedUntil,
  );
  const explored = own.find(({ event }) => event === "exploring" || event === "inboundok");
  const recovered = own.find(({ event }) => event === "recovered");
  return { explored: explored?.time, recovered: recovered?.time };
}

function probesSent({ messages, failedAt, observedUntil }: Recording): number {
  return messages.filter(
    ({ type, direction, time }) =>
      type === "Probe" && direction === "sent" && time >= failedAt && time <= observedUntil,
  ).length;
}

/** What is missing before the failure, or after the traffic and both hosts were back. */
function lostOutside(flow: FlowRecord, recording: Recording, interruption: Interval): number {
  const over = Math.max(interruption.to, recoveredAt(recording) ?? 0) + SLACK;
  return flow.losses
    .filter((loss) => loss.to < recording.failedAt - SLACK || loss.from > over)
    .reduce((sum, loss) => sum + loss.missing, 0);
}

function span(from: number | undefined, to: number | undefined): number | undefined {
  return from === undefined || to === undefined ? undefined : Math.max(0, to - from);
}
