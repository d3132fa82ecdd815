import type {
  LocatorListOption,
  LocatorPreference,
  LocatorPreferencesOption,
  Option,
  OptionName,
} from "./message.ts";
import { type ParseError, parseFailure } from "./parse-error.ts";
import { ByteReader } from "./reader.ts";
import { type Result, success } from "./result.ts";
import { type ByteWriter, checkUnsigned } from "./writer.ts";

/** RFC 5533 Table 3 and RFC 5534 section 5.3; from 16384 on for experimental use. */
const OPTION_TYPES = {
  ResponderValidator: 1,
  LocatorList: 2,
  LocatorPreferences: 3,
  CgaParameterDataStructure: 4,
  CgaSignature: 5,
  UlidPair: 6,
  ForkedInstanceIdentifier: 7,
  KeepaliveTimeout: 10,
  UdpEncapsulation: 16_524,
} as const satisfies Record<Exclude<OptionName, "Unknown">, number>;

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(OPTION_TYPES));

/** Type with the C bit, and Length. */
const OPTION_HEADER_LENGTH = 4;
/** Options fill a multiple of this (RFC 5533 section 5.15). */
const OPTION_ALIGNMENT = 8;

/** Before the verification methods of a Locator List: the generation and Num Locators. */
const LOCATOR_LIST_FIXED = 5;
/** Before the elements of Locator Preferences: the generation and Element Len. */
const LOCATOR_PREFERENCES_FIXED = 5;
const ULID_PAIR_LENGTH = 36;
const FORKED_INSTANCE_LENGTH = 4;
const KEEPALIVE_TIMEOUT_LENGTH = 4;
const UDP_ENCAPSULATION_LENGTH = 4;

export interface DecodedOptions {
  readonly options: readonly Option[];
  /** Of each option's Type, from the beginning of the array. */
  readonly offsets: readonly number[];
}

/** The RFC's 15-bit type number, without the C bit. */
export function optionType(option: Option): number {
  return option.name === "Unknown" ? option.type : OPTION_TYPES[option.name];
}

/**
 * Octets of zero between the verification methods and the locators of a Locator List, so that
 * the locators start at a multiple of 8 (RFC 5533 section 5.15.2).
 */
function locatorListPadding(count: number): number {
  const end = OPTION_HEADER_LENGTH + LOCATOR_LIST_FIXED + count;
  return (OPTION_ALIGNMENT - (end % OPTION_ALIGNMENT)) % OPTION_ALIGNMENT;
}

/**
 * Decodes the options in `bytes[start .. end)`, in order and with duplicates; the range is a
 * multiple of 8 octets, as the range behind every message's fixed fields is.
 */
export function decodeOptions(
  bytes: Uint8Array,
  start: number,
  end: number,
): Result<DecodedOptions, ParseError> {
  const options: Option[] = [];
  const offsets: number[] = [];
  let offset = start;
  while (offset < end) {
    const decoded = decodeOption(bytes, offset, end);
    if (!decoded.ok) return decoded;
    options.push(decoded.value.option);
    offsets.push(offset);
    offset = decoded.value.next;
  }
  return success({ options, offsets });
}

function decodeOption(
  bytes: Uint8Array,
  offset: number,
  end: number,
): Result<{ option: Option; next: number }, ParseError> {
  const header = new ByteReader(bytes, offset, end);
  const typeAndCritical = header.u16();
  const length = header.u16();
  // Length leaves out the padding, which is not looked at (RFC 5533 section 5.15).
  const padding = 7 - ((length + 3) % 8);
  if (length + padding > header.remaining) {
    return parseFailure(
      "option-overrun",
      offset + 2,
      `option ${typeAndCritical >> 1} has ${length} octets; ${header.remaining} are left`,
    );
  }
  const contents = new ByteReader(bytes, header.offset, header.offset + length);
  const decoded = decodeContents(typeAndCritical >> 1, (typeAndCritical & 1) === 1, contents);
  if (!decoded.ok) return decoded;
  return success({ option: decoded.value, next: header.offset + length + padding });
}

