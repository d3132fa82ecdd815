import { randomBytes } from "node:crypto";
import type { LocalLocator } from "../src/core/config.ts";
import { sha1 } from "../src/daemon/crypto/primitives.ts";
import { newRsaKey, type RsaKey } from "../src/daemon/crypto/rsa-key.ts";
import { OwnSet } from "../src/daemon/identity/own-set.ts";
import { hbaParameters } from "../src/identity/address-set.ts";
import { ModifierSearch } from "../src/identity/modifier-search.ts";
import { MODIFIER_LENGTH, type SharedParameters } from "../src/identity/parameters.ts";
import type { Sec } from "../src/identity/sec.ts";
import { parsePrefix, type SubnetPrefix } from "../src/identity/subnet-prefix.ts";
import { literal } from "../src/lab/topology.ts";

/** The daemon's default. */
const SEC = 1;

/** A host with two locators, the first of which is its ULID. */
export interface Identity {
  readonly key: RsaKey;
  /** Over as many prefixes as locators are proven by it. */
  readonly set: OwnSet;
  readonly locators: readonly LocalLocator[];
}

/** How the second locator is proven by the ULID. */
export type Method = "HBA" | "CGA";

export function prefixesOf(host: number, count: number): SubnetPrefix[] {
  return Array.from({ length: count }, (_, i) => {
    const prefix = parsePrefix(`2001:db8:${host.toString(16)}:${i + 1}::`);
    if (prefix === undefined) throw new Error("no prefix");
    return prefix;
  });
}

/** Where a search for the set's modifier begins. */
export function searchStart(key: RsaKey, prefixes: readonly SubnetPrefix[]): SharedParameters {
  const der = key.publicKey;
  return hbaParameters(randomBytes(MODIFIER_LENGTH), { kind: "public-key", der }, prefixes);
}

/** As the daemon makes its addresses. */
export function makeSet(key: RsaKey, prefixes: readonly SubnetPrefix[], sec: Sec = SEC): OwnSet {
  const start = searchStart(key, prefixes);
  const modifier = new ModifierSearch(sha1, sec, start).step(Number.POSITIVE_INFINITY);
  if (modifier === undefined) throw new Error("the search ends with a modifier");
  return new OwnSet({ sec, prefixes, modifier, collisionCount: 0 }, key);
}

export async function makeIdentity(host: number, method: Method): Promise<Identity> {
  const key = await newRsaKey();
  const set = makeSet(key, prefixesOf(host, method === "HBA" ? 2 : 1));
  const other = literal(`2001:db8:${host.toString(16)}:2::1`);
  const addresses = method === "HBA" ? set.addresses : [...set.addresses, other];
  const locators = addresses.map((address): LocalLocator => {
    const prover = set.proverOf(address);
    const locator = { address, preference: 0, operational: true };
    return prover === undefined ? locator : { ...locator, prover };
  });
  return { key, set, locators };
}
