import { type Instant, instant } from "../../core/time.ts";
import type { TrafficDirection, TrafficSnapshot } from "../../core/traffic.ts";
import { NANOSECONDS_PER_MILLISECOND, viewOf } from "./layout.ts";

const RECORD_LENGTH = 128;

/** Where things are in a record of `records`. */
const LAST_OUT = 0;
const FIRST_OUT = 8;
const PACKETS_OUT = 16;
const BYTES_OUT = 24;
const FLAGS = 32;
const AWAITED = 36;
const LAST_IN = 64;
const FIRST_IN = 72;
const PACKETS_IN = 80;
const BYTES_IN = 88;

const WATCHED = 1;
const WITHHOLDING = 2;

/**
 * The traffic records of all contexts, which the kernel writes and this process reads and marks
 * in place: no system call, however many contexts there are.
 */
export class TrafficRecords {
  readonly #memory: Uint8Array;
  readonly #view: DataView;
  readonly #words: Int32Array;

  /** @param memory the map `records`, mapped */
  constructor(memory: Uint8Array) {
    this.#memory = memory;
    this.#view = viewOf(memory);
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.length / 4);
  }

  get capacity(): number {
    return Math.floor(this.#memory.length / RECORD_LENGTH);
  }

  reset(slot: number): void {
    this.#memory.fill(0, slot * RECORD_LENGTH, (slot + 1) * RECORD_LENGTH);
  }

  snapshot(slot: number): TrafficSnapshot {
    const at = slot * RECORD_LENGTH;
    return {
      lastOut: this.#instant(at + LAST_OUT),
      lastIn: this.#instant(at + LAST_IN),
      firstUnansweredOut: this.#unanswered(at + FIRST_OUT, at + LAST_IN),
      firstUnansweredIn: this.#unanswered(at + FIRST_IN, at + LAST_OUT),
      packetsOut: this.#number(at + PACKETS_OUT),
      packetsIn: this.#number(at + PACKETS_IN),
      bytesOut: this.#number(at + BYTES_OUT),
      bytesIn: this.#number(at + BYTES_IN),
    };
  }

  /** What went in that direction so far is answered. */
  mark(slot: number, direction: TrafficDirection): void {
    const field = direction === "out" ? FIRST_OUT : FIRST_IN;
    this.#view.setBigUint64(slot * RECORD_LENGTH + field, 0n, true);
  }

  /**
   * The kernel's half tells of the next packet. What is read after this has every packet that it
   * does not tell of: hence the atomic store, which nothing overtakes.
   */
  await(slot: number): void {
    Atomics.store(this.#words, (slot * RECORD_LENGTH + AWAITED) / 4, 1);
  }

  setFlags(
    slot: number,
    flags: { readonly watched: boolean; readonly withholding: boolean },
  ): void {
    const value = (flags.watched ? WATCHED : 0) | (flags.withholding ? WITHHOLDING : 0);
    this.#view.setUint32(slot * RECORD_LENGTH + FLAGS, value, true);
  }

  /** The first packet since the last one the other way, unless that came after it. */
  #unanswered(first: number, lastOther: number): Instant | undefined {
    const isAnswered = this.#number(lastOther) >= this.#number(first);
    return isAnswered ? undefined : this.#instant(first);
  }

  #instant(at: number): Instant | undefined {
    const nanoseconds = this.#number(at);
    return nanoseconds === 0 ? undefined : instant(nanoseconds / NANOSECONDS_PER_MILLISECOND);
  }

  #number(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }
}
