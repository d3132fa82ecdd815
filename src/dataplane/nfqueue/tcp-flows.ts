import { buildIcmpError, ICMP_DESTINATION_UNREACHABLE } from "../../wire/icmp6.ts";
import {
  DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH,
  NEXT_HEADER_OFFSET,
  SOURCE_OFFSET,
  setPayloadLength,
} from "../../wire/ipv6.ts";

const PROTOCOL_TCP = 6;
const TCP_HEADER_LENGTH = 20;
const PORTS = IPV6_HEADER_LENGTH;
const SEQUENCE = IPV6_HEADER_LENGTH + 4;
const FLAGS = IPV6_HEADER_LENGTH + 13;
const FIN_OR_RST = 0x05;
const NO_ROUTE = 0;

/** A context with more flows forgets the one that it has known longest. */
const FLOWS_MAX = 256;

/**
 * The sequence number that each TCP flow of a ULID pair sent last. Once a path has been dead
 * for some round-trips that is the segment which the sender retransmits again and again: its
 * first unacknowledged one.
 */
export class TcpFlows {
  /** By both ports, as one number. */
  readonly #sequences = new Map<number, number>();

  /** Notes an outbound packet, as much of it as the queue copied; ignores what isn't TCP. */
  note(packet: Uint8Array): void {
    if (packet[NEXT_HEADER_OFFSET] !== PROTOCOL_TCP) return;
    if (packet.length < IPV6_HEADER_LENGTH + TCP_HEADER_LENGTH) return;
    const ports = readUint32(packet, PORTS);
    if (((packet[FLAGS] as number) & FIN_OR_RST) !== 0) {
      this.#sequences.delete(ports);
      return;
    }
    this.#sequences.set(ports, readUint32(packet, SEQUENCE));
    if (this.#sequences.size <= FLOWS_MAX) return;
    for (const oldest of this.#sequences.keys()) {
      this.#sequences.delete(oldest);
      return;
    }
  }

  /**
   * For each flow an ICMPv6 Destination Unreachable, no route, from the ULID to itself, which
   * quotes the segment. A TCP that has backed off takes one step of the back-off back for
   * each, and retransmits when the time that is left has passed already (RFC 6069).
   */
  retransmissionHints(localUlid: Uint8Array, peerUlid: Uint8Array): Uint8Array[] {
    return Array.from(this.#sequences, ([ports, sequence]) => {
      const segment = new Uint8Array(IPV6_HEADER_LENGTH + TCP_HEADER_LENGTH);
      segment[0] = 0x60;
      segment[NEXT_HEADER_OFFSET] = PROTOCOL_TCP;
      setPayloadLength(segment, TCP_HEADER_LENGTH);
      segment.set(localUlid, SOURCE_OFFSET);
      segment.set(peerUlid, DESTINATION_OFFSET);
      const view = new DataView(segment.buffer);
      view.setUint32(PORTS, ports);
      view.setUint32(SEQUENCE, sequence);
      const fields = { type: ICMP_DESTINATION_UNREACHABLE, code: NO_ROUTE, parameter: 0 };
      return buildIcmpError(localUlid, localUlid, fields, segment);
    });
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  const upper = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  return upper * 0x10000 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
}
