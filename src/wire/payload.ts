import {
  findShim6Header,
  IPV6_HEADER_LENGTH,
  nextHeaderFieldOf,
  type PacketError,
  PROTOCOL_SHIM6,
  PROTOCOL_UDP,
  packetLength,
  SOURCE_OFFSET,
  setPayloadLength,
  shim6InsertionOffset,
  UDP_HEADER_LENGTH,
} from "./ipv6.ts";
import { isPayloadHeader, PAYLOAD_HEADER_LENGTH, writePayloadHeader } from "./payload-header.ts";
import { failure, type Result, success } from "./result.ts";
import type { ContextTag } from "./tag.ts";
import { writeUdpHeader } from "./udp.ts";

/*
 * The user-space data plane calls these for every packet: addresses are 16 octets, nothing is
 * made but the packet that comes out.
 */

const MAXIMUM_PAYLOAD_LENGTH = 65535;

/** Octets that a packet loses at most when the header goes. */
const REMOVED_MAX = UDP_HEADER_LENGTH + PAYLOAD_HEADER_LENGTH;

/** Where a Payload Extension header is in its packet, and what it says. */
export interface LocatedPayloadHeader {
  /** From the beginning of the packet. */
  readonly offset: number;
  /** It stands behind a UDP header. */
  readonly encapsulated: boolean;
  readonly tag: ContextTag;
  /** The protocol that comes back when the header goes. */
  readonly nextHeader: number;
  /** Of the packet, in octets. */
  readonly length: number;
}

/**
 * Writes the packet with the locators for addresses and the Payload Extension header put in. ULP
 * checksums stay as they are: they cover the ULIDs (RFC 5533 section 11.1).
 *
 * @param target where to write, from `at` on: as much as the packet and the headers have, and not
 *   overlapping it.
 * @param packet from its IPv6 header on; octets behind its end are left out.
 * @param addresses 32 octets: the new source, then the new destination.
 * @param port of UDP, where the header is to go in that.
 * @returns how many octets were written, or why none were.
 * @throws RangeError when `target` is too small.
 */
export function writeRewritten(
  target: Uint8Array,
  at: number,
  packet: Uint8Array,
  addresses: Uint8Array,
  tag: ContextTag,
  port?: number,
): number | PacketError {
  const length = packetLength(packet);
  if (typeof length === "string") return length;
  const udpLength = port === undefined ? 0 : UDP_HEADER_LENGTH;
  const added = udpLength + PAYLOAD_HEADER_LENGTH;
  const newLength = length + added;
  if (newLength > IPV6_HEADER_LENGTH + MAXIMUM_PAYLOAD_LENGTH) return "too-long";
  const gap = shim6InsertionOffset(packet, length);
  if (typeof gap === "string") return gap;

  // All of it behind the gap, then the headers in front: so the gap is where it belongs.
  target.set(trim(packet, length), at + added);
  writeFront(target, at, packet, gap, addresses);
  const field = nextHeaderFieldOf(packet, gap);
  writePayloadHeader(target, at + gap + udpLength, packet[field] as number, tag);
  target[at + field] = port === undefined ? PROTOCOL_SHIM6 : PROTOCOL_UDP;
  setPayloadLength(target, newLength - IPV6_HEADER_LENGTH, at);
  if (port !== undefined) {
    writeUdpHeader(target.subarray(at, at + newLength), gap, newLength, port);
  }
  return newLength;
}

/**
 * The reverse of {@link writeRewritten}: writes the packet with the ULIDs for addresses and without
 * the Payload Extension header (RFC 5533 section 12.2), and without the UDP header before it,
 * whose checksum is not verified: the ULP has its own.
 *
 * @param target where to write, from `at` on, not overlapping `packet`; the 16
 *   octets before that may be overwritten.
 * @param packet from its IPv6 header on.
 * @param header what {@link findPayloadHeader} says of it.
 * @param addresses 32 octets: the new source, then the new destination.
 * @returns how many octets were written.
 * @throws RangeError when `target` is too small.
 */
