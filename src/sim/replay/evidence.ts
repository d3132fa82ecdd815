import { type AddressPair, samePair } from "../../core/output.ts";
import { between, type Duration, type Instant, milliseconds } from "../../core/time.ts";
import type { TrafficSnapshot } from "../../core/traffic.ts";
import type { Address } from "../../wire/address.ts";
import { decodeControl } from "../../wire/control.ts";
import type { Probe } from "../../wire/message.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { Outage } from "./outages.ts";
import type { ReplayedCall } from "./replayer.ts";

/** One way between two addresses, in the direction of packets. */
export interface Path {
  readonly source: Address;
  readonly destination: Address;
}

/** A path that was dead in an outage; `until` from its begin, `undefined` for to the end. */
export interface DeadPath extends Path {
  readonly until: Duration | undefined;
}

/** Payload packets a second, before the outage; `undefined` where two readings are missing. */
export interface TrafficRate {
  readonly out: number;
  readonly in: number;
}

/** What a trace says of an outage beyond its length. */
export interface OutageEvidence {
  /** All paths between the locators of both ends but those that worked throughout. */
  readonly dead: readonly DeadPath[];
  /** Of the quickest answer to a probe, the longest time that it can have taken. */
  readonly roundTrip: Duration | undefined;
  readonly rate: TrafficRate | undefined;
}

/** Of each context, and of its traffic readings: what is older tells nothing of this outage. */
const KEPT = 500;

interface SentProbe extends Path {
  readonly at: Instant;
  readonly nonce: number;
  /** The peer says that it has come. */
  arrived: boolean;
}

interface Known {
  readonly sent: SentProbe[];
  /** Probes of the peer's that have come, and when. */
  readonly received: { readonly path: Path; readonly nonce: number; readonly at: Instant }[];
  /** Those that it says it has sent, with the time when it said so. */
  readonly announced: { readonly path: Path; readonly nonce: number; readonly at: Instant }[];
  readonly readings: { readonly at: Instant; readonly traffic: TrafficSnapshot }[];
  roundTrip: Duration | undefined;
}

/**
 * Gathers from a trace what probes and their reports (RFC 5534 section 5.2) say about which path
 * worked when.
 */
export class EvidenceCollector {
  readonly #known = new Map<ContextTag, Known>();

  note({ at, call, args, outputs }: ReplayedCall): void {
    if (call === "handleControl") this.#noteControl(at, args[2] as Uint8Array);
    if (call === "handleTraffic") {
      const [tag, traffic] = args as [ContextTag, TrafficSnapshot];
      keep(this.#of(tag).readings, { at, traffic });
    }
    for (const output of outputs) {
      if (output.type === "clear-context") this.#known.delete(output.tag);
      if (output.type !== "send" || output.message.type !== "Probe") continue;
      const { source, destination, message, tag } = output;
      const nonce = message.sentProbes[0]?.nonce;
      if (tag === undefined || nonce === undefined) continue;
      keep(this.#of(tag).sent, { source, destination, at, nonce, arrived: false });
    }
  }

  /** @param locators of either end, at the end of the outage */
  evidenceOf(
    { tag, from, recoveredAt, detection, exploration }: Outage,
    locators: { readonly local: readonly Address[]; readonly peer: readonly Address[] },
  ): OutageEvidence {
    const known = this.#of(tag);
    const begin = (recoveredAt - detection - exploration) as Instant;
    const judge = new PathJudge(known, begin, from);
    const paths = locators.local.flatMap((local) =>
      locators.peer.flatMap((peer): Path[] => [
        { source: local, destination: peer },
        { source: peer, destination: local },
      ]),
    );
    return {
      dead: paths.flatMap((path) => judge.deadTime(path) ?? []),
      roundTrip: known.roundTrip,
      rate: rateBefore(known.readings, (recoveredAt - exploration) as Instant),
    };
  }

  #of(tag: ContextTag): Known {
    let known = this.#known.get(tag);
    if (known === undefined) {
      known = { sent: [], received: [], announced: [], readings: [], roundTrip: undefined };
      this.#known.set(tag, known);
    }
    return known;
  }

  #noteControl(at: Instant, bytes: Uint8Array): void {
    const decoded = decodeControl(bytes);
    if (!decoded.ok || decoded.value.message.type !== "Probe") return;
    const probe: Probe = decoded.value.message;
    const known = this.#known.get(probe.receiverContextTag);
    if (known === undefined) return;
    for (const [i, { source, destination, nonce }] of probe.sentProbes.entries()) {
      const seen = { path: { source, destination }, nonce, at };
      if (i === 0) keep(known.received, seen);
      else keep(known.announced, seen);
    }
    const reported = new Set(probe.receivedProbes.map(({ nonce }) => nonce));
    for (const sent of known.sent.filter(({ nonce }) => reported.has(nonce))) {
      if (!sent.arrived) noteAnswer(known, between(sent.at, at));
      sent.arrived = true;
    }
  }
}

