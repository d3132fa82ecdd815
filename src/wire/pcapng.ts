import type { Capture, CapturedPacket, CaptureError } from "./capture.ts";

const SECTION_HEADER_BLOCK = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION_BLOCK = 1;
const SIMPLE_PACKET_BLOCK = 3;
const ENHANCED_PACKET_BLOCK = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Type and length before a block's body, and the length again behind it. */
const BLOCK_HEADER_LENGTH = 8;
const BLOCK_TRAILER_LENGTH = 4;
const BLOCK_OVERHEAD = BLOCK_HEADER_LENGTH + BLOCK_TRAILER_LENGTH;

/** Octets of the fixed fields at the beginning of the bodies that are read here. */
const FIXED_LENGTHS: ReadonlyMap<number, number> = new Map([
  [SECTION_HEADER_BLOCK, 16],
  [INTERFACE_DESCRIPTION_BLOCK, 8],
  [SIMPLE_PACKET_BLOCK, 4],
  [ENHANCED_PACKET_BLOCK, 20],
]);

const OPTION_END = 0;
const OPTION_COMMENT = 1;
const OPTION_TIMESTAMP_RESOLUTION = 9;
const OPTION_TIMESTAMP_OFFSET = 14;

const NANOSECONDS_PER_SECOND = 1_000_000_000n;
const DEFAULT_UNITS_PER_SECOND = 1_000_000n;

interface Interface {
  readonly linkType: number;
  /** Octets kept of a packet; 0 for all. */
  readonly snapLength: number;
  readonly unitsPerSecond: bigint;
  /** To be added to every timestamp. */
  readonly offsetSeconds: bigint;
}

/** A block, whose body is `file[start .. end)`. */
interface Block {
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

/** Whether the file begins as pcapng does; the number reads the same in any byte order. */
export function isPcapng(view: DataView): boolean {
  return view.byteLength >= 4 && view.getUint32(0) === SECTION_HEADER_BLOCK;
}

/** Reads a pcapng file; blocks of other types are passed over. Never throws. */
export function readPcapng(file: Uint8Array): Capture {
  return new PcapngReader(file).read();
}

class PcapngReader {
  readonly #file: Uint8Array;
  readonly #view: DataView;
  readonly #packets: CapturedPacket[] = [];
  // Each section has its own byte order, and numbers its interfaces anew.
  #littleEndian = false;
  #interfaces: Interface[] = [];

  constructor(file: Uint8Array) {
    this.#file = file;
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  }

  read(): Capture {
    let error: CaptureError | undefined;
    let offset = 0;
    while (offset < this.#file.length && error === undefined) {
      const block = this.#readBlock(offset);
      if ("code" in block) {
        error = block;
      } else {
        error = this.#handleBlock(block);
        offset = block.end + BLOCK_TRAILER_LENGTH;
      }
    }
    return { packets: this.#packets, error };
  }

  #readBlock(offset: number): Block | CaptureError {
    const left = this.#file.length - offset;
    if (left < BLOCK_OVERHEAD) return truncated(offset, `${left} octets are no block`);
    const type = this.#u32(offset);
    if (type === SECTION_HEADER_BLOCK && !this.#startSection(offset + BLOCK_HEADER_LENGTH)) {
      return malformed(offset + BLOCK_HEADER_LENGTH, "a section that does not tell its byte order");
    }
    const length = this.#u32(offset + 4);
    const least = BLOCK_OVERHEAD + (FIXED_LENGTHS.get(type) ?? 0);
    if (length < least || length % 4 !== 0) {
      return malformed(offset + 4, `a block of type ${type} cannot have ${length} octets`);
    }
    if (length > left) return truncated(offset, `a block of ${length} octets; ${left} are left`);
    const end = offset + length - BLOCK_TRAILER_LENGTH;
    if (this.#u32(end) !== length) {
      return malformed(end, "the lengths before and behind a block differ");
    }
    return { type, start: offset + BLOCK_HEADER_LENGTH, end };
  }

  /** False when the octets at `offset` are not the byte-order magic. */
  #startSection(offset: number): boolean {
    this.#littleEndian = this.#view.getUint32(offset, true) === BYTE_ORDER_MAGIC;
    this.#interfaces = [];
    return this.#u32(offset) === BYTE_ORDER_MAGIC;
  }

