import { type ParseError, parseFailure } from "./parse-error.ts";
import { ByteReader } from "./reader.ts";
import { type Result, success } from "./result.ts";
import type { ContextTag } from "./tag.ts";

/** Octets of the Shim6 Payload Extension header (RFC 5533 section 5.2). */
export const PAYLOAD_HEADER_LENGTH = 8;

export interface PayloadHeader {
  /** The protocol of what follows. */
  readonly nextHeader: number;
  readonly receiverContextTag: ContextTag;
}

/**
 * Whether the Shim6 header at `offset` is a Payload Extension header: P is 1. RFC 5533
 * section 12 has it the other way round, against its own figures.
 */
export function isPayloadHeader(bytes: Uint8Array, offset = 0): boolean {
  return ((bytes[offset + 2] ?? 0) & 0x80) !== 0;
}

/** Decodes the Payload Extension header that `bytes` begins with. */
export function decodePayloadHeader(bytes: Uint8Array): Result<PayloadHeader, ParseError> {
  if (bytes.length < PAYLOAD_HEADER_LENGTH) {
    const text = `${bytes.length} octets; a payload header has ${PAYLOAD_HEADER_LENGTH}`;
    return parseFailure("truncated", bytes.length, text);
  }
  if (!isPayloadHeader(bytes)) {
    return parseFailure("wrong-kind", 2, "the P bit is not set: a control message, not payload");
  }
  if (bytes[1] !== 0) {
    return parseFailure(
      "header-length",
      1,
      `Hdr Ext Len of a payload header is 0, not ${bytes[1]}`,
    );
  }
  const reader = new ByteReader(bytes);
  const nextHeader = reader.u8();
  reader.skip(1);
  return success({ nextHeader, receiverContextTag: reader.tag() });
}

/** Writes the 8 octets at `offset` of `target`, which must have room for them. */
export function writePayloadHeader(
  target: Uint8Array,
  offset: number,
  nextHeader: number,
  tag: ContextTag,
): void {
  const high = Math.floor(tag / 2 ** 32);
  target[offset] = nextHeader;
  target[offset + 1] = 0;
  target[offset + 2] = 0x80 | (high >> 8);
  target[offset + 3] = high & 0xff;
  target[offset + 4] = tag >>> 24;
  target[offset + 5] = (tag >>> 16) & 0xff;
  target[offset + 6] = (tag >>> 8) & 0xff;
  target[offset + 7] = tag & 0xff;
}
