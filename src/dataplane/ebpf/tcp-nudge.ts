import type { AddressPair } from "../../core/output.ts";
import type { BpfMap } from "../../linux/bpf-map.ts";
import type { BpfProgram } from "../../linux/bpf-program.ts";
import type { TcpConnection } from "../../linux/socket-diag.ts";
import { type Address, addressToBytes } from "../../wire/address.ts";
import { buildPacketTooBig } from "../../wire/icmp6.ts";
import {
  BACKOFF_STEPS,
  buildRetransmissionHint,
  quoteSegment,
  type UnacknowledgedSegment,
} from "../tcp-hints.ts";
import { decodeTcpQuery, encodeTcpQuery, TCP_QUERY_LENGTH } from "./layout.ts";

export interface NudgeSystem {
  readonly tcpConnections: (local: Address, peer: Address) => TcpConnection[];
  /** Runs a program that looks at no packet. */
  readonly runProgram: (program: BpfProgram) => void;
}

const ONLY_ENTRY = new Uint8Array(4);

/**
 * What makes the TCP connections of a ULID pair send again at once, as ICMPv6 messages from the
 * local ULID to itself: for each connection with something unacknowledged a Packet Too Big, upon
 * which it cuts full-size segments anew and retransmits, and enough Destination Unreachable to
 * take its back-off back (RFC 6069). They quote the sequence number that the socket waits for.
 *
 * @param mtu octets that the ULP's packets may have from now on, where they may have less
 */
export function nudges(
  ulids: AddressPair,
  mtu: number | undefined,
  query: { readonly map: BpfMap; readonly program: BpfProgram },
  system: NudgeSystem,
): Uint8Array[] {
  const localUlid = addressToBytes(ulids.local);
  const peerUlid = addressToBytes(ulids.peer);
  return system.tcpConnections(ulids.local, ulids.peer).flatMap((connection) => {
    query.map.update(ONLY_ENTRY, encodeTcpQuery(ulids, connection));
    system.runProgram(query.program);
    const answer = new Uint8Array(TCP_QUERY_LENGTH);
    query.map.lookup(ONLY_ENTRY, answer);
    const sequence = decodeTcpQuery(answer);
    if (sequence === undefined) return [];
    return nudge({ localUlid, peerUlid, ...connection, sequence }, mtu);
  });
}

function nudge(segment: UnacknowledgedSegment, mtu: number | undefined): Uint8Array[] {
  const { localUlid } = segment;
  const hint = buildRetransmissionHint(segment);
  const hints = Array.from({ length: BACKOFF_STEPS }, () => hint);
  if (mtu === undefined) return hints;
  return [buildPacketTooBig(localUlid, localUlid, mtu, quoteSegment(segment)), ...hints];
}
