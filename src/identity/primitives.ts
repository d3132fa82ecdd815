/**
 * What this room needs of cryptography, injected because the room is pure. `src/daemon/crypto/`
 * has it from Node.
 */

/** The 20 octets of SHA-1, the only hash function of the CGA SEC registry (RFC 4982). */
export type Sha1 = (data: Uint8Array) => Uint8Array;

/**
 * Whether `signature` is the RSASSA-PKCS1-v1_5 signature with SHA-1 of `message` under the key
 * in `publicKey`, a DER SubjectPublicKeyInfo (RFC 3972 section 6). It gets only keys that
 * `checkSigningKey` passed, and must give false rather than throw for any signature.
 */
export type VerifyRsaSha1 = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => boolean;

/** Signs by RSASSA-PKCS1-v1_5 with SHA-1. The private key stays on the other side. */
export type SignRsaSha1 = (message: Uint8Array) => Uint8Array;

export interface IdentityPrimitives {
  readonly sha1: Sha1;
  readonly verifyRsaSha1: VerifyRsaSha1;
}
