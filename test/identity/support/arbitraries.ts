import fc from "fast-check";
import type { CgaParameters } from "../../../src/identity/parameters.ts";
import { encodeRsaPublicKey } from "../../../src/identity/rsa-key.ts";
import { prefixFromBytes } from "../../../src/identity/subnet-prefix.ts";
import { addressFromBytes } from "../../../src/wire/address.ts";

export function octetsOf(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length });
}

const subnetPrefix = octetsOf(8).map((octets) => prefixFromBytes(octets));

export const address = octetsOf(16).map((octets) => addressFromBytes(octets));

/** One to ten, each once. */
export const prefixes = fc.uniqueArray(subnetPrefix, { minLength: 1, maxLength: 10 });

const rsaKey = fc
  .record({
    modulus: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    exponent: fc.uint8Array({ minLength: 1, maxLength: 4 }),
  })
  .map(encodeRsaPublicKey);

const multiPrefix = fc.record({
  name: fc.constant("MultiPrefix" as const),
  hasPublicKey: fc.boolean(),
  reserved: fc.integer({ min: 0, max: 0x7fff_ffff }),
  prefixes: fc.array(subnetPrefix, { maxLength: 10 }),
});

const unknownExtension = fc.record({
  name: fc.constant("Unknown" as const),
  type: fc.integer({ min: 0, max: 0xffff }).filter((type) => type !== 0x12),
  data: fc.uint8Array({ maxLength: 40 }),
});

/** Well-formed parameters, with a Multi-Prefix extension at any place or none. */
export const parameters: fc.Arbitrary<CgaParameters> = fc.record({
  modifier: octetsOf(16),
  subnetPrefix,
  collisionCount: fc.integer({ min: 0, max: 255 }),
  publicKey: rsaKey,
  extensions: fc
    .tuple(
      fc.array(unknownExtension, { maxLength: 3 }),
      fc.option(multiPrefix, { nil: undefined }),
      fc.array(unknownExtension, { maxLength: 2 }),
    )
    .map(([before, extension, after]) => [
      ...before,
      ...(extension === undefined ? [] : [extension]),
      ...after,
    ]),
});
