import { type ContextTag, contextTag } from "../wire/tag.ts";
import type { RandomSource } from "./config.ts";

/** The kinds of random value that the protocol needs, from an injected source of octets. */
export class Random {
  readonly #source: RandomSource;

  constructor(source: RandomSource) {
    this.#source = source;
  }

  octets(length: number): Uint8Array {
    return this.#source(length);
  }

  /** A nonce: 0 .. 2^32 - 1. */
  uint32(): number {
    return this.#source(4).reduce((value, octet) => value * 256 + octet, 0);
  }

  /** RFC 5533 section 7.1: 47 unstructured bits. */
  tag(): ContextTag {
    const octets = this.#source(6);
    octets[0] = (octets[0] ?? 0) & 0x7f;
    return contextTag(octets.reduce((value, octet) => value * 256 + octet, 0));
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + ((high - low) * this.uint32()) / 2 ** 32;
  }
}
