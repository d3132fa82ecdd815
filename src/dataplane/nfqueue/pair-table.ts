import { randomBytes } from "node:crypto";

const WORDS = 8;

interface Entry<Value> {
  readonly words: Int32Array;
  readonly value: Value;
  /** The next entry of the same hash. */
  readonly next: Entry<Value> | undefined;
}

/**
 * A map from an address pair to a value for the path of every packet: looks up the octets as
 * they stand in the packet, makes no string and no object.
 *
 * The hash is a sum of products with a random key, which is universal: who does not know the
 * key can make no two pairs collide more often than by chance.
 */
export class PairTable<Value> {
  readonly #buckets = new Map<number, Entry<Value>>();
  readonly #key: Int32Array;
  /** The pair of the last {@link #hash}, as 32-bit words: local, then peer. */
  readonly #words = new Int32Array(WORDS);
  #size = 0;

  constructor() {
    this.#key = new Int32Array(new Uint8Array(randomBytes(4 * WORDS)).buffer);
  }

  get size(): number {
    return this.#size;
  }

  /** The value of the pair whose addresses stand at these offsets of `bytes`. */
  get(bytes: Uint8Array, local: number, peer: number): Value | undefined {
    let entry = this.#buckets.get(this.#hash(bytes, local, peer));
    while (entry !== undefined && !sameWords(entry.words, this.#words)) entry = entry.next;
    return entry?.value;
  }

  set(bytes: Uint8Array, local: number, peer: number, value: Value): void {
    this.delete(bytes, local, peer);
    const hash = this.#hash(bytes, local, peer);
    const words = this.#words.slice();
    this.#buckets.set(hash, { words, value, next: this.#buckets.get(hash) });
    this.#size += 1;
  }

  delete(bytes: Uint8Array, local: number, peer: number): void {
    const hash = this.#hash(bytes, local, peer);
    const chain = this.#buckets.get(hash);
    if (chain === undefined) return;
    const others: Entry<Value>[] = [];
    for (let entry: Entry<Value> | undefined = chain; entry !== undefined; entry = entry.next) {
      if (!sameWords(entry.words, this.#words)) others.push(entry);
    }
    this.#replaceChain(hash, chain, others);
  }

  /** Removes the pair that was set first, with those few that share its hash. */
  deleteOldest(): void {
    for (const [hash, chain] of this.#buckets) {
      this.#replaceChain(hash, chain, []);
      return;
    }
  }

  #replaceChain(hash: number, chain: Entry<Value>, entries: readonly Entry<Value>[]): void {
    this.#size += entries.length - lengthOf(chain);
    let next: Entry<Value> | undefined;
    for (const { words, value } of entries) next = { words, value, next };
    if (next === undefined) this.#buckets.delete(hash);
    else this.#buckets.set(hash, next);
  }

  /** The upper 30 bits of the sum, which are the good ones, and fit a small integer. */
  #hash(bytes: Uint8Array, local: number, peer: number): number {
    const words = this.#words;
    const key = this.#key;
    let sum = 0;
    for (let i = 0; i < WORDS; i++) {
      const at = i < 4 ? local + 4 * i : peer + 4 * (i - 4);
      const word =
        ((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number);
      words[i] = word;
      sum = (sum + Math.imul(key[i] as number, word)) | 0;
    }
    return sum >>> 2;
  }
}

function sameWords(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}

function lengthOf<Value>(chain: Entry<Value>): number {
  let length = 0;
  for (let entry: Entry<Value> | undefined = chain; entry !== undefined; entry = entry.next) {
    length += 1;
  }
  return length;
}
