import { failure, type Result, success } from "./result.ts";

export const IPV6_HEADER_LENGTH = 40;
/** Every link carries packets of this many octets, and no ULP goes below (RFC 8200 section 5). */
export const MINIMUM_MTU = 1280;
/** Where things are in the IPv6 header (RFC 8200 section 3). */
const PAYLOAD_LENGTH_OFFSET = 4;
export const NEXT_HEADER_OFFSET = 6;
export const SOURCE_OFFSET = 8;
export const DESTINATION_OFFSET = 24;

const PROTOCOL_HOP_BY_HOP = 0;
export const PROTOCOL_UDP = 17;
const PROTOCOL_ROUTING = 43;
export const PROTOCOL_FRAGMENT = 44;
const PROTOCOL_AUTHENTICATION = 51;
export const PROTOCOL_ICMPV6 = 58;
const PROTOCOL_DESTINATION_OPTIONS = 60;
export const PROTOCOL_SHIM6 = 140;

/** Octets of the UDP header (RFC 768) that may stand before Shim6 (docs/encapsulation.md). */
export const UDP_HEADER_LENGTH = 8;

/** More extension headers than RFC 8200 section 4.1 lists, with room for odd chains. */
const MAX_EXTENSION_HEADERS = 16;

/** Why a packet cannot be used. A plain word, so that the data plane can count it. */
export type PacketError =
  | "not-ipv6"
  /** The octets end before the packet, or the packet before one of its headers. */
  | "truncated"
  /** Payload Length 0 with octets behind the header (RFC 2675). */
  | "jumbogram"
  | "too-many-headers"
  /** With the Shim6 header it would exceed 65535 octets of payload. */
  | "too-long"
  /** No Shim6 Payload Extension header where RFC 5533 section 4.6 puts it. */
  | "no-payload-header"
  | "not-icmp-error"
  /** The ICMPv6 error is about the Shim6 header itself, which the ULP knows nothing of. */
  | "about-shim6-header";

export function payloadLength(packet: Uint8Array): number {
  return readU16(packet, PAYLOAD_LENGTH_OFFSET);
}

/** @param at where the packet begins in `bytes` */
export function setPayloadLength(bytes: Uint8Array, length: number, at = 0): void {
  bytes[at + PAYLOAD_LENGTH_OFFSET] = length >> 8;
  bytes[at + PAYLOAD_LENGTH_OFFSET + 1] = length & 0xff;
}

/** Octets of the packet by its own Payload Length; octets behind it are the link layer's. */
export function packetLength(packet: Uint8Array): number | PacketError {
  if (!hasIpv6Header(packet)) return "not-ipv6";
  const length = payloadLength(packet);
  if (length === 0 && packet.length > IPV6_HEADER_LENGTH) return "jumbogram";
  if (IPV6_HEADER_LENGTH + length > packet.length) return "truncated";
  return IPV6_HEADER_LENGTH + length;
}

export function hasIpv6Header(packet: Uint8Array): boolean {
  return packet.length >= IPV6_HEADER_LENGTH && (packet[0] as number) >> 4 === 6;
}

/**
 * Where the Shim6 header goes: behind Hop-by-Hop Options, Routing headers and a Destination
 * Options header that a Routing header follows; before Fragment and everything else
 * (RFC 5533 sections 4.6 and 11.1). `end` is the {@link packetLength}. Allocates nothing.
 */
export function shim6InsertionOffset(packet: Uint8Array, end: number): number | PacketError {
  let offset = IPV6_HEADER_LENGTH;
  let insertion = offset;
  let protocol = packet[NEXT_HEADER_OFFSET] as number;
  for (let count = 0; isRoutingSublayer(protocol, offset); count++) {
    if (count === MAX_EXTENSION_HEADERS) return "too-many-headers";
    const next = offset + extensionLength(protocol, packet, offset);
    if (!(next <= end)) return "truncated";
    if (protocol !== PROTOCOL_DESTINATION_OPTIONS) insertion = next;
    protocol = packet[offset] as number;
    offset = next;
  }
  return insertion;
}

/**
 * Where the Shim6 header is when `protocol` stands at `offset`: there, or behind a UDP header
 * with `port` at both ends. `undefined` when it is neither. Allocates nothing.
 * @param port `undefined` where Shim6 does not go in UDP
 */
export function shim6OffsetAt(
  bytes: Uint8Array,
  protocol: number,
  offset: number,
  port: number | undefined,
): number | undefined {
  if (protocol === PROTOCOL_SHIM6) return offset;
  if (protocol !== PROTOCOL_UDP || port === undefined) return undefined;
  const isOurs = readU16(bytes, offset) === port && readU16(bytes, offset + 2) === port;
  return isOurs ? offset + UDP_HEADER_LENGTH : undefined;
}

