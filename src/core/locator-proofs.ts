import { METHOD_CGA, METHOD_HBA } from "../identity/methods.ts";
import type { IdentityPrimitives } from "../identity/primitives.ts";
import {
  type LocatorProof,
  type Prover,
  provableMethod,
  proveLocators,
} from "../identity/prove-locators.ts";
import {
  type ListRefusal,
  type UlidParameters,
  verifyListSignature,
  verifyMembers,
  verifyUlid,
} from "../identity/verify-locators.ts";
import type { Address } from "../wire/address.ts";
import type { ListedLocator, LocatorListOption, Option } from "../wire/message.ts";
import { failure, type Result, success } from "../wire/result.ts";
import { BoundedMap } from "./bounded-map.ts";
import type { LocalLocator, SecurityMode } from "./config.ts";
import type { CounterName } from "./counters.ts";
import {
  CACHED_CLAIMS,
  CACHED_PROOFS,
  METHOD_UNVERIFIED,
  PEER_LOCATORS_MAX,
  SIGNATURE_CHECKS_BURST,
  SIGNATURE_CHECKS_PER_SECOND,
} from "./defaults.ts";
import { ERROR_LOCATOR_VERIFICATION } from "./rfc5533.ts";
import type { Instant } from "./time.ts";
import { TokenBucket } from "./token-bucket.ts";

/**
 * Why a peer's locators can't be taken. With an Error Code the peer is told, and where in its
 * message the fault is; otherwise the message is dropped in silence and counted.
 */
export type LocatorFault =
  | {
      readonly code: number;
      readonly option: "LocatorList" | "LocatorPreferences";
      /** Of the fault, from the option's Type on. */
      readonly offset: number;
    }
  | { readonly code: undefined; readonly counter: CounterName };

/** Of the first verification method in a Locator List option, from its Type on. */
const METHODS_OFFSET = 9;

/**
 * Proves our locators to peers and checks theirs, by HBA and CGA (RFC 5533 section 7.2). Each
 * proof is made once and each claim checked once, however many contexts need it.
 */
export class LocatorProofs {
  readonly #security: SecurityMode;
  readonly #primitives: IdentityPrimitives | undefined;
  readonly #signatureChecks = new TokenBucket(SIGNATURE_CHECKS_PER_SECOND, SIGNATURE_CHECKS_BURST);
  readonly #proofs = new BoundedMap<LocatorProof>(CACHED_PROOFS);
  readonly #ulids = new BoundedMap<UlidParameters>(CACHED_CLAIMS);
  readonly #claims = new BoundedMap<true>(CACHED_CLAIMS);

  constructor(security: SecurityMode, primitives: IdentityPrimitives | undefined) {
    this.#security = security;
    this.#primitives = primitives;
  }