export function writeRestored(
  target: Uint8Array,
  at: number,
  packet: Uint8Array,
  { offset, encapsulated, nextHeader, length }: LocatedPayloadHeader,
  addresses: Uint8Array,
): number {
  const start = encapsulated ? offset - UDP_HEADER_LENGTH : offset;
  const removed = offset + PAYLOAD_HEADER_LENGTH - start;
  // All of it so far ahead that what follows the header is in place, then the headers in front.
  target.set(trim(packet, length), at - removed);
  writeFront(target, at, packet, start, addresses);
  target[at + nextHeaderFieldOf(packet, start)] = nextHeader;
  setPayloadLength(target, length - removed - IPV6_HEADER_LENGTH, at);
  return length - removed;
}

/** See {@link writeRewritten}. @returns an array of its own */
export function addPayloadHeader(
  packet: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  tag: ContextTag,
  port?: number,
): Result<Uint8Array, PacketError> {
  const target = new Uint8Array(packet.length + UDP_HEADER_LENGTH + PAYLOAD_HEADER_LENGTH);
  const written = writeRewritten(target, 0, packet, joined(source, destination), tag, port);
  return typeof written === "string" ? failure(written) : success(target.slice(0, written));
}

/** See {@link writeRestored}. @param port where Shim6 may go in UDP @returns an array of its own */
export function removePayloadHeader(
  packet: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  port?: number,
): Result<Uint8Array, PacketError> {
  const header = findPayloadHeader(packet, port);
  if (!header.ok) return header;
  const addresses = joined(source, destination);
  const target = new Uint8Array(REMOVED_MAX + packet.length);
  const written = writeRestored(target, REMOVED_MAX, packet, header.value, addresses);
  return success(target.slice(REMOVED_MAX, REMOVED_MAX + written));
}

/** Finds the Payload Extension header of a whole packet. @param port where it may go in UDP */
export function findPayloadHeader(
  packet: Uint8Array,
  port?: number,
): Result<LocatedPayloadHeader, PacketError> {
  const length = packetLength(packet);
  if (typeof length === "string") return failure(length);
  const start = findShim6Start(packet, length, port);
  if (typeof start === "string") return failure(start);
  const offset = shim6Behind(packet, start);
  const encapsulated = offset > start;
  const nextHeader = packet[offset] as number;
  return success({ offset, encapsulated, tag: readTag(packet, offset), nextHeader, length });
}

/** Where the payload header is, or the UDP header before it. */
function findShim6Start(
  packet: Uint8Array,
  length: number,
  port: number | undefined,
): number | PacketError {
  const start = findShim6Header(packet, length, port);
  if (typeof start === "string") return start;
  const offset = shim6Behind(packet, start);
  if (offset + PAYLOAD_HEADER_LENGTH > length) return "truncated";
  // Hdr Ext Len is 0 in every payload header; anything else is no header of ours.
  if (!isPayloadHeader(packet, offset) || packet[offset + 1] !== 0) return "no-payload-header";
  return start;
}

function shim6Behind(packet: Uint8Array, start: number): number {
  const isUdp = packet[nextHeaderFieldOf(packet, start)] === PROTOCOL_UDP;
  return isUdp ? start + UDP_HEADER_LENGTH : start;
}

function readTag(packet: Uint8Array, offset: number): ContextTag {
  let tag = (packet[offset + 2] as number) & 0x7f;
  for (let i = offset + 3; i < offset + PAYLOAD_HEADER_LENGTH; i++) {
    tag = tag * 256 + (packet[i] as number);
  }
  return tag as ContextTag;
}

/** The headers before `end` with other addresses. Loops: so little is copied sooner than asked for. */
function writeFront(
  target: Uint8Array,
  at: number,
  packet: Uint8Array,
  end: number,
  addresses: Uint8Array,
): void {
  for (let i = 0; i < SOURCE_OFFSET; i++) target[at + i] = packet[i] as number;
  target.set(addresses, at + SOURCE_OFFSET);
  for (let i = IPV6_HEADER_LENGTH; i < end; i++) target[at + i] = packet[i] as number;
}

function joined(source: Uint8Array, destination: Uint8Array): Uint8Array {
  const addresses = new Uint8Array(source.length + destination.length);
  addresses.set(source);
  addresses.set(destination, source.length);
  return addresses;
}

/** The array itself where it can be: a view costs more than the rest of a small packet. */
function trim(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.length === length ? bytes : bytes.subarray(0, length);
}
