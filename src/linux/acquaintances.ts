import { randomBytes } from "node:crypto";
import { type Address, addressToBytes } from "../wire/address.ts";
import { SOURCE_OFFSET } from "../wire/ipv6.ts";
import { viewOf } from "./netlink.ts";
import {
  DROP,
  FROM_IPV6_HEADER,
  type Instruction,
  KEEP,
  searchFor,
  weightedSum,
} from "./socket-filter.ts";

const WORDS = 4;

/**
 * Addresses by a hash, for a socket's filter to know them by; of so many at most, the newest.
 * The hash has a random key, so that who forges sources cannot choose them to pass for known.
 */
export class Acquaintances {
  readonly #capacity: number;
  readonly #factors: Uint32Array;
  readonly #hashes = new Set<number>();

  constructor(capacity: number, factors = randomFactors()) {
    this.#capacity = capacity;
    this.#factors = factors;
  }

  /** False when the address was known already. */
  add(address: Address): boolean {
    const hash = this.#hash(address);
    const isNew = !this.#hashes.delete(hash);
    this.#hashes.add(hash);
    if (this.#hashes.size > this.#capacity) {
      for (const oldest of this.#hashes) {
        this.#hashes.delete(oldest);
        break;
      }
    }
    return isNew;
  }

  /** Ends a filter: keeps the packets from these addresses, or all others. */
  instructions(keep: "acquaintances" | "strangers"): Instruction[] {
    const terms = Array.from(this.#factors, (factor, word) => ({
      offset: FROM_IPV6_HEADER + SOURCE_OFFSET + 4 * word,
      factor,
    }));
    const [found, other] = keep === "acquaintances" ? [KEEP, DROP] : [DROP, KEEP];
    const ordered = [...this.#hashes].sort((a, b) => a - b);
    return [...weightedSum(terms), ...searchFor(ordered, found, other)];
  }

  #hash(address: Address): number {
    const octets = viewOf(addressToBytes(address));
    return this.#factors.reduce(
      (sum, factor, word) => (sum + Math.imul(factor, octets.getUint32(4 * word))) >>> 0,
      0,
    );
  }
}

/** Odd, so that each keeps all bits of its word. */
function randomFactors(): Uint32Array {
  const factors = new Uint32Array(new Uint8Array(randomBytes(4 * WORDS)).buffer);
  return factors.map((factor) => factor | 1);
}
