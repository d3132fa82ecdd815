import { onesComplementSum } from "./checksum.ts";
import {
  DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH,
  MINIMUM_MTU,
  nextHeaderFieldOf,
  type PacketError,
  PROTOCOL_ICMPV6,
  packetLength,
  payloadLength,
  SOURCE_OFFSET,
  setPayloadLength,
  shim6OffsetAt,
  walkHeaders,
} from "./ipv6.ts";
import { decodePayloadHeader, PAYLOAD_HEADER_LENGTH } from "./payload-header.ts";
import { failure, type Result, success } from "./result.ts";
import type { ContextTag } from "./tag.ts";

/** RFC 4443 sections 3.1 to 3.4. */
export const ICMP_DESTINATION_UNREACHABLE = 1;
export const ICMP_PACKET_TOO_BIG = 2;
export const ICMP_TIME_EXCEEDED = 3;
export const ICMP_PARAMETER_PROBLEM = 4;
/** Code of a Destination Unreachable: the packet arrived, and nobody listens. */
const ICMP_PORT_UNREACHABLE = 4;
/** Code of a Parameter Problem: unrecognized Next Header type. */
const ICMP_UNRECOGNIZED_NEXT_HEADER = 1;

/** Types below this are errors (RFC 4443 section 2.1). */
const FIRST_INFORMATIONAL_TYPE = 128;
const ICMP_HEADER_LENGTH = 8;

/** An ICMPv6 error message. */
export interface IcmpError {
  readonly type: number;
  readonly code: number;
  readonly checksum: number;
  /** Octets 4 to 7: the MTU of Packet Too Big, the pointer of Parameter Problem. */
  readonly parameter: number;
  /** As much of it as the error quotes; a view. */
  readonly packetInError: Uint8Array;
}

/**
 * Whether another locator pair may cure what an error says (RFC 5533 section 8). Packet Too Big,
 * port unreachable and most parameter problems are the ULP's.
 */
export function concernsPath({ type, code }: Pick<IcmpError, "type" | "code">): boolean {
  if (type === ICMP_DESTINATION_UNREACHABLE) return code !== ICMP_PORT_UNREACHABLE;
  return type === ICMP_TIME_EXCEEDED;
}

/** Reads an ICMPv6 error from its type on. The checksum is not verified. */
export function parseIcmpError(message: Uint8Array): Result<IcmpError, PacketError> {
  if (message.length < ICMP_HEADER_LENGTH) return failure("truncated");
  const view = viewOf(message);
  const type = view.getUint8(0);
  if (type >= FIRST_INFORMATIONAL_TYPE) return failure("not-icmp-error");
  return success({
    type,
    code: view.getUint8(1),
    checksum: view.getUint16(2),
    parameter: view.getUint32(4),
    packetInError: message.subarray(ICMP_HEADER_LENGTH, quotedEnd(message, type)),
  });
}

/**
 * Where the packet in error ends: RFC 4884 lets extensions follow it, and then gives its
 * length in units of 8 octets in two of the types.
 */
function quotedEnd(message: Uint8Array, type: number): number {
  const hasLength = type === ICMP_DESTINATION_UNREACHABLE || type === ICMP_TIME_EXCEEDED;
  const units = hasLength ? (message[4] as number) : 0;
  if (units === 0) return message.length;
  return Math.min(message.length, ICMP_HEADER_LENGTH + 8 * units);
}

/**
 * The ICMPv6 checksum of `message`, whose checksum field is zero, with the pseudo-header of
 * RFC 8200 section 8.1; addresses are 16 octets. Over a message as received the result is 0
 * when its checksum is right.
 */
export function icmpChecksum(
  source: Uint8Array,
  destination: Uint8Array,
  message: Uint8Array,
): number {
  let sum = onesComplementSum(source, 0, source.length);
  sum = onesComplementSum(destination, 0, destination.length, sum);
  sum = onesComplementSum(message, 0, message.length, sum + message.length + PROTOCOL_ICMPV6);
  return ~sum & 0xffff;
}

