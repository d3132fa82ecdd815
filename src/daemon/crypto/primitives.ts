import { createHmac, createPublicKey, hash, verify } from "node:crypto";
import type { KeyedHash } from "../../core/config.ts";
import type { IdentityPrimitives, Sha1, VerifyRsaSha1 } from "../../identity/primitives.ts";

export const sha1: Sha1 = (data) => hash("sha1", data, "buffer");

/**
 * OpenSSL throws for keys that have the form of an RSA key and are none; to the verifier they
 * are a signature that doesn't fit. It also throws where the system's policy forbids SHA-1 in
 * signatures: then no CGA signature counts, and HBA goes on working.
 */
const verifyRsaSha1: VerifyRsaSha1 = (publicKey, message, signature) => {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    return verify("sha1", message, key, signature);
  } catch {
    return false;
  }
};

/** For the validators in R1 and R1bis. */
export const keyedHash: KeyedHash = (key, data) => createHmac("sha256", key).update(data).digest();

/** The cryptography of HBA and CGA, from Node. */
export const IDENTITY_PRIMITIVES: IdentityPrimitives = { sha1, verifyRsaSha1 };
