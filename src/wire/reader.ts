import { ADDRESS_LENGTH, type Address, addressFromBytes } from "./address.ts";
import type { ContextTag } from "./tag.ts";

/**
 * Reads big-endian fields one after the other from `bytes[start .. end)`.
 *
 * The codec checks lengths first and reads afterwards, so reading past `end` is a bug of ours
 * and throws a RangeError; what a peer sends must never get that far.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    if (start < 0 || start > end || end > bytes.length) {
      throw new RangeError(`no range ${start} .. ${end} in ${bytes.length} octets`);
    }
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  /** Of the next octet, from the beginning of the array. */
  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#end - this.#offset;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  u16(): number {
    const high = this.u8();
    return (high << 8) | this.u8();
  }

  u32(): number {
    const high = this.u16();
    return high * 0x10000 + this.u16();
  }

  /** 48 bits, the first of which is reserved and ignored (the R bit of RFC 5533 section 5.4). */
  tag(): ContextTag {
    const high = this.u16() & 0x7fff;
    return (high * 2 ** 32 + this.u32()) as ContextTag;
  }

  address(): Address {
    return addressFromBytes(this.#bytes, this.#take(ADDRESS_LENGTH));
  }

  /** A copy: receive buffers are used again. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    // Not slice(): a Buffer's shares its memory.
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }

  /** The rest, as a copy. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  skip(length: number): void {
    this.#take(length);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length < 0 || start + length > this.#end) {
      throw new RangeError(`cannot read ${length} octets at ${start}: the end is at ${this.#end}`);
    }
    this.#offset = start + length;
    return start;
  }
}
