import { encodeControl } from "../wire/control.ts";
import { IPV6_HEADER_LENGTH } from "../wire/ipv6.ts";
import type { ControlMessage } from "../wire/message.ts";
import type { LocalLocator } from "./config.ts";

/**
 * The message with as much of the offer as fits: locators are left out, the last first, until
 * nothing but the ULID is left.
 * @param room octets of the packet at most
 * @param build makes the message for an offer
 */
export function fitOffer<Message extends ControlMessage>(
  room: number,
  offer: readonly LocalLocator[],
  build: (offer: readonly LocalLocator[]) => Message,
): { readonly message: Message; readonly offer: readonly LocalLocator[] } {
  for (let count = offer.length; ; count--) {
    const shorter = offer.slice(0, count);
    const message = build(shorter);
    if (count <= 1 || packetLength(message) <= room) return { message, offer: shorter };
  }
}

/** Octets of the packet that carries the message. */
export function packetLength(message: ControlMessage): number {
  return IPV6_HEADER_LENGTH + encodeControl(message).length;
}