/** What an ICMPv6 error says, apart from the packet that it is about. */
export interface IcmpErrorFields {
  readonly type: number;
  /** 0 .. 255. */
  readonly code: number;
  /** Octets 4 to 7, 0 .. 2^32 - 1. */
  readonly parameter: number;
}

/**
 * Builds an ICMPv6 error from its type on, with checksum. It quotes as much of `packetInError`
 * as 1280 octets in all hold (RFC 4443 section 2.4).
 */
export function buildIcmpError(
  source: Uint8Array,
  destination: Uint8Array,
  fields: IcmpErrorFields,
  packetInError: Uint8Array,
): Uint8Array {
  const room = MINIMUM_MTU - IPV6_HEADER_LENGTH - ICMP_HEADER_LENGTH;
  const quoted = packetInError.subarray(0, room);
  const message = new Uint8Array(ICMP_HEADER_LENGTH + quoted.length);
  const view = viewOf(message);
  view.setUint8(0, fields.type);
  view.setUint8(1, fields.code);
  view.setUint32(4, fields.parameter);
  message.set(quoted, ICMP_HEADER_LENGTH);
  view.setUint16(2, icmpChecksum(source, destination, message));
  return message;
}

/** `mtu` in octets. See {@link buildIcmpError}. */
export function buildPacketTooBig(
  source: Uint8Array,
  destination: Uint8Array,
  mtu: number,
  packetInError: Uint8Array,
): Uint8Array {
  const fields = { type: ICMP_PACKET_TOO_BIG, code: 0, parameter: mtu };
  return buildIcmpError(source, destination, fields, packetInError);
}

/** `pointer` is the offset of the octet at fault. See {@link buildIcmpError}. */
export function buildParameterProblem(
  source: Uint8Array,
  destination: Uint8Array,
  code: number,
  pointer: number,
  packetInError: Uint8Array,
): Uint8Array {
  const fields = { type: ICMP_PARAMETER_PROBLEM, code, parameter: pointer };
  return buildIcmpError(source, destination, fields, packetInError);
}

/** An IPv6 packet with an ICMPv6 error. */
export interface FoundIcmpError {
  /** Of the ICMPv6 type, from the beginning of the packet. */
  readonly icmpOffset: number;
  readonly error: IcmpError;
}

/** One about a packet that carries the payload header. */
export interface QuotedPayload extends FoundIcmpError {
  /** The tag of the peer to whom the packet in error went. */
  readonly tag: ContextTag;
  /** Of the payload header, or the UDP header before it, from the beginning of the packet in error. */
  readonly headerOffset: number;
  /** Octets of both. */
  readonly headerLength: number;
  /** The protocol that follows them. */
  readonly nextHeader: number;
}

/** Looks into a whole IPv6 packet for an ICMPv6 error. The checksum is not verified. */
export function findIcmpError(packet: Uint8Array): Result<FoundIcmpError, PacketError> {
  const length = packetLength(packet);
  if (typeof length === "string") return failure(length);
  const chain = walkHeaders(packet);
  if (!chain.ok) return chain;
  const { protocol, offset: icmpOffset, fragment } = chain.value;
  if (protocol !== PROTOCOL_ICMPV6 || fragment !== "none") return failure("not-icmp-error");
  const error = parseIcmpError(packet.subarray(icmpOffset, length));
  return error.ok ? success({ icmpOffset, error: error.value }) : error;
}

/**
 * Looks into a whole IPv6 packet for an ICMPv6 error about payload that left with the payload
 * header. The packet in error carries locators: ours as source, the peer's as destination.
 * @param port where it may have gone in UDP
 */
export function findQuotedPayload(
  packet: Uint8Array,
  port?: number,
): Result<QuotedPayload, PacketError> {
  const found = findIcmpError(packet);
  if (!found.ok) return found;
  const { packetInError } = found.value.error;
  const quoted = walkHeaders(packetInError);
  if (!quoted.ok) return quoted;
  const { protocol, offset: headerOffset, fragment } = quoted.value;
  const offset = shim6OffsetAt(packetInError, protocol, headerOffset, port);
  if (offset === undefined || fragment === "later") return failure("no-payload-header");
  const header = decodePayloadHeader(packetInError.subarray(offset));
  if (!header.ok) {
    return failure(header.error.code === "truncated" ? "truncated" : "no-payload-header");
  }
  const { receiverContextTag: tag, nextHeader } = header.value;
  const headerLength = offset + PAYLOAD_HEADER_LENGTH - headerOffset;
  return success({ ...found.value, tag, headerOffset, headerLength, nextHeader });
}

