import type { Address } from "../wire/address.ts";
import type { Brand } from "../wire/brand.ts";
import type { ListedLocator } from "../wire/message.ts";
import { failure, type Result, success } from "../wire/result.ts";
import { METHOD_CGA, METHOD_HBA } from "./methods.ts";
import {
  type CgaParameters,
  decodeParameters,
  hasPublicKey,
  type ParametersError,
} from "./parameters.ts";
import type { IdentityPrimitives, Sha1, VerifyRsaSha1 } from "./primitives.ts";
import { type SignatureFailure, verifySignature } from "./signature.ts";
import { type BindingFailure, verifyCga, verifyHba } from "./verification.ts";

/** Parameters that {@link verifyUlid} tied to the peer's ULID; only it makes them. */
export type UlidParameters = Brand<CgaParameters, "UlidParameters">;

/** What a peer's message claims: its Locator List, and the CGA Signature where there is one. */
export interface LocatorClaim {
  readonly generation: number;
  readonly locators: readonly ListedLocator[];
  readonly signature?: Uint8Array | undefined;
}

/** The parameters don't belong to the ULID: drop the message in silence (RFC 5533 section 7.13). */
export interface UlidRefusal {
  readonly check: "ulid";
  readonly reason: ParametersError["code"] | BindingFailure["reason"];
  readonly message: string;
}

/**
 * The list can't be believed: ignore the message, and answer with an Error of code 2 that points
 * at the method octet of the locator (RFC 5533 section 7.2).
 */
export interface ListRefusal {
  readonly check: "list";
  /** Index of the first locator that fails; of the first CGA locator when the signature does. */
  readonly locator: number;
  readonly reason: /** The message has a list, and the peer never sent parameters. */
    | "no-parameters"
    /** A method other than HBA and CGA. */
    | "method-unsupported"
    /** Method CGA, and the P flag says that the parameters hold no public key. */
    | "no-public-key"
    /** There are CGA locators and no signature. */
    | "signature-missing"
    | BindingFailure["reason"]
    | SignatureFailure["reason"];
  readonly message: string;
}

/** CGA locators of a list whose other locators are proven. */
export interface AwaitingSignature {
  readonly generation: number;
  /** In the order of the list; empty when everything is proven. */
  readonly locators: readonly Address[];
  /** Index in the list of the first of them. */
  readonly first: number;
}

/**
 * Step 1, before anything else in the message is believed: the octets of the CGA Parameter Data
 * Structure option are the parameters of this very ULID (RFC 5533 section 7.13, RFC 5535 section
 * 7.1), not only of some address of its set. At most two hashes. The result holds for as long as one likes: keep it for later messages of the peer.
 */
export function verifyUlid(
  sha1: Sha1,
  ulid: Address,
  parameters: Uint8Array,
): Result<UlidParameters, UlidRefusal> {
  const decoded = decodeParameters(parameters);
  if (!decoded.ok) {
    const { code: reason, message } = decoded.error;
    return failure({ check: "ulid", reason, message });
  }
  const verified = verifyCga(sha1, ulid, decoded.value);
  if (!verified.ok) return failure({ check: "ulid", ...verified.error });
  return success(decoded.value as UlidParameters);
}

/**
 * Step 2: each method fits the parameters, and each HBA locator is in the ULID's set. At most
 * two hashes a locator. What is left needs a signature.
 */
export function verifyMembers(
  sha1: Sha1,
  parameters: UlidParameters | undefined,
  { generation, locators }: LocatorClaim,
): Result<AwaitingSignature, ListRefusal> {
  for (const [index, locator] of locators.entries()) {
    const fault = locatorFault(sha1, parameters, locator);
    if (fault !== undefined) return failure({ check: "list", locator: index, ...fault });
  }
  return success({
    generation,
    locators: locators.flatMap(({ address, method }) => (method === METHOD_CGA ? [address] : [])),
    first: locators.findIndex(({ method }) => method === METHOD_CGA),
  });
}

/** What is wrong with one locator of the list, short of its signature. */
function locatorFault(
  sha1: Sha1,
  parameters: CgaParameters | undefined,
  { address, method }: ListedLocator,
): Pick<ListRefusal, "reason" | "message"> | undefined {
  if (method !== METHOD_HBA && method !== METHOD_CGA) {
    const message = `verification method ${method} is neither HBA (1) nor CGA (2)`;
    return { reason: "method-unsupported", message };
  }
  if (parameters === undefined) {
    return { reason: "no-parameters", message: "a Locator List without CGA parameters" };
  }
  if (method === METHOD_HBA) {
    const verified = verifyHba(sha1, address, parameters);
    return verified.ok ? undefined : verified.error;
  }
  if (hasPublicKey(parameters)) return undefined;
  const message = "method CGA, and the CGA parameters hold no public key (P flag 0)";
  return { reason: "no-public-key", message };
}

/**
 * Step 3, the dear one, only where {@link verifyMembers} left locators: one RSA verification
 * covers all of them. The caller has a budget for it.
 */
export function verifyListSignature(
  verifyRsaSha1: VerifyRsaSha1,
  parameters: UlidParameters,
  { generation, locators, first }: AwaitingSignature,
  signature: Uint8Array | undefined,
): Result<void, ListRefusal> {
  if (locators.length === 0) return success(undefined);
  if (signature === undefined) {
    const message = `${locators.length} locators of method CGA and no CGA Signature option`;
    return failure({ check: "list", locator: first, reason: "signature-missing", message });
  }
  const { publicKey } = parameters;
  const verified = verifySignature(verifyRsaSha1, publicKey, generation, locators, signature);
  if (!verified.ok) return failure({ check: "list", locator: first, ...verified.error });
  return verified;
}

/** Steps 2 and 3 for whoever has no budget to keep. */
export function verifyLocators(
  primitives: IdentityPrimitives,
  parameters: UlidParameters,
  claim: LocatorClaim,
): Result<void, ListRefusal> {
  const awaiting = verifyMembers(primitives.sha1, parameters, claim);
  if (!awaiting.ok) return awaiting;
  return verifyListSignature(primitives.verifyRsaSha1, parameters, awaiting.value, claim.signature);
}
