import { SHORTEST_GAP } from "./apps/arrivals.ts";
import type { FlowRecord } from "./flow.ts";
import type { Measurement } from "./measurement.ts";
import type { LocatorPair, ShimEvent } from "./shim-event.ts";

/** Tells a reader what happens in a run while it happens. */
export class Timeline {
  readonly #write: (line: string) => void;
  #start = Date.now();
  #failedAt: number | undefined;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** A new run: its times start from 0. */
  begin(title: string): void {
    this.#start = Date.now();
    this.#failedAt = undefined;
    this.#write("");
    this.#write(title);
  }

  note(text: string): void {
    this.#line(Date.now(), "", text);
  }

  /** From here on each line says also how long ago the failure was. */
  fail(at: number, text: string): void {
    this.#failedAt = at;
    this.#line(at, "", `FAILURE: ${text}`);
  }

  shimEvent(event: ShimEvent): void {
    const text = describeEvent(event);
    if (text !== undefined) this.#line(event.time, event.host, text);
  }

  result(flow: FlowRecord, measurement: Measurement | undefined): void {
    const silence =
      measurement?.interruption === undefined
        ? "never came back"
        : `was silent for ${formatInterruption(measurement.interruption)}`;
    const damage = flow.damage.length === 0 ? "" : `; ${flow.damage.join("; ")}`;
    this.note(`${flow.kind} ${flow.from} to ${flow.to} ${silence}: ${flow.summary}${damage}`);
  }

  #line(time: number, host: string, text: string): void {
    const elapsed = `${((time - this.#start) / 1000).toFixed(2)} s`.padStart(9);
    const after = this.#failedAt === undefined ? undefined : (time - this.#failedAt) / 1000;
    const sinceFailure = after === undefined ? "" : `${after < 0 ? "" : "+"}${after.toFixed(2)} s`;
    this.#write(`${elapsed} ${sinceFailure.padStart(10)}  ${host.padEnd(2)} ${text}`);
  }
}

/** A span with as many digits as matter, in ms below a second. */
export function formatSpan(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`;
}

/** Receivers don't tell shorter silences from the ordinary spacing of packets. */
export function formatInterruption(milliseconds: number): string {
  return milliseconds < SHORTEST_GAP ? `< ${SHORTEST_GAP} ms` : formatSpan(milliseconds);
}

/** What an event says to people; `undefined` for those that a run's reader can do without. */
function describeEvent(event: ShimEvent): string | undefined {
  switch (event.event) {
    case "established":
      return `context established: ULIDs ${event.localUlid} and ${event.peerUlid}`;
    case "restored":
      return `context restored: ULIDs ${event.localUlid} and ${event.peerUlid}`;
    case "exploring":
      return `exploring, because of ${event.cause}`;
    case "switched":
      return `switched to ${formatPair(event.to)}`;
    case "recovered":
      return `recovered after ${event.probesSent} probes sent, ${event.probesReceived} received`;
    case "failed":
      return `context not established: ${event.cause}`;
    case "closed":
      return `context closed: ${event.cause}`;
    case "inboundok":
      return "hears the peer (InboundOk)";
    default:
      return undefined;
  }
}

function formatPair({ localLocator, peerLocator }: LocatorPair): string {
  return `${localLocator} and ${peerLocator}`;
}
