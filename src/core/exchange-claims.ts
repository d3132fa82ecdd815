import type { I1, Option } from "../wire/message.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { Context } from "./context.ts";
import { type AddressPair, inForm } from "./output.ts";
import type { ValidatorInput } from "./validator.ts";

/* What I1, I2 and I2bis say of the context that they are about, and what that is worth. */

/**
 * Only a peer at a locator where it is known to be gets R2, and with it our tag (RFC 5533 section
 * 7.9 asks for this in ESTABLISHED alone): a stranger, who can name any ULID pair in an I1, gets R1.
 */
export function kindOfI1(
  context: Context | undefined,
  { initiatorContextTag }: I1,
  arrival: AddressPair,
): "i1" | "i1-concurrent" | "i1-repeated" {
  if (context === undefined) return "i1";
  if (!context.hasPair(arrival) || !context.isProvenAt(arrival.peer)) return "i1";
  if (context.state === "ESTABLISHED") {
    return context.peerTag === initiatorContextTag ? "i1-repeated" : "i1";
  }
  return context.holdUntil === undefined ? "i1-concurrent" : "i1";
}

/** The ULID pair of I1, I2 and I2bis, seen from here (RFC 5533 section 5.15.6). */
export function ulidsOf(options: readonly Option[], arrival: AddressPair): AddressPair {
  const option = options.find(({ name }) => name === "UlidPair");
  if (option?.name !== "UlidPair") return inForm(arrival, false);
  return { local: option.receiverUlid, peer: option.senderUlid };
}

export function forkedInstanceOf(options: readonly Option[]): number {
  const option = options.find(({ name }) => name === "ForkedInstanceIdentifier");
  return option?.name === "ForkedInstanceIdentifier" ? option.identifier : 0;
}

/** Whether the peer takes Shim6 in UDP at this port, as we do. */
export function takesUdp(options: readonly Option[], port: number | undefined): boolean {
  return options.some((option) => option.name === "UdpEncapsulation" && option.port === port);
}

export function validatorInput(
  initiatorTag: ContextTag,
  ulids: AddressPair,
  arrival: AddressPair,
  forkedInstance: number,
): ValidatorInput {
  return {
    exchange: "establishment",
    initiatorTag,
    initiatorUlid: ulids.peer,
    responderUlid: ulids.local,
    initiatorLocator: arrival.peer,
    responderLocator: arrival.local,
    forkedInstance,
  };
}
