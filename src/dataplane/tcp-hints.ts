import { buildIcmpError, ICMP_DESTINATION_UNREACHABLE } from "../wire/icmp6.ts";
import {
  DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH,
  NEXT_HEADER_OFFSET,
  SOURCE_OFFSET,
  setPayloadLength,
} from "../wire/ipv6.ts";

export const PROTOCOL_TCP = 6;
export const TCP_HEADER_LENGTH = 20;
const PORTS_OFFSET = IPV6_HEADER_LENGTH;
const SEQUENCE_OFFSET = IPV6_HEADER_LENGTH + 4;
const NO_ROUTE = 0;

/** From the 12.8 s that TCP waits after some 10 s without an answer to its first 200 ms. */
export const BACKOFF_STEPS = 6;

/** What a TCP of this host has sent and waits for. */
export interface UnacknowledgedSegment {
  /** 16 octets. */
  readonly localUlid: Uint8Array;
  readonly peerUlid: Uint8Array;
  readonly localPort: number;
  readonly peerPort: number;
  /** 32 bits. */
  readonly sequence: number;
}

/** The headers of the segment, without what follows them: enough to be quoted. */
export function quoteSegment(segment: UnacknowledgedSegment): Uint8Array {
  const { localUlid, peerUlid, localPort, peerPort, sequence } = segment;
  const quoted = new Uint8Array(IPV6_HEADER_LENGTH + TCP_HEADER_LENGTH);
  quoted[0] = 0x60;
  quoted[NEXT_HEADER_OFFSET] = PROTOCOL_TCP;
  setPayloadLength(quoted, TCP_HEADER_LENGTH);
  quoted.set(localUlid, SOURCE_OFFSET);
  quoted.set(peerUlid, DESTINATION_OFFSET);
  const view = new DataView(quoted.buffer);
  view.setUint16(PORTS_OFFSET, localPort);
  view.setUint16(PORTS_OFFSET + 2, peerPort);
  view.setUint32(SEQUENCE_OFFSET, sequence);
  return quoted;
}

/**
 * An ICMPv6 Destination Unreachable, no route, from the ULID to itself, which quotes the
 * segment. A TCP that has backed off takes one step of the back-off back for each, and
 * retransmits when the time that is left has passed already (RFC 6069).
 */
export function buildRetransmissionHint(segment: UnacknowledgedSegment): Uint8Array {
  const fields = { type: ICMP_DESTINATION_UNREACHABLE, code: NO_ROUTE, parameter: 0 };
  return buildIcmpError(segment.localUlid, segment.localUlid, fields, quoteSegment(segment));
}
