import {
  IPV6_HEADER_LENGTH,
  nextHeaderFieldOf,
  type PacketError,
  PROTOCOL_FRAGMENT,
  packetLength,
  setPayloadLength,
  shim6InsertionOffset,
} from "../../wire/ipv6.ts";
import { failure, type Result, success } from "../../wire/result.ts";

export const FRAGMENT_HEADER_LENGTH = 8;

/** Why a packet cannot be split. */
export type FragmentationError = PacketError | "fragmented-already" | "path-mtu-too-small";

/**
 * Splits a packet into fragments (RFC 8200 section 4.5). The kernel fragments behind our hook
 * and would put the Fragment header before the Shim6 header, where it must not be (RFC 5533
 * section 4.6), so the plane does it for packets between the ULIDs.
 *
 * @param limit octets of each fragment at most, its headers included
 * @param identification 32 bits, fresh for each packet of these addresses
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
  const protocol = packet[nextHeaderFieldOf(packet, at)] as number;
  if (protocol === PROTOCOL_FRAGMENT) return failure("fragmented-already");
  const room = (limit - at - FRAGMENT_HEADER_LENGTH) & ~7;
  if (room <= 0) return failure("path-mtu-too-small");

  const fragments: Uint8Array[] = [];
  for (let start = at; start < end; start += room) {
    const part = packet.subarray(start, Math.min(start + room, end));
    const fragment = new Uint8Array(at + FRAGMENT_HEADER_LENGTH + part.length);
    fragment.set(packet.subarray(0, at));
    fragment[nextHeaderFieldOf(packet, at)] = PROTOCOL_FRAGMENT;
    setPayloadLength(fragment, fragment.length - IPV6_HEADER_LENGTH);
    const header = new DataView(fragment.buffer, at, FRAGMENT_HEADER_LENGTH);
    header.setUint8(0, protocol);
    header.setUint16(2, (start - at) | (start + room < end ? 1 : 0));
    header.setUint32(4, identification);
    fragment.set(part, at + FRAGMENT_HEADER_LENGTH);
    fragments.push(fragment);
  }
  return success(fragments);
}
