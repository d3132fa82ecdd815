import { ADDRESS_LENGTH, type Address } from "../wire/address.ts";
import { failure, type Result, success } from "../wire/result.ts";
import { ByteWriter } from "../wire/writer.ts";
import type { VerifyRsaSha1 } from "./primitives.ts";
import { checkSigningKey, type KeyFailure } from "./rsa-key.ts";

/**
 * The CGA Message Type tag of Shim6 (RFC 5533 section 5.15.5): keeps signatures of other
 * protocols under the same key from being taken for ours.
 */
const SHIM6_MESSAGE_TYPE = Uint8Array.of(
  ...[
    0x4a, 0x30, 0x56, 0x62, 0x48, 0x58, 0x57, 0x4b, 0x36, 0x55, 0x41, 0x6f, 0x50, 0x6a, 0x6d, 0x48,
  ],
);

/** Why a CGA signature doesn't count. */
export type SignatureFailure =
  | KeyFailure
  | { readonly reason: "signature-length" | "signature"; readonly message: string };

/**
 * What a CGA signature covers (RFC 5533 section 5.15.5).
 * @param generation of the Locator List, 32 bits
 * @param locators those of method CGA only, in the order of the list
 */
export function signedOctets(generation: number, locators: readonly Address[]): Uint8Array {
  const length = SHIM6_MESSAGE_TYPE.length + 4 + ADDRESS_LENGTH * locators.length;
  const writer = new ByteWriter(length).bytes(SHIM6_MESSAGE_TYPE).u32(generation);
  for (const locator of locators) writer.address(locator);
  return writer.finish();
}

/**
 * Checks the signature over the CGA locators of a list; the caller has tied `publicKey` to the
 * ULID. Costs an RSA verification unless the key or the signature's length rules it out.
 */
export function verifySignature(
  verifyRsaSha1: VerifyRsaSha1,
  publicKey: Uint8Array,
  generation: number,
  locators: readonly Address[],
  signature: Uint8Array,
): Result<void, SignatureFailure> {
  const length = checkSigningKey(publicKey);
  if (!length.ok) return length;
  if (signature.length !== length.value) {
    const message = `a signature of ${signature.length} octets where the key makes ${length.value}`;
    return failure({ reason: "signature-length", message });
  }
  if (!verifyRsaSha1(publicKey, signedOctets(generation, locators), signature)) {
    const message = "the CGA signature is not by the key of the ULID over this list";
    return failure({ reason: "signature", message });
  }
  return success(undefined);
}
