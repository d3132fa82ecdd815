import { type Address, addressFromBytes, addressToBytes } from "../../../src/wire/address.ts";

/** Every array that differs from `octets` in one bit, with the number of that bit. */
export function* flips(octets: Uint8Array): Generator<{ bit: number; flipped: Uint8Array }> {
  for (let bit = 0; bit < 8 * octets.length; bit++) yield { bit, flipped: flip(octets, bit) };
}

export function flip(octets: Uint8Array, bit: number): Uint8Array {
  const flipped = new Uint8Array(octets);
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
  return flipped;
}

export function flipAddress(address: Address, bit: number): Address {
  return addressFromBytes(flip(addressToBytes(address), bit));
}

/** Bits of an address that Hash1 doesn't cover: Sec, "u" and "g" (RFC 3972 section 5). */
export const IGNORED_BITS: ReadonlySet<number> = new Set([64, 65, 66, 70, 71]);