  #handleBlock(block: Block): CaptureError | undefined {
    switch (block.type) {
      case INTERFACE_DESCRIPTION_BLOCK:
        return this.#addInterface(block);
      case ENHANCED_PACKET_BLOCK:
        return this.#addEnhancedPacket(block);
      case SIMPLE_PACKET_BLOCK:
        return this.#addSimplePacket(block);
      default:
        return undefined;
    }
  }

  #addInterface({ start, end }: Block): CaptureError | undefined {
    let unitsPerSecond = DEFAULT_UNITS_PER_SECOND;
    let offsetSeconds = 0n;
    let option = start + 8;
    while (option + 4 <= end && this.#u16(option) !== OPTION_END) {
      const code = this.#u16(option);
      const length = this.#u16(option + 2);
      const value = option + 4;
      if (value + length > end) return malformed(option, "an option reaches past its block");
      if (code === OPTION_TIMESTAMP_RESOLUTION && length === 1) {
        unitsPerSecond = resolution(this.#view.getUint8(value));
      }
      if (code === OPTION_TIMESTAMP_OFFSET && length === 8) {
        offsetSeconds = this.#view.getBigInt64(value, this.#littleEndian);
      }
      option = value + padded(length);
    }
    const linkType = this.#u16(start);
    const snapLength = this.#u32(start + 4);
    this.#interfaces.push({ linkType, snapLength, unitsPerSecond, offsetSeconds });
    return undefined;
  }

  #addEnhancedPacket({ start, end }: Block): CaptureError | undefined {
    const id = this.#u32(start);
    const source = this.#interfaces[id];
    if (source === undefined) return malformed(start, `interface ${id} was not described`);
    const units = (BigInt(this.#u32(start + 4)) << 32n) | BigInt(this.#u32(start + 8));
    const length = this.#u32(start + 12);
    const data = start + 20;
    if (data + length > end) return malformed(start, `${length} octets do not fit in their block`);
    const timestamp =
      source.offsetSeconds * NANOSECONDS_PER_SECOND +
      (units * NANOSECONDS_PER_SECOND) / source.unitsPerSecond;
    const bytes = this.#file.subarray(data, data + length);
    const comment = this.#commentAt(data + padded(length), end);
    const packet = { timestamp, linkType: source.linkType, bytes };
    this.#packets.push(comment === undefined ? packet : { ...packet, comment });
    return undefined;
  }

  /** The first comment among the options; what is wrong with these does no harm to the packet. */
  #commentAt(first: number, end: number): string | undefined {
    let option = first;
    while (option + 4 <= end && this.#u16(option) !== OPTION_END) {
      const value = option + 4;
      const next = value + padded(this.#u16(option + 2));
      if (next > end) return undefined;
      if (this.#u16(option) === OPTION_COMMENT) {
        return new TextDecoder().decode(this.#file.subarray(value, value + this.#u16(option + 2)));
      }
      option = next;
    }
    return undefined;
  }

  /** Belongs to the first interface and says only how long the packet was on the wire. */
  #addSimplePacket({ start, end }: Block): CaptureError | undefined {
    const source = this.#interfaces[0];
    if (source === undefined) return malformed(start, "a packet before any interface");
    const data = start + 4;
    const kept = source.snapLength === 0 ? Number.POSITIVE_INFINITY : source.snapLength;
    const length = Math.min(this.#u32(start), kept);
    if (data + length > end) return malformed(start, `${length} octets do not fit in their block`);
    const bytes = this.#file.subarray(data, data + length);
    this.#packets.push({ timestamp: undefined, linkType: source.linkType, bytes });
    return undefined;
  }

  #u16(offset: number): number {
    return this.#view.getUint16(offset, this.#littleEndian);
  }

  #u32(offset: number): number {
    return this.#view.getUint32(offset, this.#littleEndian);
  }
}

/** if_tsresol: a power of 2 when the first bit is set, else of 10. */
function resolution(octet: number): bigint {
  const exponent = BigInt(octet & 0x7f);
  return (octet & 0x80) !== 0 ? 2n ** exponent : 10n ** exponent;
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function truncated(offset: number, message: string): CaptureError {
  return { code: "truncated", offset, message };
}

function malformed(offset: number, message: string): CaptureError {
  return { code: "malformed", offset, message };
}
