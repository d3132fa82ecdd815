import { type Command, Option } from "commander";
import { type Reply, SCHEMA_VERSION } from "../daemon/api.ts";
import { IDENTITY_PRIMITIVES } from "../daemon/crypto/primitives.ts";
import { METHOD_CGA } from "../identity/methods.ts";
import { type CgaParameters, hasPublicKey } from "../identity/parameters.ts";
import { signedOctets, verifySignature } from "../identity/signature.ts";
import { verifyCga } from "../identity/verification.ts";
import type { Address } from "../wire/address.ts";
import { toHex } from "../wire/hex.ts";
import { decodeOptions } from "../wire/options.ts";
import { failure, type Result, success } from "../wire/result.ts";
import { CommandError, EXIT, print, printJson } from "./command.ts";
import {
  parseAddressesOption,
  parseAddressOption,
  parseGenerationOption,
  parseHexOption,
  readPrivateKeyFile,
} from "./identity-input.ts";
import { parametersFrom, printVerdict, type Refusal, type Verdict } from "./identity-output.ts";

interface ListOptions {
  readonly generation?: number;
  readonly locator?: readonly Address[];
  readonly locatorList?: Uint8Array;
}

interface SignOptions extends ListOptions {
  readonly key: string;
  readonly json: boolean;
}

interface VerifySignatureOptions extends ListOptions {
  readonly pds: Uint8Array;
  readonly signature: Uint8Array;
  readonly address?: Address;
  readonly json: boolean;
}

/** What a CGA signature covers. */
interface SignedList {
  readonly generation: number;
  /** Those of method CGA, in the order of the list. */
  readonly locators: readonly Address[];
}

export function registerSign(cga: Command): void {
  withList(cga.command("sign"))
    .summary("sign the CGA locators of a list")
    .description(
      "Makes the CGA signature of a Locator List (RFC 5533 section 5.15.5). Only locators of " +
        "method CGA are signed; leave out the others, or give the whole option.",
    )
    .requiredOption("--key <file>", "RSA private key in PEM")
    .option("--json", "print JSON for programs", false)
    .action(sign);
}

export function registerVerifySignature(cga: Command): void {
  withList(cga.command("verify-signature"))
    .summary("check the signature over the CGA locators of a list")
    .description(
      "Checks a CGA signature by the key in the CGA parameters, and that these are those of " +
        "--address when it is given. Exit status 1 when it does not count.",
    )
    .requiredOption("--pds <hex>", "CGA parameters with the key", parseHexOption)
    .requiredOption("--signature <hex>", "the signature", parseHexOption)
    .option("--address <address>", "the ULID whose parameters they are", parseAddressOption)
    .option("--json", "print JSON for programs", false)
    .action(verify);
}

function withList(command: Command): Command {
  const parts = ["generation", "locator"];
  return command
    .option("--generation <number>", "generation of the list", parseGenerationOption)
    .option("--locator <address...>", "CGA locators, in order", parseAddressesOption)
    .addOption(
      new Option("--locator-list <hex>", "in place of both, a Locator List option from its Type on")
        .argParser(parseHexOption)
        .conflicts(parts),
    );
}

function sign({ key, json, ...list }: SignOptions): void {
  const { generation, locators } = readList(list);
  const octets = signedOctets(generation, locators);
  const signature = toHex(readPrivateKeyFile(key).sign(octets));
  if (!json) return print(signature);
  const signed = { generation, locators, signedOctets: toHex(octets) };
  printJson<SignatureReply>({ schemaVersion: SCHEMA_VERSION, ...signed, signature });
}

/** What is printed as JSON. Octets are in hexadecimal. */
export interface SignatureReply extends Reply, SignedList {
  readonly signedOctets: string;
  readonly signature: string;
}

/** What is printed as JSON. @public */
export type SignatureVerification = Verdict<SignatureSubject, object>;

interface SignatureSubject extends SignedList {
  /** `null` where none was given: whose key it is was not checked. */
  readonly address: Address | null;
}

function verify({ pds, signature, address, json, ...list }: VerifySignatureOptions): void {
  const signed = readList(list);
  const parameters = parametersFrom(pds);
  const verdict = parameters.ok
    ? verifyList(signed, parameters.value, signature, address)
    : parameters;
  const whose = address === undefined ? "; not checked: whose key it is (--address)" : "";
  const text = `verified: signature over ${signed.locators.join(" ")}${whose}`;
  printVerdict<SignatureSubject, object>(
    verdict,
    { ...signed, address: address ?? null },
    text,
    json,
  );
}

/** RFC 3972 section 6: the address first, then the signature. */
function verifyList(
  { generation, locators }: SignedList,
  parameters: CgaParameters,
  signature: Uint8Array,
  address: Address | undefined,
): Result<object, Refusal> {
  const { sha1, verifyRsaSha1 } = IDENTITY_PRIMITIVES;
  const binding = address === undefined ? undefined : verifyCga(sha1, address, parameters);
  if (binding !== undefined && !binding.ok) return binding;
  if (!hasPublicKey(parameters)) {
    return failure({ reason: "no-public-key", message: "the P flag says that there is no key" });
  }
  const { publicKey } = parameters;
  const verified = verifySignature(verifyRsaSha1, publicKey, generation, locators, signature);
  return verified.ok ? success({}) : verified;
}

function readList({ generation, locator, locatorList }: ListOptions): SignedList {
  if (locatorList !== undefined) return readListOption(locatorList);
  if (generation !== undefined && locator !== undefined) return { generation, locators: locator };
  throw new CommandError(
    "say what list: --generation and --locator, or --locator-list",
    EXIT.usage,
  );
}

function readListOption(octets: Uint8Array): SignedList {
  // Options fill a multiple of 8 octets; the decoder relies on it.
  const decoded = octets.length % 8 === 0 ? decodeOptions(octets, 0, octets.length) : undefined;
  const [list, ...others] = decoded?.ok === true ? decoded.value.options : [];
  if (list?.name !== "LocatorList" || others.length > 0) {
    throw new CommandError(
      "--locator-list is not a Locator List option and nothing else",
      EXIT.usage,
    );
  }
  const locators = list.locators.flatMap(({ address, method }) =>
    method === METHOD_CGA ? [address] : [],
  );
  return { generation: list.generation, locators };
}
