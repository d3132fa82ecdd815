import { failure, type Result, success } from "../wire/result.ts";

/** The ASN.1 tags of a SubjectPublicKeyInfo. */
const DER_INTEGER = 0x02;
export const DER_BIT_STRING = 0x03;
export const DER_SEQUENCE = 0x30;

/** One element: its contents are `bytes[start .. end)`. */
export interface DerElement {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

export interface DerError {
  /** Of the octet at fault, from the beginning of the array. */
  readonly offset: number;
  readonly message: string;
}

/** DER lengths up to this many octets are read: 65,535 is more than any message holds. */
const LENGTH_OCTETS_MAX = 2;

/** The element that begins at `offset` and ends within `bytes[.. limit)`. */
function readElement(
  bytes: Uint8Array,
  offset: number,
  limit = bytes.length,
): Result<DerElement, DerError> {
  if (offset + 2 > limit) return failure({ offset, message: "no DER element begins here" });
  const tag = bytes[offset] ?? 0;
  const first = bytes[offset + 1] ?? 0;
  if (first < 0x80) return element(tag, offset + 2, first, limit);
  const octets = first & 0x7f;
  if (octets === 0 || octets > LENGTH_OCTETS_MAX) {
    return failure({ offset: offset + 1, message: `a DER length of ${octets} octets` });
  }
  const start = offset + 2 + octets;
  if (start > limit) return failure({ offset: offset + 1, message: "the DER length is cut" });
  const length = bytes.subarray(offset + 2, start).reduce((sum, octet) => sum * 256 + octet, 0);
  // DER has one encoding for each length, the shortest (X.690 section 10.1).
  if (length < (octets === 1 ? 0x80 : 0x100)) {
    return failure({ offset: offset + 1, message: "the DER length is not in its shortest form" });
  }
  return element(tag, start, length, limit);
}

function element(
  tag: number,
  start: number,
  length: number,
  limit: number,
): Result<DerElement, DerError> {
  if (start + length > limit) {
    const message = `a DER element of ${length} octets where ${limit - start} are left`;
    return failure({ offset: start, message });
  }
  return success({ tag, start, end: start + length });
}

/** The element with this tag that begins at `offset`. */
export function readTagged(
  bytes: Uint8Array,
  tag: number,
  offset: number,
  limit = bytes.length,
): Result<DerElement, DerError> {
  const read = readElement(bytes, offset, limit);
  if (!read.ok || read.value.tag === tag) return read;
  const message = `DER tag 0x${read.value.tag.toString(16)}, expected 0x${tag.toString(16)}`;
  return failure({ offset, message });
}

/** An INTEGER that isn't negative, big-endian without leading zeros, and where it ends. */
export function readUnsigned(
  bytes: Uint8Array,
  offset: number,
  limit = bytes.length,
): Result<{ readonly value: Uint8Array; readonly end: number }, DerError> {
  const integer = readTagged(bytes, DER_INTEGER, offset, limit);
  if (!integer.ok) return integer;
  const { start, end } = integer.value;
  const digits = bytes.subarray(start, end);
  const isPadded = digits.length > 1 && digits[0] === 0;
  if (digits.length === 0 || (digits[0] ?? 0) >= 0x80 || (isPadded && (digits[1] ?? 0) < 0x80)) {
    return failure({ offset: start, message: "an INTEGER that is empty, negative or padded" });
  }
  return success({ value: new Uint8Array(digits.subarray(digits[0] === 0 ? 1 : 0)), end });
}

/** @throws RangeError when the contents are longer than 65,535 octets. */
export function encodeElement(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  const header = [tag, ...lengthOctets(length)];
  const encoded = new Uint8Array(header.length + length);
  encoded.set(header);
  let offset = header.length;
  for (const part of contents) {
    encoded.set(part, offset);
    offset += part.length;
  }
  return encoded;
}

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  if (length < 0x100) return [0x81, length];
  if (length < 0x1_0000) return [0x82, length >> 8, length & 0xff];
  throw new RangeError(`a DER element of ${length} octets`);
}

/** An unsigned integer, big-endian, as INTEGER: in as few octets as it needs (X.690 section 8.3). */
export function encodeUnsigned(value: Uint8Array): Uint8Array {
  const first = value.findIndex((octet) => octet !== 0);
  const digits = first < 0 ? Uint8Array.of(0) : value.subarray(first);
  const isNegative = ((digits[0] ?? 0) & 0x80) !== 0;
  return isNegative
    ? encodeElement(DER_INTEGER, Uint8Array.of(0), digits)
    : encodeElement(DER_INTEGER, digits);
}
