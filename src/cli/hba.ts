import { randomBytes } from "node:crypto";
import { type Command, Option } from "commander";
import { type Reply, SCHEMA_VERSION } from "../daemon/api.ts";
import { sha1 } from "../daemon/crypto/primitives.ts";
import {
  type AddressSet,
  extendedModifierKey,
  formAddresses,
  type HbaKey,
  hbaParameters,
} from "../identity/address-set.ts";
import { DER_SEQUENCE, readTagged } from "../identity/der.ts";
import { type CgaParameters, multiPrefixOf } from "../identity/parameters.ts";
import type { Sec } from "../identity/sec.ts";
import type { SubnetPrefix } from "../identity/subnet-prefix.ts";
import { verifyHba } from "../identity/verification.ts";
import type { Address } from "../wire/address.ts";
import { type Result, success } from "../wire/result.ts";
import { CommandError, EXIT, printJson } from "./command.ts";
import {
  DEFAULT_SEC,
  parseAddressOption,
  parseCollisionOption,
  parseHexOption,
  parseModifierOption,
  parsePrefixesOption,
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
  readonly prefix: readonly SubnetPrefix[];
  readonly sec: Sec;
  readonly key?: string;
  readonly extendedModifier?: Uint8Array;
  readonly modifier?: Uint8Array;
  readonly collision: number;
  readonly json: boolean;
}

interface VerifyOptions {
  readonly address: Address;
  readonly pds: Uint8Array;
  readonly json: boolean;
}

const EXTENDED_MODIFIER_OCTETS = 48;

/** `hba`: sets of hash-based addresses, without a daemon. */
export function registerHba(program: Command): void {
  const hba = program
    .command("hba")
    .summary("make and verify sets of hash-based addresses")
    .description("Hash-based addresses (RFC 5535): addresses that prove each other.");
  registerGenerate(hba);
  registerVerify(hba);
}

function registerGenerate(hba: Command): void {
  hba
    .command("generate")
    .summary("make a set of addresses for these prefixes")
    .description(
      "Makes one address for each prefix, and the CGA parameters (PDS) that prove them. With " +
        "--key they are cryptographically generated addresses too, which can prove addresses " +
        "that come later. Without it the set is closed.",
    )
    .requiredOption("--prefix <prefix...>", "64-bit prefixes, in order", parsePrefixesOption)
    .option("--sec <number>", "security parameter: 0, 1 or 2", parseSecOption, DEFAULT_SEC)
    .option("--key <file>", "RSA key, public or private, in PEM")
    .addOption(
      new Option(
        "--extended-modifier <hex>",
        "48 octets in place of a key (default: random); or how they are encoded, in DER",
      )
        .argParser(parseHexOption)
        .conflicts("key"),
    )
    .option("--modifier <hex>", "16 octets to start from (default: random)", parseModifierOption)
    .option("--collision <number>", "collision count: 0, 1 or 2", parseCollisionOption, 0)
    .option("--json", "print JSON for programs", false)
    .action(generate);
}

async function generate(options: GenerateOptions): Promise<void> {
  const { prefix: prefixes, sec, collision, json } = options;
  const start = hbaParameters(options.modifier ?? randomBytes(16), chooseKey(options), prefixes);
  const shared = await completeParameters(sec, start);
  const set = formAddresses(sha1, sec, shared, prefixes, collision);
  if (json) printJson(replyOf(set));
  else printSet(set);
}

function chooseKey({ key, extendedModifier }: GenerateOptions): HbaKey {
  if (key !== undefined) return { kind: "public-key", der: readPublicKeyFile(key) };
  const octets = extendedModifier ?? randomBytes(EXTENDED_MODIFIER_OCTETS);
  if (octets.length === EXTENDED_MODIFIER_OCTETS) return extendedModifierKey(octets);
  const sequence = readTagged(octets, DER_SEQUENCE, 0);
  if (sequence.ok && sequence.value.end === octets.length) {
    return { kind: "extended-modifier", der: octets };
  }
  throw new CommandError(
    `--extended-modifier has ${octets.length} octets: it must have 48, or be a DER ` +
      "SubjectPublicKeyInfo that holds them",
    EXIT.usage,
  );
}

/** What is printed as JSON. */
export interface HbaReply extends Reply, SharedDescription {
  readonly members: readonly MemberDescription[];
}

function replyOf(set: AddressSet): HbaReply {
  const members = describeMembers(set);
  return { schemaVersion: SCHEMA_VERSION, ...describeShared(set), members };
}

export type HbaVerification = Verdict<HbaSubject, { readonly sec: Sec }>;

interface HbaSubject {
  readonly address: Address;
  /** `null` where the parameters name none. */
  readonly prefixes: readonly SubnetPrefix[] | null;
}

function registerVerify(hba: Command): void {
  hba
    .command("verify")
    .summary("check that an address is in a set")
    .description(
      "Checks that the address is in the set that the CGA parameters name (RFC 5535 section " +
        "7.2); the parameters of any address of the set will do. Exit status 1 when it is not.",
    )
    .requiredOption("--address <address>", "the address", parseAddressOption)
    .requiredOption("--pds <hex>", "CGA parameters of the set", parseHexOption)
    .option("--json", "print JSON for programs", false)
    .action(verify);
}

function verify({ address, pds, json }: VerifyOptions): void {
  const parameters = parametersFrom(pds);
  const verdict = parameters.ok ? verifySec(address, parameters.value) : parameters;
  const prefixes = parameters.ok ? multiPrefixOf(parameters.value)?.prefixes : undefined;
  const text = `verified: ${address} is in the set of ${prefixes?.length} prefixes`;
  printVerdict<HbaSubject, { readonly sec: Sec }>(
    verdict,
    { address, prefixes: prefixes ?? null },
    text,
    json,
  );
}

function verifySec(
  address: Address,
  parameters: CgaParameters,
): Result<{ readonly sec: Sec }, Refusal> {
  const verified = verifyHba(sha1, address, parameters);
  return verified.ok ? success({ sec: verified.value }) : verified;
}
