import type { Address } from "../wire/address.ts";
import { failure, type Result, success } from "../wire/result.ts";
import { fitsHash2, formAddress, hash2Input } from "./hashes.ts";
import {
  type CgaExtension,
  type CgaParameters,
  COLLISION_COUNT_MAX,
  type SharedParameters,
} from "./parameters.ts";
import type { Sha1 } from "./primitives.ts";
import { encodeRsaPublicKey } from "./rsa-key.ts";
import { type Sec, secEntry } from "./sec.ts";
import type { SubnetPrefix } from "./subnet-prefix.ts";

/** Octets of the random number that takes the key's place in an HBA-only set: 384 bits. */
const EXTENDED_MODIFIER_LENGTH = 48;

/**
 * The Public Key field of an HBA set (RFC 5535 section 6): a public key, which makes its
 * addresses CGAs too, or a random Extended Modifier; each as DER SubjectPublicKeyInfo.
 */
export interface HbaKey {
  readonly kind: "public-key" | "extended-modifier";
  readonly der: Uint8Array;
}

/** Addresses that belong together, in the order of their prefixes. */
export interface AddressSet {
  readonly sec: Sec;
  readonly members: readonly SetMember[];
}

export interface SetMember {
  readonly address: Address;
  /** Its own: they name its prefix. */
  readonly parameters: CgaParameters;
}

/**
 * Encodes an Extended Modifier as RFC 5535 section 6 asks: as an RSA key. It says nothing of
 * the exponent; 65537 is what other implementations take.
 * @param octets 48, random
 */
export function extendedModifierKey(octets: Uint8Array): HbaKey {
  if (octets.length !== EXTENDED_MODIFIER_LENGTH) {
    throw new RangeError(`an Extended Modifier has 48 octets, not ${octets.length}`);
  }
  const exponent = Uint8Array.of(1, 0, 1);
  return { kind: "extended-modifier", der: encodeRsaPublicKey({ modulus: octets, exponent }) };
}

/**
 * What the addresses of an HBA set share (RFC 5535 section 6 steps 1 and 2); a search then
 * finds the modifier that Sec demands.
 * @param modifier 16 octets, random
 * @throws RangeError without prefixes, or where one stands twice
 */
export function hbaParameters(
  modifier: Uint8Array,
  key: HbaKey,
  prefixes: readonly SubnetPrefix[],
): SharedParameters {
  if (prefixes.length === 0 || new Set(prefixes).size !== prefixes.length) {
    throw new RangeError(`an HBA set needs prefixes, each once: ${prefixes.join(" ")}`);
  }
  const multiPrefix: CgaExtension = {
    name: "MultiPrefix",
    hasPublicKey: key.kind === "public-key",
    reserved: 0,
    prefixes,
  };
  return { modifier, publicKey: key.der, extensions: [multiPrefix] };
}

/**
 * The addresses with these parameters, one for each prefix (RFC 3972 section 4 steps 4 to 9,
 * RFC 5535 section 6 steps 5 and 6).
 * @param shared with a modifier that a search for `sec` found
 * @param collisionCount 0 .. 2
 * @throws RangeError when the modifier does not fit `sec`, or the collision count is out of range
 */
export function formAddresses(
  sha1: Sha1,
  sec: Sec,
  shared: SharedParameters,
  prefixes: readonly SubnetPrefix[],
  collisionCount = 0,
): AddressSet {
  if (!fitsHash2(sha1, sec, hash2Input(shared))) {
    throw new RangeError(`Hash2 of this modifier has no ${secEntry(sec).zeroBits} zero bits`);
  }
  if (
    !Number.isInteger(collisionCount) ||
    collisionCount < 0 ||
    collisionCount > COLLISION_COUNT_MAX
  ) {
    throw new RangeError(`a collision count is 0, 1 or 2, not ${collisionCount}`);
  }
  const members = prefixes.map((subnetPrefix) => {
    const parameters = { ...shared, subnetPrefix, collisionCount };
    return { address: formAddress(sha1, sec, parameters), parameters };
  });
  return { sec, members };
}

/** Three addresses in a row were taken: an attack, or a mistake of ours (RFC 3972 section 4 step 8). */
export interface CollisionFailure {
  readonly reason: "three-collisions";
  readonly message: string;
}

/**
 * The set to try next when duplicate address detection found one of the addresses taken: all of
 * them change, with the next collision count. After three collisions there is none.
 */
export function afterCollision(
  sha1: Sha1,
  { sec, members }: AddressSet,
): Result<AddressSet, CollisionFailure> {
  const [first] = members;
  if (first === undefined) throw new RangeError("a set without addresses");
  const collisionCount = first.parameters.collisionCount + 1;
  if (collisionCount > COLLISION_COUNT_MAX) {
    return failure({
      reason: "three-collisions",
      message:
        "duplicate address detection found three sets in a row taken: somebody on the link " +
        "claims every address (RFC 3972 section 4)",
    });
  }
  const prefixes = members.map(({ parameters }) => parameters.subnetPrefix);
  return success(formAddresses(sha1, sec, first.parameters, prefixes, collisionCount));
}
