import {
  DESTINATION_OFFSET,
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

/** Where a Payload Extension header is in its packet, and what it says. */
export interface LocatedPayloadHeader {
  /** From the beginning of the packet. */
  readonly offset: number;
  /** It stands behind a UDP header. */
  readonly encapsulated: boolean;
  readonly tag: ContextTag;
  /** The protocol that comes back when the header goes. */
  readonly nextHeader: number;
}

/**
 * The packet with the locators for addresses and the Payload Extension header put in. ULP
 * checksums stay as they are: they cover the ULIDs (RFC 5533 section 11.1).
 *
 * @param packet from its IPv6 header on; octets behind its end are left out.
 * @param out where to write, as much longer than `packet` as the headers, and not overlapping it;
 *   an array of its own is made when it is missing.
 * @param port of UDP, where the header is to go in that.
 * @returns the octets written.
 * @throws RangeError when `out` is too small.
 */
export function addPayloadHeader(
  packet: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  tag: ContextTag,
  out?: Uint8Array,
  port?: number,
): Result<Uint8Array, PacketError> {
  const length = packetLength(packet);
  if (typeof length === "string") return failure(length);
  const udpLength = port === undefined ? 0 : UDP_HEADER_LENGTH;
  const added = udpLength + PAYLOAD_HEADER_LENGTH;
  const newLength = length + added;
  if (newLength > IPV6_HEADER_LENGTH + MAXIMUM_PAYLOAD_LENGTH) return failure("too-long");
  const at = shim6InsertionOffset(packet, length);
  if (typeof at === "string") return failure(at);

  const target = out ?? new Uint8Array(newLength);
  // All of it behind the gap, then the headers back: so the gap is where it belongs.
  target.set(trim(packet, length), added);
  target.copyWithin(0, added, added + at);
  const field = nextHeaderFieldOf(packet, at);
  writePayloadHeader(target, at + udpLength, packet[field] as number, tag);
  target[field] = port === undefined ? PROTOCOL_SHIM6 : PROTOCOL_UDP;
  setHeader(target, newLength, source, destination);
  if (port !== undefined) writeUdpHeader(target, at, newLength, port);
  return success(trim(target, newLength));
}

/**
 * The reverse of {@link addPayloadHeader}: the packet with the ULIDs for addresses and without
 * the Payload Extension header (RFC 5533 section 12.2), and without the UDP header before it,
 * whose checksum is not verified: the ULP has its own.
 *
 * @param out where to write, at least as long as `packet` and not overlapping it.
 * @param port where Shim6 may go in UDP.
 * @throws RangeError when `out` is too small.
 */
export function removePayloadHeader(
  packet: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  out?: Uint8Array,
  port?: number,
): Result<Uint8Array, PacketError> {
  const length = packetLength(packet);
  if (typeof length === "string") return failure(length);
  const start = findShim6Start(packet, length, port);
  if (typeof start === "string") return failure(start);
  const at = shim6Behind(packet, start);

  const target = out ?? new Uint8Array(length);
  target.set(trim(packet, length));
  const end = at + PAYLOAD_HEADER_LENGTH;
  target.copyWithin(start, end, length);
  target[nextHeaderFieldOf(packet, start)] = packet[at] as number;
  const newLength = length - (end - start);
  setHeader(target, newLength, source, destination);
  return success(target.subarray(0, newLength));
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
  return success({ offset, encapsulated, tag: readTag(packet, offset), nextHeader });
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

function setHeader(
  packet: Uint8Array,
  length: number,
  source: Uint8Array,
  destination: Uint8Array,
): void {
  setPayloadLength(packet, length - IPV6_HEADER_LENGTH);
  packet.set(source, SOURCE_OFFSET);
  packet.set(destination, DESTINATION_OFFSET);
}

/** The array itself where it can be: a view costs more than the rest of a small packet. */
function trim(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.length === length ? bytes : bytes.subarray(0, length);
}
