import type { AddressPair } from "../../core/output.ts";
import type { TcpConnection } from "../../linux/socket-diag.ts";
import { SystemError } from "../../linux/system-error.ts";
import { type Address, addressToBytes } from "../../wire/address.ts";
import { buildPacketTooBig } from "../../wire/icmp6.ts";
import { MINIMUM_MTU } from "../../wire/ipv6.ts";
import { PAYLOAD_HEADER_LENGTH } from "../../wire/payload-header.ts";
import {
  BACKOFF_STEPS,
  buildRetransmissionHint,
  quoteSegment,
  type UnacknowledgedSegment,
} from "../tcp-hints.ts";
import type { TcpState } from "./layout.ts";

export interface NudgeSystem {
  readonly tcpConnections: (local: Address, peer: Address) => TcpConnection[];
  /** `undefined` when there is no such socket or nothing is on its way. */
  readonly tcpState: (ulids: AddressPair, connection: TcpConnection) => TcpState | undefined;
  /** Sends an ICMPv6 message from an address of this host to itself. */
  readonly sendToSelf: (address: Address, bytes: Uint8Array) => void;
  readonly warn: (message: string) => void;
}

/** What becomes of the ULP's packets. */
interface NewPath {
  /** Octets that they may have while they are rewritten. */
  readonly mtu: number;
  /** Whether that may be less than before. */
  readonly isSmaller: boolean;
}

/**
 * ms that a nudge is put off: what TCP then sends comes behind the message that has the peer
 * switch, and the peer's shim has had time to, so that the acknowledgement takes the new path.
 */
const DELAY = 2;
/** ms from a nudge to the first look at what became of it; each further wait is twice the last. */
const FIRST_LOOK = 1;
/** The last look is half a second after the nudge: paths with a longer round trip wait for TCP. */
const LOOKS = 9;
/** The looks, some 30 and 250 ms after the nudge, at which a socket without progress gets another. */
const REPEATED_AT: readonly number[] = [4, 7];

/** A connection that had timed out before it was nudged. */
interface Nudged {
  readonly ulids: AddressPair;
  readonly connection: TcpConnection;
  readonly before: TcpState;
  /** What the next Packet Too Big tells: one that tells nothing new has no effect. */
  readonly nextMtu: number;
}

/** Has the TCP connections of a ULID pair send again at once when the pair's path has changed. */
export class TcpNudge {
  readonly #system: NudgeSystem;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(system: NudgeSystem) {
    this.#system = system;
  }

  /**
   * Sends ICMPv6 messages from the local ULID to itself, in a moment: for each connection with
   * something unacknowledged a Packet Too Big, upon which it cuts full-size segments anew and
   * retransmits, and enough Destination Unreachable to take its back-off back (RFC 6069). They
   * quote the sequence number that the socket waits for.
   */
  nudge(ulids: AddressPair, path: NewPath): void {
    this.#later(DELAY, () => this.#nudgeAll(ulids, path));
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #later(delay: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      try {
        action();
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        this.#system.warn(error.message);
      }
    }, delay);
    this.#timers.add(timer.unref());
  }

  #nudgeAll(ulids: AddressPair, { mtu, isSmaller }: NewPath): void {
    for (const connection of this.#system.tcpConnections(ulids.local, ulids.peer)) {
      const before = this.#system.tcpState(ulids, connection);
      if (before === undefined) continue;
      const segment = segmentOf(ulids, connection, before);
      if (isSmaller) this.#tellTooBig(ulids, segment, mtu);
      const hint = buildRetransmissionHint(segment);
      for (let i = 0; i < BACKOFF_STEPS; i++) this.#system.sendToSelf(ulids.local, hint);
      const nextMtu = mtu - PAYLOAD_HEADER_LENGTH;
      if (before.timeouts > 0) this.#lookLater({ ulids, connection, before, nextMtu }, 0);
    }
  }

  #lookLater(nudged: Nudged, look: number): void {
    if (look === LOOKS) return;
    this.#later(FIRST_LOOK * 2 ** look, () => this.#look(nudged, look));
  }

  /**
   * The peer may have had the segment that was retransmitted, and some behind it, where the path
   * died in both directions: its answer then acknowledges segments that were sent once only. Upon
   * that F-RTO (RFC 5682) takes the timeout for spurious and the rest for on its way, though that
   * died with the path, and waits for another timeout. One more Packet Too Big, for a little less,
   * has it send the rest; as it has a socket send again whose peer had not switched yet.
   */
  #look(nudged: Nudged, look: number): void {
    const { ulids, connection, before, nextMtu } = nudged;
    const now = this.#system.tcpState(ulids, connection);
    if (now === undefined) return;
    const stands = now.unacknowledged === before.unacknowledged;
    const waits = isBefore(now.unacknowledged, before.next) && now.lost === 0;
    const tells = (stands ? REPEATED_AT.includes(look) : waits) && nextMtu >= MINIMUM_MTU;
    if (tells) this.#tellTooBig(ulids, segmentOf(ulids, connection, now), nextMtu);
    if (!stands) return;
    const following = tells ? { ...nudged, nextMtu: nextMtu - PAYLOAD_HEADER_LENGTH } : nudged;
    this.#lookLater(following, look + 1);
  }

  #tellTooBig({ local }: AddressPair, segment: UnacknowledgedSegment, mtu: number): void {
    const { localUlid } = segment;
    const message = buildPacketTooBig(localUlid, localUlid, mtu, quoteSegment(segment));
    this.#system.sendToSelf(local, message);
  }
}

function segmentOf(
  { local, peer }: AddressPair,
  connection: TcpConnection,
  { unacknowledged }: TcpState,
): UnacknowledgedSegment {
  const addresses = { localUlid: addressToBytes(local), peerUlid: addressToBytes(peer) };
  return { ...addresses, ...connection, sequence: unacknowledged };
}

/** Sequence numbers of 32 bits go round. */
function isBefore(sequence: number, other: number): boolean {
  return ((other - sequence) | 0) > 0;
}
