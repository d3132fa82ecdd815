import { ADDRESS_LENGTH, type Address, parseAddress, writeAddress } from "./address.ts";
import { type ContextTag, contextTag } from "./tag.ts";

/**
 * Writes big-endian fields one after the other into a buffer of fixed size.
 * Every method throws a RangeError when the value does not fit its field or the buffer is full.
 */
export class ByteWriter {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Octets written so far. */
  get length(): number {
    return this.#offset;
  }

  u8(value: number): this {
    this.#bytes[this.#take(1)] = checkUnsigned(value, 8);
    return this;
  }

  u16(value: number): this {
    checkUnsigned(value, 16);
    return this.u8(value >> 8).u8(value & 0xff);
  }

  u32(value: number): this {
    checkUnsigned(value, 32);
    return this.u16(value >>> 16).u16(value & 0xffff);
  }

  /** 48 bits: a zero bit and the tag. */
  tag(value: ContextTag): this {
    contextTag(value);
    return this.u16(Math.floor(value / 2 ** 32)).u32(value >>> 0);
  }

  address(value: Address): this {
    if (parseAddress(value) === undefined) throw new RangeError(`not an IPv6 address: ${value}`);
    writeAddress(value, this.#bytes, this.#take(ADDRESS_LENGTH));
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#bytes.set(value, this.#take(value.length));
    return this;
  }

  zeros(count: number): this {
    this.#take(count);
    return this;
  }

  /** Zero octets up to the next multiple of `size`. */
  align(size: number): this {
    return this.zeros((size - (this.#offset % size)) % size);
  }

  /** What was written, as an array of its own. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#offset);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (start + length > this.#bytes.length) {
      throw new RangeError(`cannot write ${start + length} octets: ${this.#bytes.length} fit`);
    }
    this.#offset = start + length;
    return start;
  }
}

/** @returns `value`, an integer of 0 .. 2^bits - 1. */
export function checkUnsigned(value: number, bits: number): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
    throw new RangeError(`not an unsigned number of ${bits} bits: ${value}`);
  }
  return value;
}
