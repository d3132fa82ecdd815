import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import type { IdentityPrimitives, SignRsaSha1 } from "../../../src/identity/primitives.ts";

/** Node's cryptography, used here without any code of the project. */
export const CRYPTO: IdentityPrimitives = {
  sha1: (data) => createHash("sha1").update(data).digest(),
  verifyRsaSha1: (publicKey, message, signature) =>
    verify(
      "sha1",
      message,
      createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" }),
      signature,
    ),
};

export const { sha1 } = CRYPTO;

export interface TestKey {
  /** DER SubjectPublicKeyInfo. */
  readonly der: Uint8Array;
  readonly sign: SignRsaSha1;
}

export function keyFromPem(pem: string): TestKey {
  return keyFrom(createPrivateKey(pem));
}

export function newKey(bits: number): TestKey {
  return keyFrom(generateKeyPairSync("rsa", { modulusLength: bits }).privateKey);
}

function keyFrom(privateKey: KeyObject): TestKey {
  const der = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return { der: new Uint8Array(der), sign: (message) => sign("sha1", message, privateKey) };
}
