/** Capture files, built by hand after the formats' descriptions. */

export interface Frame {
  readonly timestamp: bigint;
  readonly bytes: Uint8Array;
}

const SECOND = 1_000_000_000n;

class FileWriter {
  readonly #octets: number[] = [];
  readonly #littleEndian: boolean;

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  number(value: number | bigint, size: number): this {
    const octets = Array.from({ length: size }, (_, i) =>
      Number((BigInt(value) >> BigInt(8 * i)) & 0xffn),
    );
    this.#octets.push(...(this.#littleEndian ? octets : octets.reverse()));
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#octets.push(...value);
    return this;
  }

  pad(): this {
    while (this.#octets.length % 4 !== 0) this.#octets.push(0);
    return this;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#octets);
  }
}

export interface PcapOptions {
  readonly littleEndian: boolean;
  readonly nanoseconds: boolean;
  readonly linkType: number;
}

export function pcap(options: PcapOptions, frames: readonly Frame[]): Uint8Array {
  const file = new FileWriter(options.littleEndian);
  file
    .number(options.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 4)
    .number(2, 2)
    .number(4, 2);
  file.number(0, 4).number(0, 4).number(262144, 4).number(options.linkType, 4);
  for (const { timestamp, bytes } of frames) {
    const fraction = timestamp % SECOND;
    file.number(timestamp / SECOND, 4).number(options.nanoseconds ? fraction : fraction / 1000n, 4);
    file
      .number(bytes.length, 4)
      .number(bytes.length + 7, 4)
      .bytes(bytes);
  }
  return file.finish();
}

export type Block = (littleEndian: boolean) => Uint8Array;

export function pcapng(littleEndian: boolean, ...blocks: readonly Block[]): Uint8Array {
  return Uint8Array.from(blocks.flatMap((block) => [...block(littleEndian)]));
}

function block(type: number, write: (body: FileWriter) => void): Block {
  return (littleEndian) => {
    const body = new FileWriter(littleEndian);
    write(body);
    const octets = body.pad().finish();
    const length = octets.length + 12;
    const file = new FileWriter(littleEndian).number(type, 4).number(length, 4);
    return file.bytes(octets).number(length, 4).finish();
  };
}

export const section = block(0x0a0d0d0a, (body) =>
  body
    .number(0x1a2b3c4d, 4)
    .number(1, 2)
    .number(0, 2)
    .number(2n ** 64n - 1n, 8),
);

export interface InterfaceOptions {
  readonly snapLength?: number;
  /** if_tsresol */
  readonly resolution?: number;
  /** if_tsoffset, seconds */
  readonly offset?: bigint;
}

export function captureInterface(linkType: number, options: InterfaceOptions = {}): Block {
  return block(1, (body) => {
    body
      .number(linkType, 2)
      .number(0, 2)
      .number(options.snapLength ?? 0, 4);
    body
      .number(2, 2)
      .number(3, 2)
      .bytes(Uint8Array.of(0x6c, 0x6f, 0x30))
      .pad();
    if (options.resolution !== undefined) {
      body.number(9, 2).number(1, 2).number(options.resolution, 1).pad();
    }
    if (options.offset !== undefined) body.number(14, 2).number(8, 2).number(options.offset, 8);
    body.number(0, 2).number(0, 2);
  });
}

/** @param units of the interface's resolution since 1970 */
export function enhancedPacket(id: number, units: bigint, bytes: Uint8Array): Block {
  return block(6, (body) => {
    body
      .number(id, 4)
      .number(units >> 32n, 4)
      .number(units & 0xffffffffn, 4);
    body
      .number(bytes.length, 4)
      .number(bytes.length + 7, 4)
      .bytes(bytes)
      .pad();
    body.number(0, 2).number(0, 2);
  });
}

export function simplePacket(originalLength: number, bytes: Uint8Array): Block {
  return block(3, (body) => body.number(originalLength, 4).bytes(bytes));
}

export function otherBlock(type: number, length: number): Block {
  return block(type, (body) => body.bytes(new Uint8Array(length)));
}
