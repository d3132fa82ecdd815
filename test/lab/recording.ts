import type { CapturedMessage } from "../../src/lab/capture.ts";
import type { FailureRun } from "../../src/lab/experiment.ts";
import type { FlowKind, FlowRecord } from "../../src/lab/flow.ts";
import { measure } from "../../src/lab/measurement.ts";
import type { ShimEvent } from "../../src/lab/shim-event.ts";

/** 2026-01-01T00:00:00Z, when the failure of the recordings made here happens. */
export const FAILED_AT = 1_767_225_600_000;

const PAIR = { localLocator: "2001:db8:2:a::1", peerLocator: "2001:db8:2:b::1" };

/** A flow of 10 octets/ms from 4 s before the failure to 15 s after, silent in between. */
export function flowRecord(kind: FlowKind, silentFor: number): FlowRecord {
  const from = FAILED_AT;
  const to = FAILED_AT + silentFor;
  const times = Array.from({ length: 190 }, (_, index) => FAILED_AT - 4_000 + index * 100);
  return {
    kind,
    from: kind === "ffmpeg" ? "b" : "a",
    to: kind === "ffmpeg" ? "a" : "b",
    samples: times
      .filter((time) => time < from || time >= to)
      .map((time, index) => ({ time, bytes: 1000 + 50 * (index % 3) })),
    gaps: silentFor < 20 ? [] : [{ from, to }],
    losses: [],
    bytes: 100_000,
    lastArrival: FAILED_AT + 14_990,
    peer: undefined,
    damage: [],
    summary: "0.1 MB",
  };
}

export function shimEvents(exploredAfter: number, recoveredAfter: number): ShimEvent[] {
  return ["a", "b"].flatMap((host): ShimEvent[] => {
    const common = { host, context: "0123456789ab" };
    const exploredAt = FAILED_AT + exploredAfter;
    const recoveredAt = FAILED_AT + recoveredAfter;
    return [
      { ...common, time: exploredAt, event: "exploring", cause: "send-timeout" },
      {
        ...common,
        ...PAIR,
        time: recoveredAt,
        event: "recovered",
        probesSent: 3,
        probesReceived: 2,
      },
    ];
  });
}

export function message(
  offset: number,
  host: string,
  direction: "sent" | "received",
  fields: Partial<CapturedMessage> = {},
): CapturedMessage {
  return {
    time: FAILED_AT + offset,
    host,
    direction,
    type: "Probe",
    source: "2001:db8:2:a::1",
    destination: "2001:db8:2:b::1",
    detail: "exploring",
    octets: "8c",
    ...fields,
  };
}

/** A run in which the shim explored from 10.0 s to 10.6 s and the flows came back after 10.8 s. */
export function failureRun(silentFor = 10_800): FailureRun {
  const messages = [
    message(-3_900, "a", "sent", { type: "I1", detail: "", octets: "01" }),
    message(-3_899, "b", "received", { type: "I1", detail: "", octets: "01" }),
    message(-3_898, "b", "sent", { type: "R1", detail: "", octets: "02" }),
    message(-3_897, "a", "received", { type: "R1", detail: "", octets: "02" }),
    message(-1_000, "b", "sent", { type: "Keepalive", detail: "", octets: "03" }),
    message(-999, "a", "received", { type: "Keepalive", detail: "", octets: "03" }),
    message(10_000, "a", "sent", { octets: "04" }),
    message(10_500, "a", "sent", { octets: "05" }),
    message(10_501, "b", "received", { octets: "05" }),
    message(10_510, "b", "sent", { octets: "06", detail: "inboundok" }),
    message(10_511, "a", "received", { octets: "06", detail: "inboundok" }),
    message(10_600, "a", "sent", { octets: "07", detail: "operational" }),
    message(10_601, "b", "received", { octets: "07", detail: "operational" }),
  ];
  const recording = {
    failedAt: FAILED_AT,
    observedUntil: FAILED_AT + 15_000,
    events: shimEvents(10_000, 10_600),
    messages,
  };
  const kinds: FlowKind[] = ["TCP", "UDP", "ffmpeg"];
  const flows = kinds.map((kind) => flowRecord(kind, silentFor));
  return {
    title: "silent path loss",
    failure: { kind: "silent-loss", host: "a", isp: "isp1", direction: "both" },
    tolerance: 20_000,
    startedAt: FAILED_AT - 5_000,
    ...recording,
    flows,
    measurements: flows.map((flow) => measure(flow, recording)),
    newSession: undefined,
    healedAt: undefined,
    problems: [],
  };
}
