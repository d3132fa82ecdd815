import { ByteReader } from "../wire/reader.ts";
import { failure, type Result, success } from "../wire/result.ts";
import { ByteWriter } from "../wire/writer.ts";
import { DER_SEQUENCE, readTagged } from "./der.ts";
import {
  isMultiPrefixLength,
  MULTI_PREFIX_TYPE,
  type MultiPrefixExtension,
  multiPrefixLength,
  readMultiPrefix,
  writeMultiPrefix,
} from "./multi-prefix.ts";
import {
  PREFIX_LENGTH,
  prefixFromBytes,
  prefixToBytes,
  type SubnetPrefix,
} from "./subnet-prefix.ts";

export const MODIFIER_LENGTH = 16;
/** Before the public key: modifier, subnet prefix, collision count. */
const FIXED_LENGTH = MODIFIER_LENGTH + PREFIX_LENGTH + 1;
/** Type and length of an extension (RFC 4581 section 2). */
const EXTENSION_HEADER_LENGTH = 4;

/** RFC 3972 section 3: the collision count is 0, 1 or 2. */
export const COLLISION_COUNT_MAX = 2;

/** The parts of the parameters that Hash2 covers; all addresses of a set share them. */
export interface SharedParameters {
  /** 16 octets. */
  readonly modifier: Uint8Array;
  /**
   * DER SubjectPublicKeyInfo. Its outer form alone is checked: to the hashes it is opaque, and
   * in an HBA-only set it holds a random number (RFC 5535 section 6).
   */
  readonly publicKey: Uint8Array;
  /** In order; unknown ones are kept because the hashes cover them. */
  readonly extensions: readonly CgaExtension[];
}

/** The CGA Parameters data structure, PDS for short (RFC 3972 section 3). */
export interface CgaParameters extends SharedParameters {
  readonly subnetPrefix: SubnetPrefix;
  /** The octet as it came; verification refuses all but 0, 1 and 2. */
  readonly collisionCount: number;
}

/** An extension field (RFC 4581). */
export type CgaExtension = MultiPrefixExtension | UnknownExtension;

export interface UnknownExtension {
  readonly name: "Unknown";
  readonly type: number;
  readonly data: Uint8Array;
}

/** Why octets are no CGA Parameters data structure. */
export interface ParametersError {
  readonly code: /** The octets end before the public key does. */
    | "truncated"
    /** The public key is no DER SEQUENCE. */
    | "public-key"
    /** An extension reaches past the end, or its header does. */
    | "extension-overrun"
    /** The Multi-Prefix extension has a length that leaves part of a prefix. */
    | "multi-prefix-length"
    /** There are two Multi-Prefix extensions: which one counts is nobody's to say. */
    | "multi-prefix-twice";
  /** Of the octet at fault, from the beginning of the structure. */
  readonly offset: number;
  readonly message: string;
}

/** Exactly reversed by {@link encodeParameters}, so that the hashes of both are the same. */
export function decodeParameters(bytes: Uint8Array): Result<CgaParameters, ParametersError> {
  if (bytes.length < FIXED_LENGTH) {
    return error(
      "truncated",
      0,
      `${bytes.length} octets: the fixed part alone has ${FIXED_LENGTH}`,
    );
  }
  const reader = new ByteReader(bytes);
  const modifier = reader.bytes(MODIFIER_LENGTH);
  const subnetPrefix = prefixFromBytes(reader.bytes(PREFIX_LENGTH));
  const collisionCount = reader.u8();
  const key = readTagged(bytes, DER_SEQUENCE, FIXED_LENGTH);
  if (!key.ok) return error("public-key", key.error.offset, key.error.message);
  const publicKey = reader.bytes(key.value.end - FIXED_LENGTH);
  const extensions = decodeExtensions(reader);
  if (!extensions.ok) return extensions;
  const shared = { modifier, publicKey, extensions: extensions.value };
  return success({ ...shared, subnetPrefix, collisionCount });
}

function decodeExtensions(reader: ByteReader): Result<CgaExtension[], ParametersError> {
  const extensions: CgaExtension[] = [];
  while (reader.remaining > 0) {
    const start = reader.offset;
    const extension = decodeExtension(reader);
    if (!extension.ok) return extension;
    const isSecond = extensions.some(({ name }) => name === "MultiPrefix");
    if (isSecond && extension.value.name === "MultiPrefix") {
      return error("multi-prefix-twice", start, "a second Multi-Prefix extension");
    }
    extensions.push(extension.value);
  }
  return success(extensions);
}

function decodeExtension(reader: ByteReader): Result<CgaExtension, ParametersError> {
  const start = reader.offset;
  if (reader.remaining < EXTENSION_HEADER_LENGTH) {
    return error("extension-overrun", start, `${reader.remaining} octets are left over`);
  }
  const type = reader.u16();
  const length = reader.u16();
  if (length > reader.remaining) {
    const message = `extension ${type} has ${length} octets; ${reader.remaining} are left`;
    return error("extension-overrun", start + 2, message);
  }
  const data = reader.bytes(length);
  if (type !== MULTI_PREFIX_TYPE) return success({ name: "Unknown", type, data });
  if (!isMultiPrefixLength(length)) {
    const message = `a Multi-Prefix extension has 4 + 8 * n octets, not ${length}`;
    return error("multi-prefix-length", start + 2, message);
  }
  return success(readMultiPrefix(new ByteReader(data)));
}

function error(
  code: ParametersError["code"],
  offset: number,
  message: string,
): Result<never, ParametersError> {
  return failure({ code, offset, message });
}

/** @throws RangeError when a value does not fit its field. */
export function encodeParameters(parameters: CgaParameters): Uint8Array {
  const { modifier, publicKey, extensions } = parameters;
  if (modifier.length !== MODIFIER_LENGTH) {
    throw new RangeError(`a modifier has ${MODIFIER_LENGTH} octets, not ${modifier.length}`);
  }
  const extensionOctets = extensions.map(
    (extension) => EXTENSION_HEADER_LENGTH + dataLength(extension),
  );
  const capacity = extensionOctets.reduce((a, b) => a + b, FIXED_LENGTH + publicKey.length);
  const writer = new ByteWriter(capacity)
    .bytes(modifier)
    .bytes(prefixToBytes(parameters.subnetPrefix))
    .u8(parameters.collisionCount)
    .bytes(publicKey);
  for (const extension of extensions) writeExtension(writer, extension);
  return writer.finish();
}

function dataLength(extension: CgaExtension): number {
  return extension.name === "MultiPrefix" ? multiPrefixLength(extension) : extension.data.length;
}

function writeExtension(writer: ByteWriter, extension: CgaExtension): void {
  const type = extension.name === "MultiPrefix" ? MULTI_PREFIX_TYPE : extension.type;
  if (extension.name === "Unknown" && type === MULTI_PREFIX_TYPE) {
    throw new RangeError(`extension type ${type} is known: use its own value type`);
  }
  writer.u16(type).u16(dataLength(extension));
  if (extension.name === "MultiPrefix") writeMultiPrefix(writer, extension);
  else writer.bytes(extension.data);
}

/** The Multi-Prefix extension, of which there is one at most. */
export function multiPrefixOf({ extensions }: SharedParameters): MultiPrefixExtension | undefined {
  return extensions.find((extension) => extension.name === "MultiPrefix");
}

/**
 * Whether the Public Key field claims to hold a public key: always in a CGA, where the P flag
 * says so in an HBA.
 */
export function hasPublicKey(parameters: SharedParameters): boolean {
  return multiPrefixOf(parameters)?.hasPublicKey ?? true;
}