/**
 * Where the Shim6 header is, or the UDP header before it, when only Hop-by-Hop Options, Routing
 * and Destination Options headers stand before that. `end` is the {@link packetLength}. Allocates
 * nothing.
 * @param port see {@link shim6OffsetAt}
 */
export function findShim6Header(
  packet: Uint8Array,
  end: number,
  port?: number,
): number | PacketError {
  let offset = IPV6_HEADER_LENGTH;
  let protocol = packet[NEXT_HEADER_OFFSET] as number;
  for (let count = 0; shim6OffsetAt(packet, protocol, offset, port) === undefined; count++) {
    if (!isRoutingSublayer(protocol, offset)) return "no-payload-header";
    if (count === MAX_EXTENSION_HEADERS) return "too-many-headers";
    const next = offset + extensionLength(protocol, packet, offset);
    if (!(next <= end)) return "truncated";
    protocol = packet[offset] as number;
    offset = next;
  }
  return offset;
}

/**
 * The offset of the Next Header octet that names what stands at `offset`, where `offset` comes
 * from {@link shim6InsertionOffset}, {@link findShim6Header} or {@link walkHeaders}.
 * Allocates nothing.
 */
export function nextHeaderFieldOf(packet: Uint8Array, offset: number): number {
  let field = NEXT_HEADER_OFFSET;
  let protocol = packet[field] as number;
  let next = IPV6_HEADER_LENGTH;
  while (next < offset) {
    field = next;
    next += extensionLength(protocol, packet, field);
    protocol = packet[field] as number;
  }
  return field;
}

/** Hop-by-Hop Options stand directly behind the IPv6 header only (RFC 8200 section 4.1). */
function isRoutingSublayer(protocol: number, offset: number): boolean {
  if (protocol === PROTOCOL_HOP_BY_HOP) return offset === IPV6_HEADER_LENGTH;
  return protocol === PROTOCOL_ROUTING || protocol === PROTOCOL_DESTINATION_OPTIONS;
}

/** Octets of the extension header at `offset`; NaN when the packet ends before its length. */
function extensionLength(protocol: number, packet: Uint8Array, offset: number): number {
  if (protocol === PROTOCOL_FRAGMENT) return 8;
  const length = packet[offset + 1] ?? Number.NaN;
  return protocol === PROTOCOL_AUTHENTICATION ? 4 * (length + 2) : 8 * (length + 1);
}

export interface ExtensionHeader {
  readonly protocol: number;
  readonly offset: number;
  /** Octets. */
  readonly length: number;
}

/** The headers of a packet in order. */
export interface HeaderChain {
  /** Hop-by-Hop Options, Routing, Fragment, Destination Options, Authentication. */
  readonly extensions: readonly ExtensionHeader[];
  /** What stands behind the last of them: Shim6 (140), an upper layer, ESP (50), nothing (59). */
  readonly protocol: number;
  readonly offset: number;
  /** "later": what stands at `offset` is no header but the middle of the packet. */
  readonly fragment: "none" | "first" | "later";
}

/**
 * Reads all headers of a packet, which may be cut at its end, as packets in ICMPv6 errors are:
 * what is not there is "truncated" only when it is a header. Behind the Fragment header of any
 * fragment but the first the chain ends: what follows is no header.
 */
export function walkHeaders(packet: Uint8Array): Result<HeaderChain, PacketError> {
  if (!hasIpv6Header(packet)) return failure("not-ipv6");
  const end = Math.min(packet.length, IPV6_HEADER_LENGTH + payloadLength(packet));
  const extensions: ExtensionHeader[] = [];
  let offset = IPV6_HEADER_LENGTH;
  let protocol = packet[NEXT_HEADER_OFFSET] as number;
  let fragment: HeaderChain["fragment"] = "none";
  while (fragment !== "later" && isExtension(protocol)) {
    if (extensions.length === MAX_EXTENSION_HEADERS) return failure("too-many-headers");
    const length = extensionLength(protocol, packet, offset);
    if (!(offset + length <= end)) return failure("truncated");
    extensions.push({ protocol, offset, length });
    if (protocol === PROTOCOL_FRAGMENT) fragment = fragmentKind(readU16(packet, offset + 2));
    protocol = packet[offset] as number;
    offset += length;
  }
  return success({ extensions, protocol, offset, fragment });
}

/** From the 13 bits of Fragment Offset, 2 reserved ones and M (RFC 8200 section 4.5). */
function fragmentKind(offsetAndMore: number): HeaderChain["fragment"] {
  if (offsetAndMore >> 3 !== 0) return "later";
  return (offsetAndMore & 1) === 1 ? "first" : "none";
}

function isExtension(protocol: number): boolean {
  switch (protocol) {
    case PROTOCOL_HOP_BY_HOP:
    case PROTOCOL_ROUTING:
    case PROTOCOL_FRAGMENT:
    case PROTOCOL_AUTHENTICATION:
    case PROTOCOL_DESTINATION_OPTIONS:
      return true;
    default:
      return false;
  }
}

function readU16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}
