import type { Output } from "../../core/output.ts";
import {
  finite,
  list,
  nullable,
  PlainDataError,
  parsed,
  type Reader,
  record,
} from "../../core/plain-data.ts";
import { INSTANT, oneOf } from "../../core/plain-values.ts";
import type { Instant } from "../../core/time.ts";
import { toHex } from "../../wire/hex.ts";
import { BYTES, CALL_NAMES, type CallName, readSettings, type Settings } from "./calls.ts";

/** Of the form below: a change that other releases would misread gets another number. */
const TRACE_VERSION = 1;

/** The first line of a trace. */
export interface TraceHeader {
  /** The release that wrote it. */
  readonly l3shim: string;
  /** The wall clock, in ms since 1970, and the monotonic one, at the same time. */
  readonly wall: number;
  readonly at: Instant;
  readonly settings: Settings;
  /** The octets drawn while the endpoint was made. */
  readonly random: readonly Uint8Array[];
}

/** Each further line but the last one: a call of the endpoint, and all until the next one. */
export interface TraceCall {
  readonly at: Instant;
  readonly call: CallName;
  /** As JSON has them; `callReaders` reads them. */
  readonly args: readonly unknown[];
  /** The octets drawn meanwhile. */
  readonly random: readonly Uint8Array[];
  /** The signatures made meanwhile: the key is not in the trace. */
  readonly signatures: readonly Uint8Array[];
  /** What each `poll` gave, as JSON; `null` where there was nothing more. */
  readonly polled: readonly string[];
  /** What the endpoint threw. */
  readonly threw: string | undefined;
}

/** The last line, where the trace did not end by a crash: why there is no more. */
export interface TraceEnd {
  readonly end: "stopped" | "full" | "slow";
}

/** One that another release wrote, or somebody else. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

export function formatHeader({ random, ...header }: TraceHeader): string {
  return JSON.stringify({ trace: TRACE_VERSION, ...header, random: random.map(toHex) });
}

/** Empty lists are left out. */
export function formatCall(line: TraceCall): string {
  const { at, call, args, random, signatures, polled, threw } = line;
  const fields = [
    `"at":${at},"call":"${call}"`,
    ...(args.length > 0 ? [`"args":${JSON.stringify(args)}`] : []),
    ...(random.length > 0 ? [`"random":${JSON.stringify(random.map(toHex))}`] : []),
    ...(signatures.length > 0 ? [`"signatures":${JSON.stringify(signatures.map(toHex))}`] : []),
    `"polled":[${polled.join(",")}]`,
    ...(threw === undefined ? [] : [`"threw":${JSON.stringify(threw)}`]),
  ];
  return `{${fields.join(",")}}`;
}

export function formatEnd(end: TraceEnd): string {
  return JSON.stringify(end);
}

/** What `poll` gave, as JSON; the message that stands for a packet's octets is left out. */
export function formatOutput(output: Output | undefined): string {
  if (output === undefined) return "null";
  if (output.type !== "send") return JSON.stringify(output);
  const { type, source, destination, bytes, tag } = output;
  return JSON.stringify({ type, source, destination, tag, bytes: toHex(bytes) });
}

/** @throws TraceError */
export function parseHeader(line: string): TraceHeader {
  const data = parseLine(line) as { trace?: unknown };
  if (data.trace === undefined) throw new TraceError("this is no trace of l3shim");
  if (data.trace !== TRACE_VERSION) {
    const problem = `the trace's version is ${JSON.stringify(data.trace)}`;
    throw new TraceError(`${problem}, and this release reads ${TRACE_VERSION}`);
  }
  return explained(() => HEADER(data, "header"));
}

/** @throws TraceError */
export function parseTraceLine(line: string): TraceCall | TraceEnd {
  const data = parseLine(line);
  return explained(() => ("end" in data ? END(data, "line") : CALL(data, "line")));
}

const HEADER: Reader<TraceHeader> = record({
  l3shim: parsed((text) => text, "a release"),
  wall: finite,
  at: INSTANT,
  settings: readSettings,
  random: list(BYTES),
});

const END = record({ end: oneOf(["stopped", "full", "slow"]) });

const CALL: Reader<TraceCall> = (data, path) => {
  const fields = {
    args: [],
    random: [],
    signatures: [],
    polled: [],
    threw: null,
    ...(data as object),
  };
  const { threw, polled, ...call } = record({
    at: INSTANT,
    call: oneOf(CALL_NAMES),
    args: list((item) => item),
    random: list(BYTES),
    signatures: list(BYTES),
    polled: list((item) => JSON.stringify(item)),
    threw: nullable(parsed((text) => text, "an error")),
  })(fields, path);
  return { ...call, polled, threw: threw ?? undefined };
};

function parseLine(line: string): object {
  try {
    const data: unknown = JSON.parse(line);
    if (typeof data === "object" && data !== null) return data;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new TraceError("this is no JSON object, as each line of a trace is");
}

function explained<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (error instanceof PlainDataError) throw new TraceError(error.message, { cause: error });
    throw error;
  }
}
