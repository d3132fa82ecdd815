import type { Address } from "../wire/address.ts";
import type { ListedLocator } from "../wire/message.ts";
import { METHOD_CGA, METHOD_HBA } from "./methods.ts";
import { type CgaParameters, encodeParameters, hasPublicKey } from "./parameters.ts";
import type { Sha1, SignRsaSha1 } from "./primitives.ts";
import { signedOctets } from "./signature.ts";
import { verifyHba } from "./verification.ts";

/** What a host proves its locators by, for one ULID of its own. */
export interface Prover {
  /** The ULID's own, so that its peer's `verifyUlid` passes. */
  readonly parameters: CgaParameters;
  /** By the private key of the public key in `parameters`, where the host has it. */
  readonly sign?: SignRsaSha1 | undefined;
}

/** The contents of the three options that tell a peer of locators and prove them. */
export interface LocatorProof {
  /** CGA Parameter Data Structure option. */
  readonly parameters: Uint8Array;
  /** Locator List option. */
  readonly generation: number;
  readonly locators: readonly ListedLocator[];
  /** CGA Signature option; not sent where it is `undefined`. */
  readonly signature: Uint8Array | undefined;
}

/**
 * How an address of ours can be proven: by HBA where it is in the ULID's set, since that costs
 * neither side a signature; else by CGA where we can sign; else not at all.
 */
export function provableMethod(
  sha1: Sha1,
  { parameters, sign }: Prover,
  address: Address,
): number | undefined {
  if (verifyHba(sha1, address, parameters).ok) return METHOD_HBA;
  return sign !== undefined && hasPublicKey(parameters) ? METHOD_CGA : undefined;
}

/**
 * The proof for those of `candidates` that have one, in their order; the others are left out.
 * Signs at most once. Equal arguments give an equal proof, so that it may be kept.
 * @param generation of the Locator List, 32 bits; a new one for each new list
 */
export function proveLocators(
  sha1: Sha1,
  prover: Prover,
  generation: number,
  candidates: readonly Address[],
): LocatorProof {
  const locators = candidates.flatMap((address): ListedLocator[] => {
    const method = provableMethod(sha1, prover, address);
    return method === undefined ? [] : [{ address, method }];
  });
  const signed = locators.flatMap(({ address, method }) =>
    method === METHOD_CGA ? [address] : [],
  );
  const signature =
    signed.length === 0 ? undefined : prover.sign?.(signedOctets(generation, signed));
  return { parameters: encodeParameters(prover.parameters), generation, locators, signature };
}
