import { type Address, addressFromBytes } from "./address.ts";
import { type DecodedControl, decodeControl } from "./control.ts";
import { toHex } from "./hex.ts";
import {
  DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH,
  payloadLength,
  SOURCE_OFFSET,
  shim6OffsetAt,
  walkHeaders,
} from "./ipv6.ts";
import type { ControlMessage, ListedLocator, Option, OptionName } from "./message.ts";
import { optionType } from "./options.ts";
import type { ParseError, ParseErrorCode } from "./parse-error.ts";
import { decodePayloadHeader, isPayloadHeader } from "./payload-header.ts";
import { type ContextTag, formatTag } from "./tag.ts";
import { SHIM6_UDP_PORT } from "./udp.ts";

/** A value that JSON can say. */
export type Json =
  | string
  | number
  | boolean
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** The addresses of the packet, as far as they are known, and whether Shim6 goes in UDP there. */
interface Addresses {
  readonly source?: Address;
  readonly destination?: Address;
  readonly encapsulated?: true;
}

/** An option in the RFCs' words; its own fields besides. */
export interface OptionDescription {
  /** The RFC's 15-bit number, without the C bit. */
  readonly type: number;
  readonly name: OptionName;
  readonly critical: boolean;
  readonly [field: string]: Json | undefined;
}

export interface ControlDescription extends Addresses {
  readonly kind: "control";
  readonly type: ControlMessage["type"];
  readonly nextHeader: number;
  /** Length of the Shim6 header in units of 8 octets, without the first. */
  readonly hdrExtLen: number;
  readonly checksum: { readonly value: number; readonly valid: boolean };
  readonly options: readonly OptionDescription[];
  /** The message's fields: tags as 12 hexadecimal digits, octets in hexadecimal. */
  readonly [field: string]: Json | undefined;
}

export interface PayloadDescription extends Addresses {
  readonly kind: "payload";
  readonly receiverContextTag: string;
  readonly nextHeader: number;
}

export interface MalformedDescription extends Addresses {
  readonly kind: "malformed";
  readonly error: string;
  readonly code: ParseErrorCode | "no-shim6-header";
  /** Of the octet at fault, from the Shim6 Next Header octet. */
  readonly offset: number;
}

/** One Shim6 packet as `l3shim decode --json` shows it. */
export type PacketDescription = ControlDescription | PayloadDescription | MalformedDescription;

/**
 * Describes a whole IPv6 packet, which may be cut at its end; `undefined` when its headers lead
 * to no Shim6 header.
 * @param port at both ends of Shim6 in UDP
 */
export function describePacket(
  packet: Uint8Array,
  port = SHIM6_UDP_PORT,
): PacketDescription | undefined {
  const chain = walkHeaders(packet);
  if (!chain.ok || chain.value.fragment === "later") return undefined;
  const { protocol, offset } = chain.value;
  const shim6Offset = shim6OffsetAt(packet, protocol, offset, port);
  if (shim6Offset === undefined) return undefined;
  const end = Math.min(packet.length, IPV6_HEADER_LENGTH + payloadLength(packet));
  const source = addressFromBytes(packet, SOURCE_OFFSET);
  const destination = addressFromBytes(packet, DESTINATION_OFFSET);
  const addresses: Addresses = {
    source,
    destination,
    ...(shim6Offset > offset && { encapsulated: true as const }),
  };
  return describeHeader(packet.subarray(shim6Offset, end), addresses);
}

/** Describes what begins at the Shim6 Next Header octet and runs to the end of the packet. */
export function describeShim6(
  bytes: Uint8Array,
  source?: Address,
  destination?: Address,
): PacketDescription {
  const addresses = {
    ...(source !== undefined && { source }),
    ...(destination !== undefined && { destination }),
  };
  return describeHeader(bytes, addresses);
}

function describeHeader(bytes: Uint8Array, addresses: Addresses): PacketDescription {
  if (isPayloadHeader(bytes)) return describePayload(bytes, addresses);
  const decoded = decodeControl(bytes);
  if (!decoded.ok) return describeMalformed(decoded.error, addresses);
  return describeControl(decoded.value, addresses);
}

function describePayload(bytes: Uint8Array, addresses: Addresses): PacketDescription {
  const decoded = decodePayloadHeader(bytes);
  if (!decoded.ok) return describeMalformed(decoded.error, addresses);
  const { nextHeader, receiverContextTag } = decoded.value;
  return {
    kind: "payload",
    ...addresses,
    receiverContextTag: formatTag(receiverContextTag),
    nextHeader,
  };
}

function describeMalformed(error: ParseError, addresses: Addresses): MalformedDescription {
  const { message, code, offset } = error;
  return { kind: "malformed", ...addresses, error: message, code, offset };
}

function describeControl(decoded: DecodedControl, addresses: Addresses): ControlDescription {
  const { message, nextHeader, length, checksum } = decoded;
  const options = "options" in message ? message.options.map(describeOption) : [];
  return {
    kind: "control",
    type: message.type,
    ...addresses,
    nextHeader,
    hdrExtLen: length / 8 - 1,
    checksum,
    ...describeFields(message),
    options,
  };
}

/** The fields are named in the RFCs' words already. */
function describeFields(message: ControlMessage): { [field: string]: Json } {
  const fields: { [field: string]: Json } = {};
  for (const [name, value] of Object.entries(message)) {
    if (name === "type" || name === "options") continue;
    fields[name] = describeField(name, value);
  }
  return fields;
}

function describeField(name: string, value: unknown): Json {
  if (name.endsWith("ContextTag")) return formatTag(value as ContextTag);
  return value instanceof Uint8Array ? toHex(value) : (value as Json);
}

function describeOption(option: Option): OptionDescription {
  const { name, critical } = option;
  return { type: optionType(option), name, critical, ...describeContents(option) };
}

function describeContents(option: Option): { [field: string]: Json } {
  switch (option.name) {
    case "ResponderValidator":
      return { validator: toHex(option.validator) };
    case "LocatorList": {
      const { generation, locators } = option;
      return {
        locatorListGeneration: generation,
        numLocators: locators.length,
        locators: locators.map(describeLocator),
      };
    }
    case "LocatorPreferences": {
      const elements = option.elements.map(({ rest, ...element }) =>
        rest === undefined ? element : { ...element, rest: toHex(rest) },
      );
      const { generation, elementLength } = option;
      return { locatorListGeneration: generation, elementLen: elementLength, elements };
    }
    case "CgaParameterDataStructure":
      return { cgaParameterDataStructure: toHex(option.parameters) };
    case "CgaSignature":
      return { cgaSignature: toHex(option.signature) };
    case "UlidPair":
      return { senderUlid: option.senderUlid, receiverUlid: option.receiverUlid };
    case "ForkedInstanceIdentifier":
      return { forkedInstanceIdentifier: option.identifier };
    case "KeepaliveTimeout":
      return { keepaliveTimeout: option.timeout };
    case "UdpEncapsulation":
      return { port: option.port };
    case "Unknown":
      return { contents: toHex(option.contents) };
  }
}

function describeLocator({ address, method }: ListedLocator): Json {
  return { address, verificationMethod: method };
}
