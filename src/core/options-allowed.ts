import type { ControlMessage, Option, OptionName } from "../wire/message.ts";

const LOCATORS: readonly OptionName[] = [
  "LocatorList",
  "LocatorPreferences",
  "CgaParameterDataStructure",
  "CgaSignature",
  "KeepaliveTimeout",
];

/** What an exchange tells of its sender. */
const OWN: readonly OptionName[] = [...LOCATORS, "UdpEncapsulation"];

/** Which options each message may carry (RFC 5533 sections 5.4 to 5.13, RFC 5534 section 5.3). */
const ALLOWED: Readonly<Record<ControlMessage["type"], readonly OptionName[]>> = {
  I1: ["UlidPair", "ForkedInstanceIdentifier"],
  R1: ["ResponderValidator"],
  I2: ["ResponderValidator", "UlidPair", "ForkedInstanceIdentifier", ...OWN],
  R2: OWN,
  R1bis: ["ResponderValidator"],
  I2bis: ["ResponderValidator", "UlidPair", "ForkedInstanceIdentifier", ...OWN],
  UpdateRequest: LOCATORS,
  UpdateAcknowledgement: [],
  Keepalive: [],
  Probe: [],
  Error: [],
  Unknown: [],
};

/** The options of a message; an error message and one of unknown type have none. */
function optionsOf(message: ControlMessage): readonly Option[] {
  return "options" in message ? message.options : [];
}

/**
 * The index of an option that the message may not carry, or that we don't know, with its
 * critical bit set; -1 without one.
 */
export function findForeignCriticalOption(message: ControlMessage): number {
  return optionsOf(message).findIndex(
    ({ name, critical }) => critical && !ALLOWED[message.type].includes(name),
  );
}
