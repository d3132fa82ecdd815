import { addressFromBytes, addressToBytes } from "../wire/address.ts";
import { decodeControl } from "../wire/control.ts";
import { IPV6_HEADER_LENGTH } from "../wire/ipv6.ts";
import type {
  ControlMessage,
  ErrorMessage,
  I1,
  I2,
  I2bis,
  Option,
  UpdateRequest,
} from "../wire/message.ts";
import type { Context } from "./context.ts";
import type { LocatorFault } from "./locator-proofs.ts";
import { type AddressPair, sameEnds } from "./output.ts";
import type { Shim } from "./shim.ts";
import type { Instant } from "./time.ts";

const SHIM6 = 140;
/** Header of the Error message: up to the pointer. */
const ERROR_HEADER = 8;
/** A control message as it came, for what goes back to its sender. */
export interface Received {
  readonly arrival: AddressPair;
  /** From the Shim6 header on. */
  readonly bytes: Uint8Array;
  /** Of each option's Type in `bytes`. */
  readonly optionOffsets: readonly number[];
}

/**
 * Answers a message with a Shim6 Error (RFC 5533 section 5.14).
 * @param offset of the fault from the Shim6 header on
 */
export function sendError(
  now: Instant,
  shim: Shim,
  { arrival, bytes }: Received,
  errorCode: number,
  offset: number,
): void {
  const packet = invokingPacket(arrival, bytes);
  const room = shim.controlRoom - IPV6_HEADER_LENGTH - ERROR_HEADER;
  const message: ErrorMessage = {
    type: "Error",
    errorCode,
    pointer: IPV6_HEADER_LENGTH + offset,
    packetInError: packet.subarray(0, room),
  };
  shim.counters.add("error-sent");
  shim.answer(now, arrival, message);
}

/**
 * Locators that can't be believed: the message is ignored. Its sender is told why (section 7.2),
 * unless it does not even speak for the ULID (section 7.13).
 */
export function refuseLocators(
  now: Instant,
  shim: Shim,
  options: readonly Option[],
  received: Received,
  fault: LocatorFault,
): void {
  if (fault.code === undefined) return shim.counters.add(fault.counter);
  shim.counters.add("drop-locator-list");
  const index = options.findIndex(({ name }) => name === fault.option);
  const offset = (received.optionOffsets[index] ?? 0) + fault.offset;
  sendError(now, shim, received, fault.code, offset);
}

/** What an Error refuses: a message of ours, and the context that it was for. */
export interface Refused {
  readonly context: Context;
  readonly message: I1 | I2 | I2bis | UpdateRequest;
}

/**
 * The I1, I2, I2bis or Update Request that an Error quotes; tags, nonce and addresses must be
 * those of what we sent.
 */
export function findRefused(
  { packetInError: packet }: ErrorMessage,
  shim: Shim,
): Refused | undefined {
  const message = decodeQuoted(packet);
  if (message === undefined) return undefined;
  const sent = { local: addressFromBytes(packet, 8), peer: addressFromBytes(packet, 24) };
  switch (message.type) {
    case "I1":
    case "I2":
    case "I2bis": {
      const context = shim.contexts.byTag(message.initiatorContextTag);
      const ours =
        context?.initiatorNonce === message.initiatorNonce && sameEnds(sent, context.exchangePair);
      return ours ? { context, message } : undefined;
    }
    case "UpdateRequest": {
      const context = shim.contexts
        .byPeerTag(message.receiverContextTag)
        .find((candidate) => candidate.hasPair(sent));
      return context === undefined ? undefined : { context, message };
    }
    default:
      return undefined;
  }
}

/** The control message in a quoted packet, as far as it is whole. */
export function decodeQuoted(packet: Uint8Array): ControlMessage | undefined {
  if (packet.length < IPV6_HEADER_LENGTH || packet[6] !== SHIM6) return undefined;
  const decoded = decodeControl(packet.subarray(IPV6_HEADER_LENGTH));
  return decoded.ok ? decoded.value.message : undefined;
}

/**
 * The packet that brought the message. What the raw socket doesn't tell, hop limit and traffic
 * class, is zero.
 */
function invokingPacket({ local, peer }: AddressPair, bytes: Uint8Array): Uint8Array {
  const packet = new Uint8Array(IPV6_HEADER_LENGTH + bytes.length);
  packet.set([0x60, 0, 0, 0, bytes.length >> 8, bytes.length & 0xff, SHIM6, 0]);
  packet.set(addressToBytes(peer), 8);
  packet.set(addressToBytes(local), 24);
  packet.set(bytes, IPV6_HEADER_LENGTH);
  return packet;
}
