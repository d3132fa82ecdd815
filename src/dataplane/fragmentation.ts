import {
  IPV6_HEADER_LENGTH,
  nextHeaderFieldOf,
  type PacketError,
  PROTOCOL_FRAGMENT,
  packetLength,
  setPayloadLength,
  shim6InsertionOffset,
} from "../wire/ipv6.ts";
import { failure, type Result, success } from "../wire/result.ts";

export const FRAGMENT_HEADER_LENGTH = 8;

const OFFSET_UNIT_MASK = 0xfff8;
const MORE = 1;

/** Why a packet cannot be split. */
export type FragmentationError = PacketError | "path-mtu-too-small";

/** What is to be split: all that stands behind `at`. */
interface Whole {
  /** Offset in the packet of the Fragment header that there is or is to be. */
  readonly at: number;
  /** Of the packet's data that can be split. */
  readonly start: number;
  readonly protocol: number;
  /** Octets of the datagram before `start`, where this is a fragment itself. */
  readonly before: number;
  /** More of the datagram follows in other fragments. */
  readonly more: boolean;
  readonly identification: number;
}

/**
 * Splits a packet into fragments (RFC 8200 section 4.5), or a fragment into smaller ones. The
 * kernel puts the Fragment header before the Shim6 header when it fragments behind our hook, where
 * it must not be (RFC 5533 section 4.6); or it has fragmented already, for an MTU without room for
 * the Shim6 header. So the plane does it for packets between the ULIDs.
 *
 * @param limit octets of each fragment at most, its headers included
 * @param identification 32 bits, fresh for each packet of these addresses; a fragment keeps its own
 */
export function fragmentPacket(
  packet: Uint8Array,
  limit: number,
  identification: number,
): Result<Uint8Array[], FragmentationError> {
  const end = packetLength(packet);
  if (typeof end === "string") return failure(end);
  const at = shim6InsertionOffset(packet, end);
  if (typeof at === "string") return failure(at);
  const whole = findWhole(packet, at, end, identification);
  if (whole === undefined) return failure("truncated");
  const room = (limit - at - FRAGMENT_HEADER_LENGTH) & ~7;
  if (room <= 0) return failure("path-mtu-too-small");

  const fragments: Uint8Array[] = [];
  for (let start = whole.start; start < end; start += room) {
    fragments.push(cutOut(packet, whole, start, Math.min(start + room, end), end));
  }
  return success(fragments);
}

function findWhole(
  packet: Uint8Array,
  at: number,
  end: number,
  identification: number,
): Whole | undefined {
  const protocol = packet[nextHeaderFieldOf(packet, at)] as number;
  if (protocol !== PROTOCOL_FRAGMENT) {
    return { at, start: at, protocol, before: 0, more: false, identification };
  }
  const start = at + FRAGMENT_HEADER_LENGTH;
  if (start > end) return undefined;
  const header = new DataView(packet.buffer, packet.byteOffset + at, FRAGMENT_HEADER_LENGTH);
  const position = header.getUint16(2);
  return {
    at,
    start,
    protocol: header.getUint8(0),
    before: position & OFFSET_UNIT_MASK,
    more: (position & MORE) !== 0,
    identification: header.getUint32(4),
  };
}

function cutOut(
  packet: Uint8Array,
  whole: Whole,
  from: number,
  to: number,
  end: number,
): Uint8Array {
  const { at, before, identification, more, protocol, start } = whole;
  const fragment = new Uint8Array(at + FRAGMENT_HEADER_LENGTH + to - from);
  fragment.set(packet.subarray(0, at));
  fragment[nextHeaderFieldOf(packet, at)] = PROTOCOL_FRAGMENT;
  setPayloadLength(fragment, fragment.length - IPV6_HEADER_LENGTH);
  const header = new DataView(fragment.buffer, at, FRAGMENT_HEADER_LENGTH);
  header.setUint8(0, protocol);
  header.setUint16(2, (before + from - start) | (more || to < end ? MORE : 0));
  header.setUint32(4, identification);
  fragment.set(packet.subarray(from, to), at + FRAGMENT_HEADER_LENGTH);
  return fragment;
}
