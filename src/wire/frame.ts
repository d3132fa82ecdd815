/** The LINKTYPE_ numbers that are read here. */
const LINK_TYPE_NULL = 0;
const LINK_TYPE_ETHERNET = 1;
const LINK_TYPE_RAW = 101;
const LINK_TYPE_LINUX_SLL = 113;
const LINK_TYPE_IPV6 = 229;
const LINK_TYPE_LINUX_SLL2 = 276;

const ETHERTYPE_IPV6 = 0x86dd;
/** 802.1Q and 802.1ad: 4 octets each before the real type. */
const VLAN_ETHERTYPES: ReadonlySet<number> = new Set([0x8100, 0x88a8]);
/** AF_INET6 of Linux, NetBSD, FreeBSD and macOS: the loopback header is the host's own number. */
const LOOPBACK_IPV6_FAMILIES: ReadonlySet<number> = new Set([10, 24, 28, 30]);

/** What a captured frame is: an IPv6 packet (a view), another protocol, or an unknown link type. */
export type Frame =
  | { readonly kind: "ipv6"; readonly packet: Uint8Array }
  | { readonly kind: "other" }
  | { readonly kind: "unknown-link-type" };

const OTHER: Frame = { kind: "other" };

/** Takes the link layer off a captured frame. Never throws. */
export function ipv6FromFrame(linkType: number, frame: Uint8Array): Frame {
  switch (linkType) {
    case LINK_TYPE_ETHERNET:
      return fromEthernet(frame);
    case LINK_TYPE_LINUX_SLL:
      return fromEtherType(frame, 14, 16);
    case LINK_TYPE_LINUX_SLL2:
      return fromEtherType(frame, 0, 20);
    case LINK_TYPE_NULL:
      return fromLoopback(frame);
    case LINK_TYPE_RAW:
    case LINK_TYPE_IPV6:
      return fromRaw(frame);
    default:
      return { kind: "unknown-link-type" };
  }
}

function fromEthernet(frame: Uint8Array): Frame {
  let typeOffset = 12;
  while (VLAN_ETHERTYPES.has(readU16(frame, typeOffset))) typeOffset += 4;
  return fromEtherType(frame, typeOffset, typeOffset + 2);
}

function fromEtherType(frame: Uint8Array, typeOffset: number, headerLength: number): Frame {
  if (readU16(frame, typeOffset) !== ETHERTYPE_IPV6) return OTHER;
  return { kind: "ipv6", packet: frame.subarray(headerLength) };
}

/** BSD loopback: the address family in the byte order of the host that captured. */
function fromLoopback(frame: Uint8Array): Frame {
  if (frame.length < 4) return OTHER;
  const view = new DataView(frame.buffer, frame.byteOffset, 4);
  const isIpv6 =
    LOOPBACK_IPV6_FAMILIES.has(view.getUint32(0)) ||
    LOOPBACK_IPV6_FAMILIES.has(view.getUint32(0, true));
  return isIpv6 ? { kind: "ipv6", packet: frame.subarray(4) } : OTHER;
}

function fromRaw(frame: Uint8Array): Frame {
  return (frame[0] ?? 0) >> 4 === 6 ? { kind: "ipv6", packet: frame } : OTHER;
}

/** 0, which is no EtherType, when the frame ends before. */
function readU16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}