function decodeContents(
  type: number,
  critical: boolean,
  contents: ByteReader,
): Result<Option, ParseError> {
  switch (type) {
    case OPTION_TYPES.ResponderValidator:
      return success({ name: "ResponderValidator", critical, validator: contents.rest() });
    case OPTION_TYPES.LocatorList:
      return decodeLocatorList(critical, contents);
    case OPTION_TYPES.LocatorPreferences:
      return decodeLocatorPreferences(critical, contents);
    case OPTION_TYPES.CgaParameterDataStructure:
      return success({ name: "CgaParameterDataStructure", critical, parameters: contents.rest() });
    case OPTION_TYPES.CgaSignature:
      return success({ name: "CgaSignature", critical, signature: contents.rest() });
    case OPTION_TYPES.UlidPair:
      return decodeUlidPair(critical, contents);
    case OPTION_TYPES.ForkedInstanceIdentifier:
      return decodeForkedInstance(critical, contents);
    case OPTION_TYPES.KeepaliveTimeout:
      return decodeKeepaliveTimeout(critical, contents);
    case OPTION_TYPES.UdpEncapsulation:
      return decodeUdpEncapsulation(critical, contents);
    default:
      return success({ name: "Unknown", critical, type, contents: contents.rest() });
  }
}

function decodeLocatorList(critical: boolean, contents: ByteReader): Result<Option, ParseError> {
  const length = contents.remaining;
  if (length < LOCATOR_LIST_FIXED) return wrongLength("Locator List", "at least 5", contents);
  const generation = contents.u32();
  const count = contents.u8();
  const padding = locatorListPadding(count);
  const expected = LOCATOR_LIST_FIXED + count + padding + 16 * count;
  if (length !== expected) {
    return parseFailure(
      "option-length",
      contents.offset - LOCATOR_LIST_FIXED - 2,
      `a Locator List of ${count} locators has Length ${expected}, not ${length}`,
    );
  }
  const methods = contents.bytes(count);
  contents.skip(padding);
  const locators = Array.from(methods, (method) => ({ address: contents.address(), method }));
  return success({ name: "LocatorList", critical, generation, locators });
}

/** The number of elements is (Length - 5) / Element Len (RFC 5533 section 5.15.3). */
function decodeLocatorPreferences(
  critical: boolean,
  contents: ByteReader,
): Result<Option, ParseError> {
  if (contents.remaining < LOCATOR_PREFERENCES_FIXED) {
    return wrongLength("Locator Preferences", "at least 5", contents);
  }
  const generation = contents.u32();
  const elementLength = contents.u8();
  if (elementLength === 0 || contents.remaining % elementLength !== 0) {
    return parseFailure(
      "element-length",
      contents.offset - 1,
      `Element Len ${elementLength} does not divide ${contents.remaining} octets of elements`,
    );
  }
  const elements: LocatorPreference[] = [];
  while (contents.remaining > 0) elements.push(decodePreference(elementLength, contents));
  return success({ name: "LocatorPreferences", critical, generation, elementLength, elements });
}

function decodePreference(elementLength: number, contents: ByteReader): LocatorPreference {
  const flags = contents.u8();
  if (elementLength === 1) return { flags };
  const priority = contents.u8();
  if (elementLength === 2) return { flags, priority };
  const weight = contents.u8();
  if (elementLength === 3) return { flags, priority, weight };
  return { flags, priority, weight, rest: contents.bytes(elementLength - 3) };
}

function decodeUlidPair(critical: boolean, contents: ByteReader): Result<Option, ParseError> {
  if (contents.remaining !== ULID_PAIR_LENGTH) return wrongLength("ULID Pair", "36", contents);
  contents.skip(4);
  const senderUlid = contents.address();
  return success({ name: "UlidPair", critical, senderUlid, receiverUlid: contents.address() });
}

function decodeForkedInstance(critical: boolean, contents: ByteReader): Result<Option, ParseError> {
  if (contents.remaining !== FORKED_INSTANCE_LENGTH) {
    return wrongLength("Forked Instance Identifier", "4", contents);
  }
  return success({ name: "ForkedInstanceIdentifier", critical, identifier: contents.u32() });
}

function decodeKeepaliveTimeout(
  critical: boolean,
  contents: ByteReader,
): Result<Option, ParseError> {
  if (contents.remaining !== KEEPALIVE_TIMEOUT_LENGTH) {
    return wrongLength("Keepalive Timeout", "4", contents);
  }
  contents.skip(2);
  return success({ name: "KeepaliveTimeout", critical, timeout: contents.u16() });
}

