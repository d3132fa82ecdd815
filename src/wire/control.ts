import { isShim6ChecksumValid, shim6Checksum } from "./checksum.ts";
import type {
  ControlMessage,
  MessageType,
  Option,
  Probe,
  ProbeReport,
  ProbeState,
} from "./message.ts";
import { decodeOptions, writeOption } from "./options.ts";
import { type ParseError, parseFailure } from "./parse-error.ts";
import { ByteReader } from "./reader.ts";
import { type Result, success } from "./result.ts";
import { ByteWriter, checkUnsigned } from "./writer.ts";

/** RFC 5533 Table 1. */
const MESSAGE_TYPES = {
  I1: 1,
  R1: 2,
  I2: 3,
  R2: 4,
  R1bis: 5,
  I2bis: 6,
  UpdateRequest: 64,
  UpdateAcknowledgement: 65,
  Keepalive: 66,
  Probe: 67,
  Error: 68,
} as const satisfies Record<MessageType, number>;

const MESSAGE_NAMES: ReadonlyMap<number, MessageType> = new Map(
  Object.entries(MESSAGE_TYPES).map(([name, code]) => [code, name as MessageType]),
);

/** The type in a control header, whatever else is wrong with the message; `undefined`: unknown. */
export function messageTypeOf(bytes: Uint8Array): MessageType | undefined {
  return MESSAGE_NAMES.get((bytes[2] ?? 0) & 0x7f);
}

/**
 * Octets of each message without options: 8 + 8 times the least Hdr Ext Len that RFC 5533
 * sections 5.4 to 5.14 give. A Probe has its reports besides.
 */
const FIXED_LENGTHS: Readonly<Record<MessageType, number>> = {
  I1: 16,
  R1: 16,
  I2: 24,
  R2: 16,
  R1bis: 16,
  I2bis: 32,
  UpdateRequest: 16,
  UpdateAcknowledgement: 16,
  Keepalive: 16,
  Probe: 16,
  Error: 16,
};

const NO_NEXT_HEADER = 59;
/** The part that all control messages share, up to and with the checksum. */
const COMMON_LENGTH = 6;
const CHECKSUM_OFFSET = 4;
const MINIMUM_LENGTH = 8;
/** What Hdr Ext Len can express. */
const MAXIMUM_LENGTH = 8 * 256;
/** Two addresses, nonce and data of one probe. */
const REPORT_LENGTH = 40;
/** RFC 5534 section 5.2; Sta is the index. */
const PROBE_STATES: readonly ProbeState[] = ["operational", "exploring", "inboundok"];

/** A control message and what its header says. */
export interface DecodedControl {
  readonly message: ControlMessage;
  /** 59 (no next header) in every message that RFC 5533 defines. */
  readonly nextHeader: number;
  /** Octets of the Shim6 header; what follows is not covered by the checksum. */
  readonly length: number;
  /** An invalid one is no parse error: the caller drops the message, or shows it. */
  readonly checksum: { readonly value: number; readonly valid: boolean };
  /** Of each option's Type from the Shim6 Next Header octet, in the order of the options. */
  readonly optionOffsets: readonly number[];
}

/**
 * Decodes a control message. `bytes` starts at the Shim6 Next Header octet and runs to the end
 * of the IPv6 packet. Unknown message types and options are kept, duplicate options too;
 * reserved fields are ignored. Never throws, whatever the octets are.
 */
export function decodeControl(bytes: Uint8Array): Result<DecodedControl, ParseError> {
  const header = decodeCommonHeader(bytes);
  if (!header.ok) return header;
  const { nextHeader, length, typeCode } = header.value;
  const decoded = decodeMessage(bytes, typeCode, length);
  if (!decoded.ok) return decoded;
  const value = ((bytes[CHECKSUM_OFFSET] as number) << 8) | (bytes[CHECKSUM_OFFSET + 1] as number);
  const checksum = { value, valid: isShim6ChecksumValid(bytes, length) };
  return success({ ...decoded.value, nextHeader, length, checksum });
}

interface CommonHeader {
  readonly nextHeader: number;
  readonly length: number;
  readonly typeCode: number;
}