function noteAnswer(known: Known, span: Duration): void {
  if (known.roundTrip === undefined || span < known.roundTrip) known.roundTrip = span;
}

function keep<Item>(list: Item[], item: Item): void {
  list.push(item);
  if (list.length > KEPT) list.shift();
}

/**
 * Says of each path whether it was dead, and how long. Dead is the pair in use, and whatever did
 * not show that it works: nobody knows of a path that nobody tried.
 */
class PathJudge {
  readonly #known: Known;
  readonly #begin: Instant;
  readonly #used: AddressPair;

  constructor(known: Known, begin: Instant, used: AddressPair) {
    this.#known = known;
    this.#begin = begin;
    this.#used = used;
  }

  /** `undefined` for a path that has worked all the time. */
  deadTime(path: Path): DeadPath | undefined {
    const worked = this.#firstWorked(path);
    if (worked === undefined) return { ...path, until: undefined };
    const failed = this.#failedBefore(path, worked) || this.#isHealed(path);
    return failed ? { ...path, until: between(this.#begin, worked) } : undefined;
  }

  #firstWorked(path: Path): Instant | undefined {
    const sent = this.#known.sent.filter((probe) => probe.arrived && isOn(path, probe));
    const received = this.#known.received.filter((probe) => isOn(path, probe.path));
    const times = [...sent, ...received].map(({ at }) => at).filter((at) => at > this.#begin);
    return times.length === 0 ? undefined : (Math.min(...times) as Instant);
  }

  /** A probe that left before one of the same path that came, and did not come itself. */
  #failedBefore(path: Path, worked: Instant): boolean {
    const { sent, received, announced } = this.#known;
    const nonces = new Set(received.map(({ nonce }) => nonce));
    const lost = [
      ...sent.filter((probe) => !probe.arrived && isOn(path, probe)),
      ...announced.filter((probe) => !nonces.has(probe.nonce) && isOn(path, probe.path)),
    ];
    return lost.some(({ at }) => at > this.#begin && at < worked);
  }

  /** The pair in use, when it works both ways in the end: it was dead, or there was no outage. */
  #isHealed({ source, destination }: Path): boolean {
    const { local, peer } = this.#used;
    const pair =
      source === local ? { local, peer: destination } : { local: destination, peer: source };
    if (!samePair(pair, this.#used)) return false;
    const ways = [
      { source: local, destination: peer },
      { source: peer, destination: local },
    ];
    return ways.every((way) => this.#firstWorked(way) !== undefined);
  }
}

function isOn(path: Path, { source, destination }: Path): boolean {
  return path.source === source && path.destination === destination;
}

/** Over the last readings before `end`; a reading of a running outage would lower it. */
function rateBefore(readings: Known["readings"], end: Instant): TrafficRate | undefined {
  const before = readings.filter(({ at, traffic }) => at < end && traffic.lastIn !== undefined);
  const [first, last] = [before[0], before.at(-1)];
  if (first === undefined || last === undefined || last.at === first.at) return undefined;
  const span = between(first.at, last.at) / milliseconds(1000);
  return {
    out: (last.traffic.packetsOut - first.traffic.packetsOut) / span,
    in: (last.traffic.packetsIn - first.traffic.packetsIn) / span,
  };
}
