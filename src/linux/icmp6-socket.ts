import {
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_PACKET_TOO_BIG,
  ICMP_PARAMETER_PROBLEM,
  ICMP_TIME_EXCEEDED,
} from "../wire/icmp6.ts";
import { PROTOCOL_ICMPV6 } from "../wire/ipv6.ts";
import { setSocketOption } from "./libc.ts";
import { viewOf } from "./netlink.ts";
import { RawSocket, type ReceivedMessage } from "./raw-socket.ts";

const SOL_IPV6 = 41;
const IPV6_FREEBIND = 78;
const ICMP6_FILTER = 1;
const ICMP6_FILTER_LENGTH = 32;

const ERROR_TYPES = [
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_PACKET_TOO_BIG,
  ICMP_TIME_EXCEEDED,
  ICMP_PARAMETER_PROBLEM,
];

/** Sends ICMPv6 messages, and receives the errors among them. */
export interface Icmp6Socket extends Pick<RawSocket, "send" | "close"> {}

/**
 * Receives ICMPv6 errors (types 1 to 4) for this host. What is sent gets its checksum from the
 * kernel, and may name a source that is no address of this host: so can a Packet Too Big be
 * sent to one's own transport in the name of a router.
 * @throws SystemError EPERM without CAP_NET_RAW
 */
export function openIcmp6Socket(
  onMessage: (message: ReceivedMessage) => void,
  onError: (error: Error) => void,
): Icmp6Socket {
  const purpose = "use a raw socket for ICMPv6 errors";
  const setUp = (fd: number): void => {
    setIcmp6Filter(fd, passOnly(ERROR_TYPES), purpose);
    setSocketOption(fd, SOL_IPV6, IPV6_FREEBIND, 1, purpose);
  };
  return new RawSocket({ protocol: PROTOCOL_ICMPV6, purpose, setUp }, onMessage, onError);
}

/** @throws SystemError */
export function setIcmp6Filter(fd: number, filter: Uint8Array, purpose: string): void {
  setSocketOption(fd, PROTOCOL_ICMPV6, ICMP6_FILTER, filter, purpose);
}

/** A `struct icmp6_filter`: one bit for each type, 1 to block it (RFC 3542 section 3.2). */
export function passOnly(types: readonly number[]): Uint8Array {
  const filter = new Uint8Array(ICMP6_FILTER_LENGTH).fill(0xff);
  const view = viewOf(filter);
  for (const type of types) {
    const word = (type >> 5) * 4;
    view.setUint32(word, (view.getUint32(word, true) & ~(1 << (type & 31))) >>> 0, true);
  }
  return filter;
}
