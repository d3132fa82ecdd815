import { addressFromBytes } from "../wire/address.ts";
import { concernsPath } from "../wire/icmp6.ts";
import { IPV6_HEADER_LENGTH, shim6OffsetAt } from "../wire/ipv6.ts";
import type { I1 } from "../wire/message.ts";
import { decodePayloadHeader } from "../wire/payload-header.ts";
import type { Context } from "./context.ts";
import type { ContextTable } from "./context-table.ts";
import { decodeQuoted } from "./errors.ts";
import { type AddressPair, sameEnds } from "./output.ts";

const PARAMETER_PROBLEM = 4;
const UNRECOGNIZED_NEXT_HEADER = 1;
const ICMP_HEADER = 8;

/**
 * The context whose I1 an ICMPv6 error quotes as "unrecognized next header" (RFC 5533 section
 * 7.8). Tag, nonce and addresses must be those of the I1, so that no stranger can forge it.
 */
export function findRefusedI1(
  { message, sent }: RefusedI1,
  contexts: ContextTable,
): Context | undefined {
  const context = contexts.byTag(message.initiatorContextTag);
  if (context?.initiatorNonce !== message.initiatorNonce) return undefined;
  return sameEnds(sent, context.exchangePair) ? context : undefined;
}

/** An I1 that has come back, and the pair that it left over. */
export interface RefusedI1 {
  readonly message: I1;
  readonly sent: AddressPair;
}

export function refusedI1(bytes: Uint8Array): RefusedI1 | undefined {
  if (bytes[0] !== PARAMETER_PROBLEM || bytes[1] !== UNRECOGNIZED_NEXT_HEADER) return undefined;
  const packet = bytes.subarray(ICMP_HEADER);
  const message = decodeQuoted(packet);
  if (message?.type !== "I1") return undefined;
  const sent = { local: addressFromBytes(packet, 8), peer: addressFromBytes(packet, 24) };
  return { message, sent };
}

const PAYLOAD_HEADER = 8;

/**
 * The context whose current locator pair an ICMPv6 error calls dead (RFC 5533 section 8): by
 * the peer's tag where payload was rewritten, by the ULIDs where it left as it was. Errors that
 * another pair doesn't cure name none: Packet Too Big, port unreachable, parameter problem.
 * @param port of Shim6 in UDP
 */
export function findUndeliverable(
  bytes: Uint8Array,
  contexts: ContextTable,
  port: number | undefined,
): Context | undefined {
  const [type = 0, code = 0] = bytes;
  const packet = bytes.subarray(ICMP_HEADER);
  if (!concernsPath({ type, code }) || packet.length < IPV6_HEADER_LENGTH + PAYLOAD_HEADER)
    return undefined;
  const sent = { local: addressFromBytes(packet, 8), peer: addressFromBytes(packet, 24) };
  const offset = shim6OffsetAt(packet, packet[6] ?? 0, IPV6_HEADER_LENGTH, port);
  const context =
    offset === undefined
      ? contexts.byUlids(sent, 0)
      : byPeerTag(packet.subarray(offset), sent, contexts);
  return context !== undefined && sameEnds(context.locators, sent) ? context : undefined;
}

function byPeerTag(
  shim6: Uint8Array,
  sent: AddressPair,
  contexts: ContextTable,
): Context | undefined {
  const header = decodePayloadHeader(shim6);
  if (!header.ok) return undefined;
  return contexts
    .byPeerTag(header.value.receiverContextTag)
    .find((context) => sameEnds(context.locators, sent));
}
