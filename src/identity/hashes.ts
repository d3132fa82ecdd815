import type { Address } from "../wire/address.ts";
import {
  type CgaParameters,
  encodeParameters,
  MODIFIER_LENGTH,
  type SharedParameters,
} from "./parameters.ts";
import type { Sha1 } from "./primitives.ts";
import { type Sec, secEntry } from "./sec.ts";
import {
  addressIn,
  INTERFACE_IDENTIFIER_LENGTH,
  interfaceIdentifierOf,
  type SubnetPrefix,
} from "./subnet-prefix.ts";

/** Subnet prefix and collision count are zero when Hash2 is computed. */
const NO_PREFIX = "::" as SubnetPrefix;

/**
 * Mask1 (RFC 3972 section 2): what an interface identifier has of Hash1. The three leftmost
 * bits are Sec, bits 6 and 7 the "u" and "g" bits.
 */
const MASK1 = Uint8Array.of(0x1c, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

/** The leftmost 64 bits of the hash over all parameters (RFC 3972 section 3). */
export function hash1(sha1: Sha1, parameters: CgaParameters): Uint8Array {
  return sha1(encodeParameters(parameters)).subarray(0, INTERFACE_IDENTIFIER_LENGTH);
}

/** What Hash2 is computed from; a search changes the modifier, its first 16 octets, in place. */
export function hash2Input(shared: SharedParameters): Uint8Array {
  return encodeParameters({ ...shared, subnetPrefix: NO_PREFIX, collisionCount: 0 });
}

/** Whether the 16*Sec leftmost bits of Hash2 are zero. @param input from {@link hash2Input} */
export function fitsHash2(sha1: Sha1, sec: Sec, input: Uint8Array): boolean {
  const octets = secEntry(sec).zeroBits / 8;
  return (
    octets === 0 ||
    sha1(input)
      .subarray(0, octets)
      .every((octet) => octet === 0)
  );
}

/** The value of the three leftmost bits of the interface identifier, 0 .. 7. */
export function secBitsOf(address: Address): number {
  return (interfaceIdentifierOf(address)[0] ?? 0) >> 5;
}

export function matchesHash1(address: Address, hash: Uint8Array): boolean {
  const identifier = interfaceIdentifierOf(address);
  return MASK1.every((mask, i) => (((identifier[i] ?? 0) ^ (hash[i] ?? 0)) & mask) === 0);
}

/** RFC 3972 section 4 steps 5 to 7: Sec, the "u" and "g" bits zero, and the rest of Hash1. */
export function formAddress(sha1: Sha1, sec: Sec, parameters: CgaParameters): Address {
  const hash = hash1(sha1, parameters);
  const identifier = MASK1.map((mask, i) => (hash[i] ?? 0) & mask);
  identifier[0] = (identifier[0] ?? 0) | (sec << 5);
  return addressIn(parameters.subnetPrefix, identifier);
}

/** Adds to the modifier at the beginning of `octets`, a 128-bit number that wraps, in place. */
export function addToModifier(octets: Uint8Array, summand: number): void {
  let carry = summand;
  for (let i = MODIFIER_LENGTH - 1; i >= 0 && carry > 0; i--) {
    const sum = (octets[i] ?? 0) + carry;
    octets[i] = sum % 256;
    carry = Math.floor(sum / 256);
  }
}
