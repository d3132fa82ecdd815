import { createHmac } from "node:crypto";
import type { KeyedHash } from "../core/config.ts";

/**
 * A stream of pseudo-random numbers (the small fast counting generator, sfc32). Each host, link
 * and flow has a stream of its own, drawn from the seed and its name: leaving one out of a
 * scenario, as shrinking does, changes nothing for the others.
 */
export class SimRandom {
  readonly #words: Uint32Array;

  constructor(seed: number, name: string) {
    const state = [1, 2, 3].map((salt) => hash(`${seed} ${salt} ${name}`));
    this.#words = Uint32Array.of(...state, 1);
    // The first values still show the seed.
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.#next() / 2 ** 32;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.unit();
  }

  /** True with this probability, 0 .. 1. A certain answer takes no number from the stream. */
  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** Exponentially distributed around `mean`. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.unit());
  }

  /** 0 .. count - 1. */
  index(count: number): number {
    return Math.floor(this.unit() * count);
  }

  octets(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#next() & 0xff);
  }

  #next(): number {
    const words = this.#words;
    const [a = 0, b = 0, c = 0, count = 0] = words;
    const result = (a + b + count) >>> 0;
    words[0] = b ^ (b >>> 9);
    words[1] = c + (c << 3);
    words[2] = ((c << 21) | (c >>> 11)) + result;
    words[3] = count + 1;
    return result;
  }
}

/** The keyed hash of simulated endpoints: the daemon's. */
export const simKeyedHash: KeyedHash = (key, data) =>
  createHmac("sha256", key).update(data).digest();

/** FNV-1a of 32 bits, with its last bits stirred. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}