/**
 * Turns an ICMPv6 error about a rewritten packet into the one that the ULP should see: sent to
 * the local ULID, about a packet between the ULIDs without the payload header, with 8 octets (16
 * in UDP) less for the MTU. RFC 4884 extensions are left out.
 *
 * @param packet the whole IPv6 packet that carries the error.
 * @param localUlid 16 octets, as `peerUlid`.
 * @param port see {@link findQuotedPayload}
 * @returns a new packet, 8 octets or more shorter.
 */
export function translateIcmpError(
  packet: Uint8Array,
  localUlid: Uint8Array,
  peerUlid: Uint8Array,
  port?: number,
): Result<Uint8Array, PacketError> {
  const found = findQuotedPayload(packet, port);
  if (!found.ok) return found;
  const { icmpOffset, error } = found.value;
  const parameter = translateParameter(found.value);
  if (typeof parameter === "string") return failure(parameter);

  const quoted = restoreQuoted(found.value, localUlid, peerUlid);
  const source = packet.subarray(SOURCE_OFFSET, DESTINATION_OFFSET);
  const { type, code } = error;
  const message = buildIcmpError(source, localUlid, { type, code, parameter }, quoted);
  const translated = new Uint8Array(icmpOffset + message.length);
  translated.set(packet.subarray(0, icmpOffset));
  translated.set(localUlid, DESTINATION_OFFSET);
  translated.set(message, icmpOffset);
  setPayloadLength(translated, translated.length - IPV6_HEADER_LENGTH);
  return success(translated);
}

function translateParameter(quoted: QuotedPayload): number | PacketError {
  const { error, headerOffset, headerLength } = quoted;
  const { type, code, parameter, packetInError } = error;
  if (type === ICMP_PACKET_TOO_BIG) return translateMtu(parameter, headerLength);
  // Unused otherwise, but for the length of RFC 4884, whose extensions are gone.
  if (type !== ICMP_PARAMETER_PROBLEM) return 0;
  const namesShim6 =
    code === ICMP_UNRECOGNIZED_NEXT_HEADER &&
    parameter === nextHeaderFieldOf(packetInError, headerOffset);
  const end = headerOffset + headerLength;
  if (namesShim6 || (parameter >= headerOffset && parameter < end)) return "about-shim6-header";
  return parameter < headerOffset ? parameter : parameter - headerLength;
}

/**
 * No ULP goes below 1280 octets, so that this is the least worth telling: a path MTU of 1280 to
 * 1287 (1295 in UDP) cannot be served without fragments. Less than 1280 stays, for the host to discard
 * (RFC 8201 section 4).
 */
function translateMtu(mtu: number, headerLength: number): number {
  return mtu < MINIMUM_MTU ? mtu : Math.max(MINIMUM_MTU, mtu - headerLength);
}

/** The packet in error, however short, as the ULP sent it. */
function restoreQuoted(
  { error, headerOffset, headerLength, nextHeader }: QuotedPayload,
  localUlid: Uint8Array,
  peerUlid: Uint8Array,
): Uint8Array {
  const quoted = error.packetInError;
  const restored = new Uint8Array(quoted.length - headerLength);
  restored.set(quoted.subarray(0, headerOffset));
  restored.set(quoted.subarray(headerOffset + headerLength), headerOffset);
  restored[nextHeaderFieldOf(quoted, headerOffset)] = nextHeader;
  setPayloadLength(restored, payloadLength(quoted) - headerLength);
  restored.set(localUlid, SOURCE_OFFSET);
  restored.set(peerUlid, DESTINATION_OFFSET);
  return restored;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
