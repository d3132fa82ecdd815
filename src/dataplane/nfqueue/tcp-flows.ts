import { IPV6_HEADER_LENGTH, NEXT_HEADER_OFFSET } from "../../wire/ipv6.ts";
import { buildRetransmissionHint, PROTOCOL_TCP, TCP_HEADER_LENGTH } from "../tcp-hints.ts";

const PORTS = IPV6_HEADER_LENGTH;
const SEQUENCE = IPV6_HEADER_LENGTH + 4;
const FLAGS = IPV6_HEADER_LENGTH + 13;
const FIN_OR_RST = 0x05;

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

  /** For each flow what makes a TCP that has backed off retransmit now. */
  retransmissionHints(localUlid: Uint8Array, peerUlid: Uint8Array): Uint8Array[] {
    return Array.from(this.#sequences, ([ports, sequence]) =>
      buildRetransmissionHint({
        localUlid,
        peerUlid,
        localPort: Math.floor(ports / 0x10000),
        peerPort: ports % 0x10000,
        sequence,
      }),
    );
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  const upper = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  return upper * 0x10000 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
}
