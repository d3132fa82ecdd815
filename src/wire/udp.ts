import { onesComplementSum } from "./checksum.ts";
import { PROTOCOL_UDP, SOURCE_OFFSET } from "./ipv6.ts";

/**
 * The port at both ends where nobody has chosen another: of the dynamic range (RFC 6335 section 6),
 * and above those that Linux gives to clients.
 */
export const SHIM6_UDP_PORT = 61_140;

const LENGTH_OFFSET = 4;
const CHECKSUM_OFFSET = 6;

/**
 * Writes the UDP header at `offset` of a whole packet that ends at `end`; its addresses and all
 * that follows the header stand there already.
 * @param port at both ends
 */
export function writeUdpHeader(
  packet: Uint8Array,
  offset: number,
  end: number,
  port: number,
): void {
  const length = end - offset;
  writeU16(packet, offset, port);
  writeU16(packet, offset + 2, port);
  writeU16(packet, offset + LENGTH_OFFSET, length);
  writeU16(packet, offset + CHECKSUM_OFFSET, 0);
  // The pseudo-header (RFC 8200 section 8.1): both addresses, length and protocol.
  const pseudo = onesComplementSum(packet, SOURCE_OFFSET, SOURCE_OFFSET + 32);
  const sum = ~onesComplementSum(packet, offset, end, pseudo + length + PROTOCOL_UDP) & 0xffff;
  // Zero would say that there is none, which IPv6 forbids.
  writeU16(packet, offset + CHECKSUM_OFFSET, sum === 0 ? 0xffff : sum);
}

function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >> 8;
  bytes[offset + 1] = value & 0xff;
}
