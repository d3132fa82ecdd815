import type { ByteReader } from "../wire/reader.ts";
import type { ByteWriter } from "../wire/writer.ts";
import {
  PREFIX_LENGTH,
  prefixFromBytes,
  prefixToBytes,
  type SubnetPrefix,
} from "./subnet-prefix.ts";

/** The CGA Extension Type (RFC 5535 section 10). */
export const MULTI_PREFIX_TYPE = 0x0012;

/** Before the prefixes: the P flag and 31 reserved bits. */
const FIXED_LENGTH = 4;
const P_FLAG = 0x8000_0000;

/** The prefixes of an HBA set (RFC 5535 section 5). */
export interface MultiPrefixExtension {
  readonly name: "MultiPrefix";
  /** The P flag: the Public Key field holds a public key, not an Extended Modifier. */
  readonly hasPublicKey: boolean;
  /** 31 bits, zero when sent and ignored on receipt; kept because the hashes cover them. */
  readonly reserved: number;
  /** In the sender's order. */
  readonly prefixes: readonly SubnetPrefix[];
}

/** Whether the extension's data can have this many octets. */
export function isMultiPrefixLength(length: number): boolean {
  return length >= FIXED_LENGTH && (length - FIXED_LENGTH) % PREFIX_LENGTH === 0;
}

export function multiPrefixLength({ prefixes }: MultiPrefixExtension): number {
  return FIXED_LENGTH + PREFIX_LENGTH * prefixes.length;
}

/** @param data all of the extension's data, of a length that {@link isMultiPrefixLength} allows */
export function readMultiPrefix(data: ByteReader): MultiPrefixExtension {
  const flags = data.u32();
  const prefixes: SubnetPrefix[] = [];
  while (data.remaining > 0) prefixes.push(prefixFromBytes(data.bytes(PREFIX_LENGTH)));
  return {
    name: "MultiPrefix",
    hasPublicKey: flags >= P_FLAG,
    reserved: flags % P_FLAG,
    prefixes,
  };
}

export function writeMultiPrefix(writer: ByteWriter, extension: MultiPrefixExtension): void {
  writer.u32((extension.hasPublicKey ? P_FLAG : 0) + extension.reserved);
  for (const prefix of extension.prefixes) writer.bytes(prefixToBytes(prefix));
}
