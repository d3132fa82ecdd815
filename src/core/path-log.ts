import type { Probe, ProbeReport } from "../wire/message.ts";
import { BoundedMap } from "./bounded-map.ts";
import { FAIL_BACK_ANSWER_TIME } from "./defaults.ts";
import { type AddressPair, inForm, isEncapsulated, pairKey } from "./output.ts";
import { after, between, type Duration, type Instant, latest } from "./time.ts";

/** How a locator pair stands in one direction. */
export type PathState =
  /** A probe has come through since the pair failed last, if it did. */
  | "confirmed"
  /** A probe is under way. */
  | "probing"
  /** It failed in use, or probes were lost, and none has come through since. */
  | "dead"
  /** Nothing is known, or one probe alone had no answer. */
  | "unverified";

/** What probes and failures have shown of one direction of a locator pair. */
export interface DirectionView {
  readonly lastProbeAt: Instant | undefined;
  readonly confirmedAt: Instant | undefined;
  readonly failedAt: Instant | undefined;
  /** Probes without answer since one had one; of the other direction, known to be lost. */
  readonly lost: number;
}

export interface PathView {
  readonly locators: AddressPair;
  /** From a probe of ours to the first message that reports it, by whatever pair that came. */
  readonly roundTrip: Duration | undefined;
  readonly out: DirectionView;
  readonly in: DirectionView;
}

/** Probes without answer that say that a pair is dead. */
const LOST_PROBES = 2;
const NONCES_REMEMBERED = 4;
const PATHS_REMEMBERED = 64;

const UNKNOWN: DirectionView = {
  ...{ lastProbeAt: undefined, confirmedAt: undefined, failedAt: undefined, lost: 0 },
};

class Path {
  roundTrip: Duration | undefined;
  out = UNKNOWN;
  in = UNKNOWN;
  /** Our last probes there, newest first. */
  sent: readonly { readonly nonce: number; readonly at: Instant }[] = [];
  /** Nonces of the peer's last probes that came there, or did not. */
  known: readonly number[] = [];
}

/**
 * What is known of each locator pair of a context, for whoever wants to see it. A peer that names
 * ever new locators makes it forget, not grow.
 */
export class PathLog {
  readonly #paths = new BoundedMap<Path>(PATHS_REMEMBERED);

  /** A probe has left. The peer answers none of a host for which all is well. */
  noteSent(now: Instant, pair: AddressPair, { sentProbes: [itself], state }: Probe): void {
    if (itself === undefined || state === "operational") return;
    const { nonce } = itself;
    const path = this.#pathOf(pair);
    path.sent = [{ nonce, at: now }, ...path.sent].slice(0, NONCES_REMEMBERED);
    path.out = { ...path.out, lastProbeAt: now, lost: path.out.lost + 1 };
  }

  /** The peer's probe has come: that, what it reports of ours, and what it says that it sent. */
  noteReceived(now: Instant, arrival: AddressPair, probe: Probe): void {
    for (const { nonce } of probe.receivedProbes) this.#noteReport(now, nonce);
    const [itself, ...earlier] = probe.sentProbes;
    if (itself !== undefined) this.#noteArrival(now, arrival, itself);
    for (const report of earlier) this.#noteClaim(isEncapsulated(arrival), report);
  }

  /** An exchange has shown that the pair works both ways. */
  noteProven(now: Instant, pair: AddressPair): void {
    const path = this.#pathOf(pair);
    path.out = { ...path.out, confirmedAt: now, lost: 0 };
    path.in = { ...path.in, confirmedAt: now, lost: 0 };
  }

  /** It has failed in use. */
  noteFailure(now: Instant, pair: AddressPair): void {
    const path = this.#pathOf(pair);
    path.out = { ...path.out, failedAt: now };
    path.in = { ...path.in, failedAt: now };
  }

  view(pair: AddressPair): PathView {
    const path = this.#paths.get(pairKey(pair));
    return {
      locators: pair,
      roundTrip: path?.roundTrip,
      out: path?.out ?? UNKNOWN,
      in: path?.in ?? UNKNOWN,
    };
  }

  #noteReport(now: Instant, nonce: number): void {
    for (const path of this.#paths.values()) {
      const probe = path.sent.find((sent) => sent.nonce === nonce);
      if (probe === undefined) continue;
      path.roundTrip = between(probe.at, now);
      // Those that left later may still be under way.
      path.sent = path.sent.slice(0, path.sent.indexOf(probe));
      path.out = { ...path.out, confirmedAt: now, lost: path.sent.length };
    }
  }

  #noteArrival(now: Instant, arrival: AddressPair, { nonce }: ProbeReport): void {
    const path = this.#pathOf(arrival);
    path.known = [nonce, ...path.known].slice(0, NONCES_REMEMBERED);
    path.in = { ...path.in, lastProbeAt: now, confirmedAt: now, lost: 0 };
  }

  /** The peer says that it sent a probe before this one: if that has not come, it was lost. */
  #noteClaim(encapsulated: boolean, { source, destination, nonce }: ProbeReport): void {
    const pair = inForm({ local: destination, peer: source }, encapsulated);
    const path = this.#paths.get(pairKey(pair));
    if (path?.known.includes(nonce) === true) return;
    const lost = path ?? this.#pathOf(pair);
    lost.known = [nonce, ...lost.known].slice(0, NONCES_REMEMBERED);
    lost.in = { ...lost.in, lost: lost.in.lost + 1 };
  }

  #pathOf(pair: AddressPair): Path {
    const key = pairKey(pair);
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    const path = new Path();
    this.#paths.set(key, path);
    return path;
  }
}

/** How our packets fare on the path. */
export function outboundState(now: Instant, { out }: PathView): PathState {
  const { lastProbeAt, lost } = out;
  const isUnderWay = lost > 0 && lastProbeAt !== undefined;
  if (isUnderWay && after(lastProbeAt, FAIL_BACK_ANSWER_TIME) > now) return "probing";
  return settledState(out, LOST_PROBES);
}

/** How the peer's packets fare on the path. */
export function inboundState({ in: inbound }: PathView): PathState {
  return settledState(inbound, 1);
}

function settledState({ confirmedAt, failedAt, lost }: DirectionView, enough: number): PathState {
  const hasFailed = failedAt !== undefined && latest(failedAt, confirmedAt) === failedAt;
  if (hasFailed || lost >= enough) return "dead";
  return confirmedAt === undefined ? "unverified" : "confirmed";
}
