import type { Application } from "./application.ts";
import type { AppOutput } from "./apps/output.ts";

export type FlowKind = "TCP" | "UDP" | "ffmpeg" | "ping";

/** A stretch of time; Unix time in ms. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

export interface Sample {
  readonly time: number;
  readonly bytes: number;
}

/** What an application saw of its traffic, once it has ended. */
export interface FlowRecord {
  readonly kind: FlowKind;
  /** Host names. */
  readonly from: string;
  readonly to: string;
  /** Octets per 100 ms at the receiver. */
  readonly samples: readonly Sample[];
  /** Silences at the receiver of 20 ms and more. */
  readonly gaps: readonly Interval[];
  /** Between which arrivals datagrams are missing, or a counter of the video jumped. */
  readonly losses: readonly (Interval & { readonly missing: number })[];
  readonly bytes: number;
  /** Of the receiver; `undefined` when nothing came. */
  readonly lastArrival: number | undefined;
  /** The peer's address as the receiver saw it; TCP and UDP only. */
  readonly peer: string | undefined;
  /** What is wrong with the data; empty when it is whole. */
  readonly damage: readonly string[];
  /** One line for people. */
  readonly summary: string;
}

/** Traffic of one application between two hosts. */
export interface Flow {
  readonly kind: FlowKind;
  readonly from: string;
  readonly to: string;
  /** Octets that the receiver has so far reported; only those that came since then (Unix ms). */
  bytesReceived(since?: number): number;
  /** Ends of silences so far, in their order. */
  gaps(): readonly Interval[];
  /** Ends the sender, then the receiver. */
  stop(): Promise<FlowRecord>;
}

export function receivedBytes(outputs: readonly AppOutput[], since = 0): number {
  const samples = samplesOf(outputs).filter(({ time }) => time >= since);
  return samples.reduce((sum, sample) => sum + sample.bytes, 0);
}

function samplesOf(outputs: readonly AppOutput[]): Sample[] {
  return outputs.filter((output) => output.type === "sample");
}

export function gapsOf(outputs: readonly AppOutput[]): Interval[] {
  return outputs.filter((output) => output.type === "gap");
}

/** The part of the record that every receiver delivers in the same way. */
export function receiverRecord(receiver: Application) {
  const { outputs } = receiver;
  const summary =
    receiver.result !== undefined && "last" in receiver.result ? receiver.result : undefined;
  const lastSample = samplesOf(outputs).at(-1);
  return {
    samples: samplesOf(outputs),
    gaps: gapsOf(outputs),
    losses: outputs.filter((output) => output.type === "loss"),
    bytes: summary?.bytes ?? receivedBytes(outputs),
    lastArrival: summary?.last ?? lastSample?.time,
  };
}