  /** How a context of this ULID can prove the address; `undefined`: it can't tell its peer of it. */
  methodFor({ prover }: LocalLocator, address: Address): number | undefined {
    const proven =
      prover && this.#primitives && provableMethod(this.#primitives.sha1, prover, address);
    return proven ?? (this.#security === "unverified" ? METHOD_UNVERIFIED : undefined);
  }

  /**
   * The Locator List option, and the CGA parameters and signature that its methods need (RFC
   * 5533 sections 5.15.2, 5.15.4 and 5.15.5).
   * @param offer those that have a {@link methodFor}, the ULID first
   */
  prove(offer: readonly LocalLocator[], generation: number): Option[] {
    const [ulid] = offer;
    const locators = offer.map(({ address }): ListedLocator => {
      const method = ulid && this.methodFor(ulid, address);
      if (method === undefined) throw new Error(`there is no proof for ${address}`);
      return { address, method };
    });
    const list: Option = { name: "LocatorList", critical: false, generation, locators };
    const proof = ulid?.prover && this.#proof(ulid.prover, generation, locators);
    if (proof === undefined || locators.every(({ method }) => method === METHOD_UNVERIFIED)) {
      return [list];
    }
    const { parameters, signature } = proof;
    const options: Option[] = [
      list,
      { name: "CgaParameterDataStructure", critical: false, parameters },
    ];
    if (signature !== undefined) {
      options.push({ name: "CgaSignature", critical: false, signature });
    }
    return options;
  }

  /**
   * The parameters in a message, tied to the peer's ULID; `known` where there are none. First
   * of all checks, since it is cheap and all others rest on it.
   */
  checkParameters(
    ulid: Address,
    options: readonly Option[],
    known: UlidParameters | undefined,
  ): Result<UlidParameters | undefined, LocatorFault> {
    const option = options.find(({ name }) => name === "CgaParameterDataStructure");
    if (option?.name !== "CgaParameterDataStructure" || this.#primitives === undefined) {
      return success(known);
    }
    const key = `${ulid} ${textOf(option.parameters)}`;
    const cached = this.#ulids.get(key);
    if (cached !== undefined) return success(cached);
    const checked = verifyUlid(this.#primitives.sha1, ulid, option.parameters);
    if (!checked.ok) return failure({ code: undefined, counter: "drop-cga-parameters" });
    this.#ulids.set(key, checked.value);
    return checked;
  }

  /** Each locator of the list by its method; the signature last, and only where one needs it. */
  checkList(
    now: Instant,
    list: LocatorListOption,
    options: readonly Option[],
    parameters: UlidParameters | undefined,
  ): Result<void, LocatorFault> {
    const tooMany = list.locators[PEER_LOCATORS_MAX];
    if (tooMany !== undefined) return failure(listFault(list, tooMany));
    const needed = list.locators.filter((locator) => !this.#isTakenUnproven(locator));
    if (needed.length === 0) return success(undefined);
    if (this.#primitives === undefined) return failure(listFault(list, needed[0]));
    const option = options.find(({ name }) => name === "CgaSignature");
    const signature = option?.name === "CgaSignature" ? option.signature : undefined;
    const claim = { generation: list.generation, locators: needed, signature };
    const refused = (error: ListRefusal) => failure(listFault(list, needed[error.locator]));

    const members = verifyMembers(this.#primitives.sha1, parameters, claim);
    if (!members.ok) return refused(members.error);
    if (members.value.locators.length === 0 || parameters === undefined) {
      return success(undefined);
    }
    const key = claimKey(parameters, claim.generation, members.value.locators, signature);
    if (this.#claims.get(key)) return success(undefined);
    if (signature !== undefined && !this.#signatureChecks.take(now)) {
      return failure({ code: undefined, counter: "drop-signature-budget" });
    }
    const { verifyRsaSha1 } = this.#primitives;
    const signed = verifyListSignature(verifyRsaSha1, parameters, members.value, signature);
    if (!signed.ok) return refused(signed.error);
    this.#claims.set(key, true);
    return signed;
  }

  #isTakenUnproven({ method }: ListedLocator): boolean {
    return this.#security === "unverified" && method === METHOD_UNVERIFIED;
  }

  #proof(
    prover: Prover,
    generation: number,
    locators: readonly ListedLocator[],
  ): LocatorProof | undefined {
    if (this.#primitives === undefined) return undefined;
    const provable = locators
      .filter(({ method }) => method === METHOD_HBA || method === METHOD_CGA)
      .map(({ address }) => address);
    const [ulid] = locators;
    const key = `${ulid?.address} ${generation} ${provable.join(" ")}`;
    const cached = this.#proofs.get(key);
    if (cached !== undefined) return cached;
    const proof = proveLocators(this.#primitives.sha1, prover, generation, provable);
    this.#proofs.set(key, proof);
    return proof;
  }
}

/** Points at the method octet of the locator that fails. */
function listFault(list: LocatorListOption, locator: ListedLocator | undefined): LocatorFault {
  const index = Math.max(0, locator === undefined ? 0 : list.locators.indexOf(locator));
  return {
    code: ERROR_LOCATOR_VERIFICATION,
    option: "LocatorList",
    offset: METHODS_OFFSET + index,
  };
}

function claimKey(
  { publicKey }: UlidParameters,
  generation: number,
  locators: readonly Address[],
  signature: Uint8Array | undefined,
): string {
  const texts = [publicKey, signature ?? new Uint8Array()].map(textOf);
  return [generation, ...locators, ...texts].join(" ");
}

/** A character for each octet: short, and different for different octets. */
function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
