import type { Address } from "../wire/address.ts";
import { failure, type Result, success } from "../wire/result.ts";
import { fitsHash2, hash1, hash2Input, matchesHash1, secBitsOf } from "./hashes.ts";
import { type CgaParameters, COLLISION_COUNT_MAX, multiPrefixOf } from "./parameters.ts";
import type { Sha1 } from "./primitives.ts";
import { isAssignedSec, type Sec, secEntry } from "./sec.ts";
import { prefixOf } from "./subnet-prefix.ts";

/** Why an address does not belong to CGA parameters. */
export interface BindingFailure {
  readonly reason: /** HBA: the parameters have no Multi-Prefix extension. */
    | "no-multi-prefix"
    /** HBA: the address has a prefix that is not in the Multi-Prefix extension. */
    | "prefix-not-in-set"
    /** The collision count is not 0, 1 or 2. */
    | "collision-count"
    /** CGA: the address has another subnet prefix. */
    | "subnet-prefix"
    /** Sec 3 to 7: the registry has no hash function for it. */
    | "sec-unassigned"
    /** The interface identifier is not Hash1. */
    | "hash1"
    /** Hash2 does not begin with 16*Sec zero bits. */
    | "hash2";
  readonly message: string;
}

/**
 * CGA verification (RFC 3972 section 5, RFC 5535 section 7.1): `address` is the one address of
 * these parameters. Its Sec is the result. Takes at most two hashes.
 *
 * Whether the public key is any good is not looked at: `checkSigningKey` does that where the
 * key is used.
 */
export function verifyCga(
  sha1: Sha1,
  address: Address,
  parameters: CgaParameters,
): Result<Sec, BindingFailure> {
  const { collisionCount, subnetPrefix } = parameters;
  if (collisionCount > COLLISION_COUNT_MAX) {
    return unbound("collision-count", `the collision count is ${collisionCount}, not 0, 1 or 2`);
  }
  if (prefixOf(address) !== subnetPrefix) {
    return unbound("subnet-prefix", `${address} is not in ${subnetPrefix}/64`);
  }
  return verifyHashes(sha1, address, parameters);
}

/** Sec comes before Hash1, other than in RFC 3972: RFC 4982 lets it name the hash function. */
function verifyHashes(
  sha1: Sha1,
  address: Address,
  parameters: CgaParameters,
): Result<Sec, BindingFailure> {
  const sec = secBitsOf(address);
  if (!isAssignedSec(sec)) {
    const message = `the CGA SEC registry (RFC 4982) assigns no hash function to Sec ${sec} of ${address}`;
    return unbound("sec-unassigned", message);
  }
  if (!matchesHash1(address, hash1(sha1, parameters))) {
    return unbound(
      "hash1",
      `the interface identifier of ${address} is not Hash1 of the CGA parameters`,
    );
  }
  if (!fitsHash2(sha1, sec, hash2Input(parameters))) {
    const { name, zeroBits } = secEntry(sec);
    const message = `Hash2 does not begin with ${zeroBits} zero bits, as Sec ${sec} (${name}) demands`;
    return unbound("hash2", message);
  }
  return success(sec);
}

/**
 * HBA verification (RFC 5535 section 7.2): `address` is in the HBA set that any of the set's
 * parameters names. The Subnet Prefix field does not count: the address's prefix replaces it.
 */
export function verifyHba(
  sha1: Sha1,
  address: Address,
  parameters: CgaParameters,
): Result<Sec, BindingFailure> {
  const multiPrefix = multiPrefixOf(parameters);
  if (multiPrefix === undefined) {
    return unbound("no-multi-prefix", "the CGA parameters have no Multi-Prefix extension");
  }
  const subnetPrefix = prefixOf(address);
  if (!multiPrefix.prefixes.includes(subnetPrefix)) {
    return unbound("prefix-not-in-set", `the HBA set has no prefix ${subnetPrefix}/64`);
  }
  return verifyCga(sha1, address, { ...parameters, subnetPrefix });
}

function unbound(reason: BindingFailure["reason"], message: string): Result<never, BindingFailure> {
  return failure({ reason, message });
}
