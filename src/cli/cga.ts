import { randomBytes } from "node:crypto";
import { type Command, InvalidArgumentError } from "commander";
import { type Reply, SCHEMA_VERSION } from "../daemon/api.ts";
import { sha1 } from "../daemon/crypto/primitives.ts";
import { NEW_KEY_BITS, newRsaKey } from "../daemon/crypto/rsa-key.ts";
import { type AddressSet, formAddresses } from "../identity/address-set.ts";
import type { CgaParameters } from "../identity/parameters.ts";
import { checkSigningKey, RSA_BITS_MAX, RSA_BITS_MIN } from "../identity/rsa-key.ts";
import type { Sec } from "../identity/sec.ts";
import type { SubnetPrefix } from "../identity/subnet-prefix.ts";
import { verifyCga } from "../identity/verification.ts";
import type { Address } from "../wire/address.ts";
import { type Result, success } from "../wire/result.ts";
import { registerSign, registerVerifySignature } from "./cga-signature.ts";
import { print, printJson } from "./command.ts";
import {
  DEFAULT_SEC,
  parseAddressOption,
  parseCollisionOption,
  parseHexOption,
  parseModifierOption,
  parsePrefixOption,
  parseSecOption,
  readPublicKeyFile,
} from "./identity-input.ts";
import {
  describeMembers,
  describeShared,
  type MemberDescription,
  parametersFrom,
  printSet,
  printVerdict,
  type Refusal,
  type SharedDescription,
  type Verdict,
} from "./identity-output.ts";
import { completeParameters } from "./identity-search.ts";

interface GenerateOptions {
  readonly prefix: SubnetPrefix;
  readonly sec: Sec;
  readonly key?: string;
  readonly bits: number;
  readonly modifier?: Uint8Array;
  readonly collision: number;
  readonly json: boolean;
}

interface VerifyOptions {
  readonly address: Address;
  readonly pds: Uint8Array;
  readonly json: boolean;
}

/** `cga`: cryptographically generated addresses and their signatures, without a daemon. */
export function registerCga(program: Command): void {
  const cga = program
    .command("cga")
    .summary("make and verify addresses of a key, and its signatures")
    .description(
      "Cryptographically generated addresses (RFC 3972): who holds the key proves the address.",
    );
  registerGenerate(cga);
  registerVerify(cga);
  registerSign(cga);
  registerVerifySignature(cga);
}

function registerGenerate(cga: Command): void {
  cga
    .command("generate")
    .summary("make an address for a prefix and a key")
    .description(
      "Makes the address of an RSA key in a prefix, and the CGA parameters (PDS) that prove it. " +
        "Without --key a key is made and printed: keep it where only its owner reads it.",
    )
    .requiredOption("--prefix <prefix>", "64-bit prefix", parsePrefixOption)
    .option("--sec <number>", "security parameter: 0, 1 or 2", parseSecOption, DEFAULT_SEC)
    .option("--key <file>", "RSA key, public or private, in PEM")
    .option("--bits <number>", "of the key that is made", parseBits, NEW_KEY_BITS)
    .option("--modifier <hex>", "16 octets to start from (default: random)", parseModifierOption)
    .option("--collision <number>", "collision count: 0, 1 or 2", parseCollisionOption, 0)
    .option("--json", "print JSON for programs", false)
    .action(generate);
}

function parseBits(text: string): number {
  const bits = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX) return bits;
  throw new InvalidArgumentError(`It must be ${RSA_BITS_MIN} to ${RSA_BITS_MAX}.`);
}

async function generate(options: GenerateOptions): Promise<void> {
  const { prefix, sec, collision, json } = options;
  const made = options.key === undefined ? await newRsaKey(options.bits) : undefined;
  const publicKey = made?.publicKey ?? readPublicKeyFile(options.key ?? "");
  const modifier = options.modifier ?? randomBytes(16);
  const shared = await completeParameters(sec, { modifier, publicKey, extensions: [] });
  const set = formAddresses(sha1, sec, shared, [prefix], collision);
  if (json) {
    return printJson(replyOf(set, made?.pem ?? null));
  }
  printSet(set);
  if (made !== undefined) print(`\n${made.pem.trimEnd()}`);
}

/** What is printed as JSON. */
export interface CgaReply extends Reply, SharedDescription, MemberDescription {
  /** In PEM; `null` where the key was given. */
  readonly privateKey: string | null;
}

function replyOf(set: AddressSet, privateKey: string | null): CgaReply {
  const [member] = describeMembers(set);
  if (member === undefined) throw new RangeError("a set without addresses");
  return { schemaVersion: SCHEMA_VERSION, ...describeShared(set), ...member, privateKey };
}

export type CgaVerification = Verdict<CgaSubject, VerifiedAddress>;

interface CgaSubject {
  readonly address: Address;
}

function registerVerify(cga: Command): void {
  cga
    .command("verify")
    .summary("check that an address is that of CGA parameters")
    .description(
      "Checks the address against its own CGA parameters (RFC 3972 section 5), and tells whether " +
        "their key may sign. Exit status 1 when the address is not theirs.",
    )
    .requiredOption("--address <address>", "the address", parseAddressOption)
    .requiredOption("--pds <hex>", "its CGA parameters", parseHexOption)
    .option("--json", "print JSON for programs", false)
    .action(verify);
}

function verify({ address, pds, json }: VerifyOptions): void {
  const parameters = parametersFrom(pds);
  const verdict = parameters.ok ? verifyAddress(address, parameters.value) : parameters;
  const keyFault = verdict.ok ? verdict.value.keyFault : null;
  const key = keyFault === null ? "its key may sign" : `its key may not sign: ${keyFault}`;
  printVerdict<CgaSubject, VerifiedAddress>(
    verdict,
    { address },
    `verified: ${address}; ${key}`,
    json,
  );
}

interface VerifiedAddress {
  readonly sec: Sec;
  /** Why no signature under the key counts; `null` when signatures do. */
  readonly keyFault: string | null;
}

function verifyAddress(
  address: Address,
  parameters: CgaParameters,
): Result<VerifiedAddress, Refusal> {
  const verified = verifyCga(sha1, address, parameters);
  if (!verified.ok) return verified;
  const key = checkSigningKey(parameters.publicKey);
  return success({ sec: verified.value, keyFault: key.ok ? null : key.error.message });
}
