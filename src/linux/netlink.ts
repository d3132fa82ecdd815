/**
 * Netlink messages and attributes as octets. Netlink speaks the host's byte order, which
 * libc.ts has checked to be little-endian; nfnetlink's own fields are big-endian.
 */

/** struct nlmsghdr: length, type, flags, sequence number, port ID. */
export const NLMSG_HEADER_LENGTH = 16;
const ATTRIBUTE_HEADER_LENGTH = 4;

/** The two top bits of an attribute's type are flags (nested, network byte order). */
const NLA_TYPE_MASK = 0x3fff;
const NLA_F_NESTED = 0x8000;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSG_OVERRUN = 4;

export const NLM_F_REQUEST = 0x001;
export const NLM_F_ACK = 0x004;
export const NLM_F_DUMP_INTR = 0x010;
/** On requests to read. */
export const NLM_F_DUMP = 0x300;
/** On requests to add, and on the notifications about them. */
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

/** On acknowledgements: the request is not quoted; extended ACK attributes follow. */
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the netlink header: the family's header and attributes. */
  readonly body: Uint8Array;
}

/** An acknowledgement; `errno` is 0 for success. */
export interface NetlinkAck {
  readonly errno: number;
  /** The extended ACK's text, in the kernel's words. */
  readonly text: string | undefined;
}

/** The kernel, or whoever wrote the octets, broke netlink's framing. */
export class NetlinkFormatError extends Error {
  override readonly name = "NetlinkFormatError";
}

/** Lengths count the octets used; the next message or attribute starts at the next multiple of 4. */
export function align4(length: number): number {
  return (length + 3) & ~3;
}

/**
 * The messages of one datagram, as views of `bytes`.
 * @throws NetlinkFormatError where a length points outside of `bytes`
 */
export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = viewOf(bytes);
  const messages: NetlinkMessage[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.length - offset < NLMSG_HEADER_LENGTH) {
      throw new NetlinkFormatError(`${bytes.length - offset} octets cannot hold a netlink header`);
    }
    const length = view.getUint32(offset, true);
    if (length < NLMSG_HEADER_LENGTH || offset + length > bytes.length) {
      throw new NetlinkFormatError(`netlink message length ${length} at ${offset} is wrong`);
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      body: bytes.subarray(offset + NLMSG_HEADER_LENGTH, offset + length),
    });
    offset += align4(length);
  }
  return messages;
}

/** One message, padded to a multiple of 4 octets. */
export function encodeMessage(message: NetlinkMessage): Uint8Array {
  const length = NLMSG_HEADER_LENGTH + message.body.length;
  const bytes = new Uint8Array(align4(length));
  const view = viewOf(bytes);
  view.setUint32(0, length, true);
  view.setUint16(4, message.type, true);
  view.setUint16(6, message.flags, true);
  view.setUint32(8, message.sequence, true);
  bytes.set(message.body, NLMSG_HEADER_LENGTH);
  return bytes;
}

/**
 * Reads an NLMSG_ERROR message, which is also the acknowledgement of success.
 * @throws NetlinkFormatError when it is too short
 */
export function decodeAck(message: NetlinkMessage): NetlinkAck {
  const { body, flags } = message;
  if (body.length < 4 + NLMSG_HEADER_LENGTH) {
    throw new NetlinkFormatError(`an acknowledgement of ${body.length} octets is too short`);
  }
  const view = viewOf(body);
  const errno = Math.abs(view.getInt32(0, true));
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, text: undefined };
  const quoted = (flags & NLM_F_CAPPED) !== 0 ? NLMSG_HEADER_LENGTH : view.getUint32(4, true);
  const text = decodeAttributes(body, 4 + align4(quoted)).get(NLMSGERR_ATTR_MSG);
  return { errno, text: text === undefined ? undefined : attributeText(text) };
}

/** Reads an NLMSG_DONE message: a dump that fails on the way says so in its end. */
export function decodeDone(message: NetlinkMessage): NetlinkAck {
  const { body } = message;
  if (body.length < 4) return { errno: 0, text: undefined };
  return { errno: Math.abs(viewOf(body).getInt32(0, true)), text: undefined };
}

/** Attributes by type; where one occurs twice the last counts, as in the kernel's parser. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

/**
 * Reads the attributes from `offset` to the end, as views of `bytes`.
 * @throws NetlinkFormatError where a length points outside of `bytes`
 */
export function decodeAttributes(bytes: Uint8Array, offset = 0): Attributes {
  const view = viewOf(bytes);
  const attributes = new Map<number, Uint8Array>();
  for (let at = offset; at + ATTRIBUTE_HEADER_LENGTH <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER_LENGTH || at + length > bytes.length) {
      throw new NetlinkFormatError(`netlink attribute length ${length} at ${at} is wrong`);
    }
    const type = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
    attributes.set(type, bytes.subarray(at + ATTRIBUTE_HEADER_LENGTH, at + length));
    at += align4(length);
  }
  return attributes;
}

/** Builds a message body: a family header, then attributes, each padded to 4 octets. */
export class BodyWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(header: Uint8Array) {
    this.#append(header);
  }

  /** Adds an attribute of these octets. */
  bytes(type: number, value: Uint8Array): this {
    if (value.length > 0xffff - ATTRIBUTE_HEADER_LENGTH) {
      throw new RangeError(`a netlink attribute cannot hold ${value.length} octets`);
    }
    const header = new Uint8Array(ATTRIBUTE_HEADER_LENGTH);
    viewOf(header).setUint16(0, ATTRIBUTE_HEADER_LENGTH + value.length, true);
    viewOf(header).setUint16(2, type, true);
    this.#append(header);
    this.#append(value);
    return this;
  }

  u8(type: number, value: number): this {
    return this.bytes(type, Uint8Array.of(value));
  }

  u32(type: number, value: number): this {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value, true);
    return this.bytes(type, bytes);
  }

  u32BigEndian(type: number, value: number): this {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value);
    return this.bytes(type, bytes);
  }

  /** A string with its terminating zero. */
  text(type: number, value: string): this {
    return this.bytes(type, new TextEncoder().encode(`${value}\0`));
  }

  nested(type: number, attributes: BodyWriter): this {
    return this.bytes(type | NLA_F_NESTED, attributes.finish());
  }

  finish(): Uint8Array {
    const bytes = new Uint8Array(this.#length);
    let offset = 0;
    for (const part of this.#parts) {
      bytes.set(part, offset);
      offset += align4(part.length);
    }
    return bytes;
  }

  #append(part: Uint8Array): void {
    this.#parts.push(part);
    this.#length += align4(part.length);
  }
}

/** @throws NetlinkFormatError when the attribute is shorter than 32 bits */
export function attributeU32(value: Uint8Array): number {
  requireLength(value, 4);
  return viewOf(value).getUint32(0, true);
}

/** @throws NetlinkFormatError when the attribute is empty */
export function attributeU8(value: Uint8Array): number {
  requireLength(value, 1);
  return value[0] ?? 0;
}

/** A string, without the zero that ends it. */
export function attributeText(value: Uint8Array): string {
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @throws NetlinkFormatError when `bytes` is shorter than `length` */
export function requireLength(bytes: Uint8Array, length: number): void {
  if (bytes.length >= length) return;
  throw new NetlinkFormatError(`expected ${length} octets of netlink data, got ${bytes.length}`);
}
