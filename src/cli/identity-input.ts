import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import { type RsaKey, readPrivateKey, readPublicKey } from "../daemon/crypto/rsa-key.ts";
import { COLLISION_COUNT_MAX, MODIFIER_LENGTH } from "../identity/parameters.ts";
import { isAssignedSec, type Sec } from "../identity/sec.ts";
import { parsePrefix, type SubnetPrefix } from "../identity/subnet-prefix.ts";
import { type Address, parseAddress } from "../wire/address.ts";
import { fromHex } from "../wire/hex.ts";
import type { Result } from "../wire/result.ts";
import { CommandError, EXIT } from "./command.ts";

/** What `hba` and `cga` take, as values; what is wrong with them ends in exit status 2. */

export const DEFAULT_SEC: Sec = 1;

export function parsePrefixOption(text: string): SubnetPrefix {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return prefix;
  throw new InvalidArgumentError("It must be a prefix of 64 bits, such as 2001:db8:a:1::/64.");
}

/** For an option that may come more than once. */
export function parsePrefixesOption(
  text: string,
  previous: readonly SubnetPrefix[] = [],
): readonly SubnetPrefix[] {
  const prefix = parsePrefixOption(text);
  if (!previous.includes(prefix)) return [...previous, prefix];
  throw new InvalidArgumentError("The prefix is there already.");
}

export function parseAddressOption(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new InvalidArgumentError("It must be an IPv6 address.");
  return address;
}

/** For an option that may come more than once. */
export function parseAddressesOption(
  text: string,
  previous: readonly Address[] = [],
): readonly Address[] {
  return [...previous, parseAddressOption(text)];
}

export function parseSecOption(text: string): Sec {
  const sec = /^\d$/.test(text) ? Number(text) : Number.NaN;
  if (isAssignedSec(sec)) return sec;
  throw new InvalidArgumentError(
    "It must be 0, 1 or 2: the CGA SEC registry (RFC 4982) names no hash function for others.",
  );
}

export function parseCollisionOption(text: string): number {
  const count = /^\d$/.test(text) ? Number(text) : Number.NaN;
  if (count <= COLLISION_COUNT_MAX) return count;
  throw new InvalidArgumentError("It must be 0, 1 or 2 (RFC 3972 section 3).");
}

export function parseModifierOption(text: string): Uint8Array {
  const octets = parseHexOption(text);
  if (octets.length === MODIFIER_LENGTH) return octets;
  throw new InvalidArgumentError(
    `It must have ${MODIFIER_LENGTH} octets, and has ${octets.length}.`,
  );
}

export function parseHexOption(text: string): Uint8Array {
  const octets = fromHex(text);
  if (octets !== undefined) return octets;
  throw new InvalidArgumentError("It must be two hexadecimal digits for each octet.");
}

/** Decimal, or hexadecimal behind "0x". */
export function parseGenerationOption(text: string): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (value < 2 ** 32) return value;
  throw new InvalidArgumentError("It must be a number of 32 bits, such as 7 or 0x12345678.");
}

/** The public key in DER, from a PEM file with a public or private key. */
export function readPublicKeyFile(path: string): Uint8Array {
  return usableKey(path, readPublicKey(readKeyFile(path)));
}

export function readPrivateKeyFile(path: string): RsaKey {
  return usableKey(path, readPrivateKey(readKeyFile(path)));
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw explainReadError(path, error as Error);
  }
}

function explainReadError(path: string, cause: Error): CommandError {
  return new CommandError(`cannot read the key in ${path}: ${cause.message}`, EXIT.failed, {
    cause,
  });
}

function usableKey<Key>(path: string, key: Result<Key, { readonly message: string }>): Key {
  if (key.ok) return key.value;
  throw new CommandError(`cannot use the key in ${path}: ${key.error.message}`);
}