/** RFC 5533 section 5.3. */
function decodeCommonHeader(bytes: Uint8Array): Result<CommonHeader, ParseError> {
  if (bytes.length < MINIMUM_LENGTH) {
    return parseFailure(
      "truncated",
      bytes.length,
      `${bytes.length} octets; a header has 8 or more`,
    );
  }
  const reader = new ByteReader(bytes);
  const nextHeader = reader.u8();
  const length = MINIMUM_LENGTH + 8 * reader.u8();
  const pAndType = reader.u8();
  const typeSpecificAndS = reader.u8();
  if ((pAndType & 0x80) !== 0) {
    return parseFailure("wrong-kind", 2, "the P bit is set: payload, not a control message");
  }
  if (length > bytes.length) {
    const text = `Hdr Ext Len says ${length} octets; the packet has ${bytes.length}`;
    return parseFailure("truncated", 1, text);
  }
  if ((typeSpecificAndS & 1) !== 0) {
    return parseFailure("s-bit", 3, "the S bit is set: a HIP message, not Shim6");
  }
  return success({ nextHeader, length, typeCode: pAndType });
}

interface DecodedMessage {
  readonly message: ControlMessage;
  readonly optionOffsets: readonly number[];
}

function decodeMessage(
  bytes: Uint8Array,
  typeCode: number,
  length: number,
): Result<DecodedMessage, ParseError> {
  const type = MESSAGE_NAMES.get(typeCode);
  const body = new ByteReader(bytes, COMMON_LENGTH, length);
  if (type === undefined) {
    const message = { type: "Unknown", typeCode, body: body.rest() } as const;
    return success({ message, optionOffsets: [] });
  }
  if (length < FIXED_LENGTHS[type]) {
    return parseFailure(
      "header-length",
      1,
      `${type} of ${length} octets; the least is ${FIXED_LENGTHS[type]}`,
    );
  }
  if (type === "Error") {
    const errorCode = (bytes[3] as number) >> 1;
    const message = { type, errorCode, pointer: body.u16(), packetInError: body.rest() } as const;
    return success({ message, optionOffsets: [] });
  }
  const fixed = type === "Probe" ? decodeProbe(body) : success(decodeFixedFields(type, body));
  if (!fixed.ok) return fixed;
  const decoded = decodeOptions(bytes, body.offset, length);
  if (!decoded.ok) return decoded;
  const message = { ...fixed.value, options: decoded.value.options };
  return success({ message, optionOffsets: decoded.value.offsets });
}

type WithoutOptions<Message> = Message extends unknown ? Omit<Message, "options"> : never;
type MessageWithFixedFields = Extract<
  ControlMessage,
  { type: Exclude<MessageType, "Probe" | "Error"> }
>;

/** RFC 5533 sections 5.4 to 5.11 and RFC 5534 section 5.1. Object fields are read in order. */
function decodeFixedFields(
  type: MessageWithFixedFields["type"],
  body: ByteReader,
): WithoutOptions<MessageWithFixedFields> {
  switch (type) {
    case "I1":
      return { type, initiatorContextTag: body.tag(), initiatorNonce: body.u32() };
    case "R1":
      body.skip(2);
      return { type, initiatorNonce: body.u32(), responderNonce: body.u32() };
    case "I2": {
      const fields = readInitiatorFields(body);
      body.skip(4);
      return { type, ...fields };
    }
    case "R2":
      return { type, responderContextTag: body.tag(), initiatorNonce: body.u32() };
    case "R1bis":
      return { type, packetContextTag: body.tag(), responderNonce: body.u32() };
    case "I2bis": {
      const fields = readInitiatorFields(body);
      // Reserved2 has 49 bits; the last is the one in front of the tag.
      body.skip(6);
      return { type, ...fields, packetContextTag: body.tag() };
    }
    case "UpdateRequest":
    case "UpdateAcknowledgement":
      return { type, receiverContextTag: body.tag(), requestNonce: body.u32() };
    case "Keepalive": {
      const receiverContextTag = body.tag();
      body.skip(4);
      return { type, receiverContextTag };
    }
  }
}

function readInitiatorFields(body: ByteReader) {
  return {
    initiatorContextTag: body.tag(),
    initiatorNonce: body.u32(),
    responderNonce: body.u32(),
  };
}

/** RFC 5534 section 5.2. */
function decodeProbe(body: ByteReader): Result<WithoutOptions<Probe>, ParseError> {
  const receiverContextTag = body.tag();
  const countsOffset = body.offset;
  const counts = body.u8();
  const [received, sent] = [counts >> 4, counts & 0x0f];
  if (sent === 0) return parseFailure("probe-count", countsOffset, "Psent is 0; the least is 1");
  const state = PROBE_STATES[body.u8() >> 6];
  if (state === undefined) return parseFailure("probe-state", countsOffset + 1, "Sta is 3");
  body.skip(2);
  if (REPORT_LENGTH * (sent + received) > body.remaining) {
    return parseFailure(
      "header-length",
      1,
      `a Probe with ${sent} sent and ${received} received probes; ${body.remaining} octets are left`,
    );
  }
  const sentProbes = Array.from({ length: sent }, () => readReport(body));
  const receivedProbes = Array.from({ length: received }, () => readReport(body));
  return success({ type: "Probe", receiverContextTag, state, sentProbes, receivedProbes });
}

