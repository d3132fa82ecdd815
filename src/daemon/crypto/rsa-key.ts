import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
} from "node:crypto";
import { promisify } from "node:util";
import type { SignRsaSha1 } from "../../identity/primitives.ts";
import { checkSigningKey } from "../../identity/rsa-key.ts";
import { failure, type Result, success } from "../../wire/result.ts";

/** What new keys have. RFC 5533 section 16 asks for 1024 at least. */
export const NEW_KEY_BITS = 2048;

/** A key of ours. Whoever holds it can move our sessions: it never leaves the host. */
export interface RsaKey {
  /** DER SubjectPublicKeyInfo: the Public Key field of CGA parameters. */
  readonly publicKey: Uint8Array;
  readonly sign: SignRsaSha1;
  /** The private key, PKCS #8, to be stored where only its owner reads it. */
  readonly pem: string;
}

/** Why a text is no key that we use. */
export interface KeyFileFailure {
  readonly message: string;
}

/** @param bits 1024 .. 4096; takes some hundred milliseconds, in another thread */
export async function newRsaKey(bits = NEW_KEY_BITS): Promise<RsaKey> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: bits });
  const made = usePrivateKey(privateKey);
  if (!made.ok) throw new RangeError(made.error.message);
  return made.value;
}

/** @param pem an RSA private key of 1024 .. 4096 bits, PKCS #8 or PKCS #1, not encrypted */
export function readPrivateKey(pem: string): Result<RsaKey, KeyFileFailure> {
  const key = parsed(() => createPrivateKey(pem), "no private key in PEM");
  return key.ok ? usePrivateKey(key.value) : key;
}

/** The public key in DER. @param pem of an RSA key, public or private, of 1024 .. 4096 bits */
export function readPublicKey(pem: string): Result<Uint8Array, KeyFileFailure> {
  const key = parsed(() => createPublicKey(pem), "no key in PEM");
  return key.ok ? exportPublicKey(key.value) : key;
}

/** Node's own words name OpenSSL's decoders, not what the user did. */
function parsed(parse: () => KeyObject, what: string): Result<KeyObject, KeyFileFailure> {
  try {
    return success(parse());
  } catch (error) {
    return failure({ message: `${what} (${(error as Error).message})` });
  }
}

function usePrivateKey(key: KeyObject): Result<RsaKey, KeyFileFailure> {
  const publicKey = exportPublicKey(createPublicKey(key));
  if (!publicKey.ok) return publicKey;
  return success({
    publicKey: publicKey.value,
    sign: (message) => new Uint8Array(sign("sha1", message, key)),
    pem: key.export({ format: "pem", type: "pkcs8" }) as string,
  });
}

function exportPublicKey(key: KeyObject): Result<Uint8Array, KeyFileFailure> {
  const der = new Uint8Array(key.export({ format: "der", type: "spki" }));
  const checked = checkSigningKey(der);
  return checked.ok ? success(der) : checked;
}
