import type { AddressPair } from "../../core/output.ts";
import { type Instant, instant } from "../../core/time.ts";
import type { TrafficDirection, TrafficSnapshot } from "../../core/traffic.ts";
import {
  NANOSECONDS_PER_MILLISECOND,
  REMEMBERED_LENGTH,
  REMEMBERED_MAX,
  rememberedDigest,
  viewOf,
} from "./layout.ts";

const RECORD_LENGTH = 128;

/** Where things are in a record of `records`. */
const OUT = 0;
const FLAGS = 48;
const AWAITED = 52;
const INCARNATION = 56;
const IN = 64;

/** Where things are in one way of a record. */
const LAST = 0;
const RECENT = 8;
const FIRST = 16;
const PACKETS = 24;
const BYTES = 32;
const MARKED = 40;

/** Where things are in what a processor remembers of a pair. */
const SLOT = 32;
const PLACE_INCARNATION = 40;
const SEEN_OUT = 64;
const SEEN_IN = 96;

/** Where things are in what a processor has seen one way. */
const SEEN_LAST = 0;
const SEEN_PACKETS = 16;
const SEEN_BYTES = 24;

const WATCHED = 1;
const WITHHOLDING = 2;

/** While the kernel moves counts from a processor's place to the record they may be read twice. */
const READINGS = 3;

/** What the kernel's half and this one share. */
export interface RecordsMemory {
  /** The map `records`, mapped. */
  readonly records: Uint8Array;
  /** The map `remembered`, mapped: {@link REMEMBERED_MAX} places for each processor. */
  readonly remembered: Uint8Array;
  /** What is remembered no longer holds. It is ordered as an atomic operation is. */
  readonly forget: () => void;
}

/** One way of a context's traffic, in nanoseconds of the monotonic clock. */
interface Flow {
  readonly last: number;
  readonly packets: number;
  readonly bytes: number;
  /** Among these is the first packet since the last one the other way. */
  readonly candidates: readonly number[];
  readonly marked: number;
}

/**
 * The traffic records of all contexts, which the kernel writes and this process reads and marks
 * in place: no system call, however many contexts there are.
 */
export class TrafficRecords {
  readonly #memory: Uint8Array;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #remembered: DataView;
  readonly #forget: () => void;
  /** By record: where processors remember its pair. */
  readonly #digests: Uint8Array;

  constructor({ records, remembered, forget }: RecordsMemory) {
    this.#memory = records;
    this.#view = viewOf(records);
    this.#words = new Int32Array(records.buffer, records.byteOffset, records.length / 4);
    this.#remembered = viewOf(remembered);
    this.#forget = forget;
    this.#digests = new Uint8Array(this.capacity);
  }

  get capacity(): number {
    return Math.floor(this.#memory.length / RECORD_LENGTH);
  }

  /** The record is a new context's. */
  reset(slot: number, ulids: AddressPair): void {
    const at = slot * RECORD_LENGTH;
    const incarnation = this.#view.getUint32(at + INCARNATION, true);
    this.#memory.fill(0, at, at + RECORD_LENGTH);
    this.#view.setUint32(at + INCARNATION, incarnation + 1, true);
    this.adopt(slot, ulids);
    this.#forget();
  }

  /** The record is a context's of an earlier run, and goes on. */
  adopt(slot: number, ulids: AddressPair): void {
    this.#digests[slot] = rememberedDigest(ulids);
  }

  snapshot(slot: number): TrafficSnapshot {
    const [out, back] = this.#read(slot);
    return {
      lastOut: instantOf(out.last),
      lastIn: instantOf(back.last),
      firstUnansweredOut: unanswered(out, back),
      firstUnansweredIn: unanswered(back, out),
      packetsOut: out.packets,
      packetsIn: back.packets,
      bytesOut: out.bytes,
      bytesIn: back.bytes,
    };
  }

  /** What went in that direction so far is answered. */
  mark(slot: number, direction: TrafficDirection): void {
    const [out, back] = this.#read(slot);
    const last = direction === "out" ? out.last : back.last;
    const at = slot * RECORD_LENGTH + (direction === "out" ? OUT : IN);
    this.#view.setBigUint64(at + MARKED, BigInt(last), true);
  }

  /**
   * The kernel's half tells of the next packet. What is read after this has every packet that it
   * does not tell of: hence the atomic store, which nothing overtakes.
   */
  await(slot: number): void {
    Atomics.store(this.#words, (slot * RECORD_LENGTH + AWAITED) / 4, 1);
    this.#forget();
  }

  setFlags(
    slot: number,
    flags: { readonly watched: boolean; readonly withholding: boolean },
  ): void {
    const value = (flags.watched ? WATCHED : 0) | (flags.withholding ? WITHHOLDING : 0);
    this.#view.setUint32(slot * RECORD_LENGTH + FLAGS, value, true);
    if (flags.watched) this.#forget();
  }

  /** Both ways: outbound, inbound. */
  #read(slot: number): readonly [Flow, Flow] {
    for (let reading = 1; ; reading++) {
      const before = this.#ownPackets(slot);
      const places = this.#places(slot);
      const flows = [
        this.#flow(slot * RECORD_LENGTH + OUT, places, SEEN_OUT),
        this.#flow(slot * RECORD_LENGTH + IN, places, SEEN_IN),
      ] as const;
      if (reading === READINGS || before === this.#ownPackets(slot)) return flows;
    }
  }

  #ownPackets(slot: number): number {
    const at = slot * RECORD_LENGTH;
    return this.#number(at + OUT + PACKETS) + this.#number(at + IN + PACKETS);
  }

  /** Where processors remember this context. */
  #places(slot: number): number[] {
    const view = this.#remembered;
    const incarnation = this.#view.getUint32(slot * RECORD_LENGTH + INCARNATION, true);
    const places: number[] = [];
    const first = (this.#digests[slot] ?? 0) * REMEMBERED_LENGTH;
    for (let at = first; at < view.byteLength; at += REMEMBERED_MAX * REMEMBERED_LENGTH) {
      const isContext = view.getUint32(at + SLOT, true) === slot;
      if (isContext && view.getUint32(at + PLACE_INCARNATION, true) === incarnation) {
        places.push(at);
      }
    }
    return places;
  }

  #flow(at: number, places: readonly number[], seenAt: number): Flow {
    const seen = (field: number): number[] =>
      places.map((place) => numberAt(this.#remembered, place + seenAt + field));
    const last = seen(SEEN_LAST);
    return {
      last: Math.max(this.#number(at + LAST), ...last),
      packets: sum([this.#number(at + PACKETS), ...seen(SEEN_PACKETS)]),
      bytes: sum([this.#number(at + BYTES), ...seen(SEEN_BYTES)]),
      candidates: [this.#number(at + RECENT), this.#number(at + FIRST), ...last],
      marked: this.#number(at + MARKED),
    };
  }

  #number(at: number): number {
    return numberAt(this.#view, at);
  }
}

/** The first packet since the last one the other way, to within two telling intervals. */
function unanswered(flow: Flow, other: Flow): Instant | undefined {
  const since = Math.max(other.last, flow.marked);
  const later = flow.candidates.filter((candidate) => candidate > since);
  return later.length === 0 ? undefined : instantOf(Math.min(...later));
}

function instantOf(nanoseconds: number): Instant | undefined {
  return nanoseconds === 0 ? undefined : instant(nanoseconds / NANOSECONDS_PER_MILLISECOND);
}

function numberAt(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
