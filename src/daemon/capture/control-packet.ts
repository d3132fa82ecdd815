import { type Address, writeAddress } from "../../wire/address.ts";
import {
  DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH,
  NEXT_HEADER_OFFSET,
  PROTOCOL_SHIM6,
  PROTOCOL_UDP,
  SOURCE_OFFSET,
  setPayloadLength,
  UDP_HEADER_LENGTH,
} from "../../wire/ipv6.ts";
import { writeUdpHeader } from "../../wire/udp.ts";

/** What nobody tells of a packet: Linux sends with it unless told otherwise. */
const HOP_LIMIT = 64;

export interface CapturedMessage {
  readonly source: Address;
  readonly destination: Address;
  /** From the Shim6 header on. */
  readonly bytes: Uint8Array;
  /** In UDP. */
  readonly encapsulated: boolean;
}

/** The message as it is on the wire, but for traffic class, flow label and hop limit. */
export function controlPacket(
  { source, destination, bytes, encapsulated }: CapturedMessage,
  udpPort: number | undefined,
): Uint8Array {
  const port = encapsulated ? udpPort : undefined;
  const front = IPV6_HEADER_LENGTH + (port === undefined ? 0 : UDP_HEADER_LENGTH);
  const packet = new Uint8Array(front + bytes.length);
  packet[0] = 0x60;
  setPayloadLength(packet, packet.length - IPV6_HEADER_LENGTH);
  packet[NEXT_HEADER_OFFSET] = port === undefined ? PROTOCOL_SHIM6 : PROTOCOL_UDP;
  packet[NEXT_HEADER_OFFSET + 1] = HOP_LIMIT;
  writeAddress(source, packet, SOURCE_OFFSET);
  writeAddress(destination, packet, DESTINATION_OFFSET);
  packet.set(bytes, front);
  if (port !== undefined) writeUdpHeader(packet, IPV6_HEADER_LENGTH, packet.length, port);
  return packet;
}