function readReport(body: ByteReader): ProbeReport {
  return {
    source: body.address(),
    destination: body.address(),
    nonce: body.u32(),
    data: body.u32(),
  };
}

/**
 * Encodes a control message from its Next Header octet on, with checksum and padding.
 * What it may be long in its packet (1280 octets, RFC 5533 section 5.1) is the caller's to keep.
 * @throws RangeError when a value does not fit its field, or all of them 2048 octets.
 */
export function encodeControl(message: ControlMessage): Uint8Array {
  const writer = new ByteWriter(MAXIMUM_LENGTH);
  const typeSpecific = message.type === "Error" ? checkUnsigned(message.errorCode, 7) : 0;
  // The length and the checksum are filled in when all else is known.
  writer.u8(NO_NEXT_HEADER).u8(0).u8(typeCodeOf(message));
  writer.u8(typeSpecific << 1).u16(0);
  writeFields(writer, message);
  for (const option of optionsOf(message)) writeOption(writer, option);
  writer.align(8);
  return seal(writer.finish());
}

/** Fills in the length and, over all the rest, the checksum. */
function seal(bytes: Uint8Array): Uint8Array {
  bytes[1] = (bytes.length - MINIMUM_LENGTH) / 8;
  const checksum = shim6Checksum(bytes, bytes.length);
  bytes[CHECKSUM_OFFSET] = checksum >> 8;
  bytes[CHECKSUM_OFFSET + 1] = checksum & 0xff;
  return bytes;
}

function typeCodeOf(message: ControlMessage): number {
  if (message.type !== "Unknown") return MESSAGE_TYPES[message.type];
  if (MESSAGE_NAMES.has(message.typeCode)) {
    throw new RangeError(`message type ${message.typeCode} is known: use its own value type`);
  }
  return checkUnsigned(message.typeCode, 7);
}

function optionsOf(message: ControlMessage): readonly Option[] {
  return "options" in message ? message.options : [];
}

function writeFields(writer: ByteWriter, message: ControlMessage): void {
  switch (message.type) {
    case "I1":
      writer.tag(message.initiatorContextTag).u32(message.initiatorNonce);
      break;
    case "R1":
      writer.zeros(2).u32(message.initiatorNonce).u32(message.responderNonce);
      break;
    case "I2":
      writer.tag(message.initiatorContextTag);
      writer.u32(message.initiatorNonce).u32(message.responderNonce).zeros(4);
      break;
    case "R2":
      writer.tag(message.responderContextTag).u32(message.initiatorNonce);
      break;
    case "R1bis":
      writer.tag(message.packetContextTag).u32(message.responderNonce);
      break;
    case "I2bis":
      writer.tag(message.initiatorContextTag);
      writer.u32(message.initiatorNonce).u32(message.responderNonce);
      writer.zeros(6).tag(message.packetContextTag);
      break;
    case "UpdateRequest":
    case "UpdateAcknowledgement":
      writer.tag(message.receiverContextTag).u32(message.requestNonce);
      break;
    case "Keepalive":
      writer.tag(message.receiverContextTag).zeros(4);
      break;
    case "Probe":
      writeProbe(writer, message);
      break;
    case "Error":
      writeError(writer, message.pointer, message.packetInError);
      break;
    case "Unknown":
      writer.bytes(message.body);
      break;
  }
}

function writeProbe(writer: ByteWriter, probe: Probe): void {
  const { sentProbes, receivedProbes } = probe;
  if (sentProbes.length === 0) throw new RangeError("a Probe reports itself as sent; none given");
  writer.tag(probe.receiverContextTag);
  const received = checkUnsigned(receivedProbes.length, 4);
  writer.u8((received << 4) | checkUnsigned(sentProbes.length, 4));
  writer.u8(PROBE_STATES.indexOf(probe.state) << 6).zeros(2);
  for (const report of [...sentProbes, ...receivedProbes]) writeReport(writer, report);
}

function writeReport(writer: ByteWriter, report: ProbeReport): void {
  writer.address(report.source).address(report.destination);
  writer.u32(report.nonce).u32(report.data);
}

/** An Error has 16 octets even with nothing to quote (RFC 5533 section 5.14). */
function writeError(writer: ByteWriter, pointer: number, packetInError: Uint8Array): void {
  writer.u16(pointer).bytes(packetInError);
  writer.zeros(Math.max(0, FIXED_LENGTHS.Error - writer.length));
}
