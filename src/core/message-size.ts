import { encodeControl } from "../wire/control.ts";
import { IPV6_HEADER_LENGTH } from "../wire/ipv6.ts";
import type { ControlMessage } from "../wire/message.ts";
import type { LocalLocator } from "./config.ts";
import { CONTROL_PACKET_MAX } from "./rfc5533.ts";

/**
 * The message with as much of the offer as 1280 octets hold (RFC 5533 section 5.1): locators are
 * left out, the last first, until nothing but the ULID is left.
 * @param build makes the message for an offer
 */
export function fitOffer<Message extends ControlMessage>(
  offer: readonly LocalLocator[],
  build: (offer: readonly LocalLocator[]) => Message,
): { readonly message: Message; readonly offer: readonly LocalLocator[] } {
  for (let count = offer.length; ; count--) {
    const shorter = offer.slice(0, count);
    const message = build(shorter);
    if (count <= 1 || fits(message)) return { message, offer: shorter };
  }
}

function fits(message: ControlMessage): boolean {
  return packetLength(message) <= CONTROL_PACKET_MAX;
}

/** Octets of the packet that carries the message. */
export function packetLength(message: ControlMessage): number {
  return IPV6_HEADER_LENGTH + encodeControl(message).length;
}