function decodeUdpEncapsulation(
  critical: boolean,
  contents: ByteReader,
): Result<Option, ParseError> {
  if (contents.remaining !== UDP_ENCAPSULATION_LENGTH) {
    return wrongLength("UDP Encapsulation", "4", contents);
  }
  contents.skip(2);
  return success({ name: "UdpEncapsulation", critical, port: contents.u16() });
}

/** `contents` must not have been read from: the error points at the option's Length. */
function wrongLength(
  option: string,
  expected: string,
  contents: ByteReader,
): Result<never, ParseError> {
  return parseFailure(
    "option-length",
    contents.offset - 2,
    `${option} has Length ${expected}, not ${contents.remaining}`,
  );
}

/**
 * Writes an option with its padding.
 * @throws RangeError when a value does not fit its field.
 */
export function writeOption(writer: ByteWriter, option: Option): void {
  const type = checkUnsigned(optionType(option), 15);
  if (option.name === "Unknown" && KNOWN_TYPES.has(type)) {
    throw new RangeError(`option type ${type} is known: use its own value type`);
  }
  writer.u16((type << 1) | (option.critical ? 1 : 0)).u16(contentsLength(option));
  writeContents(writer, option);
  writer.align(OPTION_ALIGNMENT);
}

function contentsLength(option: Option): number {
  switch (option.name) {
    case "ResponderValidator":
      return option.validator.length;
    case "LocatorList": {
      const count = option.locators.length;
      return LOCATOR_LIST_FIXED + count + locatorListPadding(count) + 16 * count;
    }
    case "LocatorPreferences":
      return LOCATOR_PREFERENCES_FIXED + option.elementLength * option.elements.length;
    case "CgaParameterDataStructure":
      return option.parameters.length;
    case "CgaSignature":
      return option.signature.length;
    case "UlidPair":
      return ULID_PAIR_LENGTH;
    case "ForkedInstanceIdentifier":
      return FORKED_INSTANCE_LENGTH;
    case "KeepaliveTimeout":
      return KEEPALIVE_TIMEOUT_LENGTH;
    case "UdpEncapsulation":
      return UDP_ENCAPSULATION_LENGTH;
    case "Unknown":
      return option.contents.length;
  }
}

function writeContents(writer: ByteWriter, option: Option): void {
  switch (option.name) {
    case "ResponderValidator":
      writer.bytes(option.validator);
      break;
    case "LocatorList":
      writeLocatorList(writer, option);
      break;
    case "LocatorPreferences":
      writeLocatorPreferences(writer, option);
      break;
    case "CgaParameterDataStructure":
      writer.bytes(option.parameters);
      break;
    case "CgaSignature":
      writer.bytes(option.signature);
      break;
    case "UlidPair":
      writer.zeros(4).address(option.senderUlid).address(option.receiverUlid);
      break;
    case "ForkedInstanceIdentifier":
      writer.u32(option.identifier);
      break;
    case "KeepaliveTimeout":
      writer.zeros(2).u16(option.timeout);
      break;
    case "UdpEncapsulation":
      writer.zeros(2).u16(option.port);
      break;
    case "Unknown":
      writer.bytes(option.contents);
      break;
  }
}

function writeLocatorList(writer: ByteWriter, option: LocatorListOption): void {
  writer.u32(option.generation).u8(option.locators.length);
  for (const locator of option.locators) writer.u8(locator.method);
  writer.zeros(locatorListPadding(option.locators.length));
  for (const locator of option.locators) writer.address(locator.address);
}

function writeLocatorPreferences(writer: ByteWriter, option: LocatorPreferencesOption): void {
  const { generation, elementLength, elements } = option;
  if (elementLength === 0) throw new RangeError("Element Len is 1 to 255, not 0");
  writer.u32(generation).u8(elementLength);
  for (const { flags, priority, weight, rest } of elements) {
    const octets = [flags, priority, weight, ...(rest ?? [])].filter(
      (octet) => octet !== undefined,
    );
    if (octets.length !== elementLength) {
      throw new RangeError(
        `an element of ${octets.length} octets where Element Len is ${elementLength}`,
      );
    }
    for (const octet of octets) writer.u8(octet);
  }
}
