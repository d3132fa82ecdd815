import { type AddressSet, formAddresses, hbaParameters } from "../../identity/address-set.ts";
import type { Prover } from "../../identity/prove-locators.ts";
import type { Sec } from "../../identity/sec.ts";
import { prefixOf, type SubnetPrefix } from "../../identity/subnet-prefix.ts";
import type { Address } from "../../wire/address.ts";
import { sha1 } from "../crypto/primitives.ts";
import type { RsaKey } from "../crypto/rsa-key.ts";

/** All that makes a set again, given the key. */
export interface SetRecord {
  readonly sec: Sec;
  /** In the order of the Multi-Prefix extension. */
  readonly prefixes: readonly SubnetPrefix[];
  /** 16 octets, found for `sec`. */
  readonly modifier: Uint8Array;
  /** 0 .. 2. */
  readonly collisionCount: number;
}

/**
 * A CGA-compatible HBA set of this host (RFC 5535 section 6): its members prove each other, and
 * the key proves what comes later.
 */
export class OwnSet {
  readonly record: SetRecord;
  readonly addressSet: AddressSet;
  readonly #provers: ReadonlyMap<Address, Prover>;

  /** @throws RangeError when the modifier does not fit `sec` with this key */
  constructor(record: SetRecord, key: Pick<RsaKey, "publicKey" | "sign">) {
    const { sec, prefixes, modifier, collisionCount } = record;
    const der = key.publicKey;
    const shared = hbaParameters(modifier, { kind: "public-key", der }, prefixes);
    this.record = record;
    this.addressSet = formAddresses(sha1, sec, shared, prefixes, collisionCount);
    this.#provers = new Map(
      this.addressSet.members.map(({ address, parameters }) => [
        address,
        { parameters, sign: key.sign },
      ]),
    );
  }

  get addresses(): Address[] {
    return [...this.#provers.keys()];
  }

  /** What proves the locators of contexts whose ULID the address is; the same object each time. */
  proverOf(address: Address): Prover | undefined {
    return this.#provers.get(address);
  }

  addressIn(prefix: SubnetPrefix): Address | undefined {
    return this.addresses.find((address) => prefixOf(address) === prefix);
  }

  covers(prefixes: readonly SubnetPrefix[]): boolean {
    return prefixes.every((prefix) => this.record.prefixes.includes(prefix));
  }
}
