/*
 * pcapng blocks, little-endian (draft-ietf-opsawg-pcapng sections 4.1 to 4.3). Timestamps are in
 * microseconds, which needs no option.
 */

const SECTION_HEADER_BLOCK = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION_BLOCK = 1;
const ENHANCED_PACKET_BLOCK = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const VERSION = 1;
const OPTION_HEADER_LENGTH = 4;
const OPTION_COMMENT = 1;
const OPTION_NAME = 2;
/** LINKTYPE_IPV6: packets begin with their IPv6 header. */
const LINK_TYPE_IPV6 = 229;

/** Octets that are kept of a packet, from its IPv6 header on: that at least. */
export const SNAP_LENGTH = { least: 40, most: 65_535 };

/**
 * Begins a file; an interface must come before its first packet.
 * @param comments on the file; each 65535 octets of UTF-8 at most
 */
export function sectionHeader(comments: readonly string[]): Uint8Array {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, BYTE_ORDER_MAGIC, true);
  view.setUint16(4, VERSION, true);
  // Nobody knows how long the section will be.
  body.fill(0xff, 8);
  return block(SECTION_HEADER_BLOCK, body, ...options(OPTION_COMMENT, ...comments));
}

/** Interfaces are numbered from 0 on, in the order of these. */
export function interfaceDescription(name: string): Uint8Array {
  const body = new Uint8Array(8);
  new DataView(body.buffer).setUint16(0, LINK_TYPE_IPV6, true);
  return block(INTERFACE_DESCRIPTION_BLOCK, body, ...options(OPTION_NAME, name));
}

export interface PacketRecord {
  readonly interfaceNumber: number;
  /** Microseconds since 1970. */
  readonly at: number;
  readonly packet: Uint8Array;
  /** Octets of the whole packet, of which `packet` may be the beginning. */
  readonly originalLength: number;
  readonly comment: string;
}

export function enhancedPacket(record: PacketRecord): Uint8Array {
  const { interfaceNumber, at, packet, originalLength, comment } = record;
  const body = new Uint8Array(20 + padded(packet.length));
  const view = new DataView(body.buffer);
  view.setUint32(0, interfaceNumber, true);
  view.setUint32(4, Math.floor(at / 2 ** 32), true);
  view.setUint32(8, at % 2 ** 32, true);
  view.setUint32(12, packet.length, true);
  view.setUint32(16, originalLength, true);
  body.set(packet, 20);
  return block(ENHANCED_PACKET_BLOCK, body, ...options(OPTION_COMMENT, comment));
}

/** An option for each text, and the end of options. */
function options(code: number, ...texts: readonly string[]): Uint8Array[] {
  return [...texts.map((text) => option(code, text)), new Uint8Array(OPTION_HEADER_LENGTH)];
}

function option(code: number, text: string): Uint8Array {
  const value = new TextEncoder().encode(text);
  const bytes = new Uint8Array(OPTION_HEADER_LENGTH + padded(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, OPTION_HEADER_LENGTH);
  return bytes;
}

function block(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 12);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  view.setUint32(at, length, true);
  return bytes;
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}
