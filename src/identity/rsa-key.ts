import { failure, type Result, success } from "../wire/result.ts";
import {
  DER_BIT_STRING,
  DER_SEQUENCE,
  type DerError,
  encodeElement,
  encodeUnsigned,
  readTagged,
  readUnsigned,
} from "./der.ts";

/** Both big-endian, without leading zeros. */
interface RsaPublicKey {
  readonly modulus: Uint8Array;
  readonly exponent: Uint8Array;
}

/** RFC 5533 section 16: the least length of a key behind a CGA. */
export const RSA_BITS_MIN = 1024;
/**
 * The greatest length whose signatures we check: verification costs the square of it, and
 * whoever sends the key chooses it. RFC 3972 section 5 asks for 2048.
 */
export const RSA_BITS_MAX = 4096;
/** The same for the exponent; 65537 has 17 bits. */
const EXPONENT_BITS_MAX = 32;

/** AlgorithmIdentifier: rsaEncryption, parameters NULL (RFC 3279 section 2.3.1). */
const RSA_ENCRYPTION = Uint8Array.of(
  ...[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00],
);

/** Why a public key can't check a signature. */
export interface KeyFailure {
  readonly reason: "not-rsa" | "key-too-short" | "key-too-long" | "exponent";
  readonly message: string;
}

/** A DER SubjectPublicKeyInfo with algorithm rsaEncryption (RFC 3972 section 3). */
export function encodeRsaPublicKey({ modulus, exponent }: RsaPublicKey): Uint8Array {
  const key = encodeElement(DER_SEQUENCE, encodeUnsigned(modulus), encodeUnsigned(exponent));
  const unusedBits = Uint8Array.of(0);
  return encodeElement(
    DER_SEQUENCE,
    RSA_ENCRYPTION,
    encodeElement(DER_BIT_STRING, unusedBits, key),
  );
}

function decodeRsaPublicKey(bytes: Uint8Array): Result<RsaPublicKey, KeyFailure> {
  const outer = readTagged(bytes, DER_SEQUENCE, 0);
  if (!outer.ok) return notRsa(outer.error);
  const { start, end } = outer.value;
  const algorithmEnd = start + RSA_ENCRYPTION.length;
  if (!RSA_ENCRYPTION.every((octet, i) => bytes[start + i] === octet)) {
    return notRsa({ offset: start, message: "the algorithm is not rsaEncryption" });
  }
  const bits = readTagged(bytes, DER_BIT_STRING, algorithmEnd, end);
  if (!bits.ok) return notRsa(bits.error);
  if (bits.value.end !== bytes.length || bytes[bits.value.start] !== 0) {
    return notRsa({ offset: bits.value.start, message: "octets or bits are left over" });
  }
  return decodeRsaNumbers(bytes, bits.value.start + 1);
}

/** RSAPublicKey from `offset` to the end. */
function decodeRsaNumbers(bytes: Uint8Array, offset: number): Result<RsaPublicKey, KeyFailure> {
  const sequence = readTagged(bytes, DER_SEQUENCE, offset);
  if (!sequence.ok) return notRsa(sequence.error);
  const modulus = readUnsigned(bytes, sequence.value.start, sequence.value.end);
  if (!modulus.ok) return notRsa(modulus.error);
  const exponent = readUnsigned(bytes, modulus.value.end, sequence.value.end);
  if (!exponent.ok) return notRsa(exponent.error);
  if (exponent.value.end !== bytes.length) {
    return notRsa({ offset: exponent.value.end, message: "octets are left over" });
  }
  return success({ modulus: modulus.value.value, exponent: exponent.value.value });
}

function notRsa({ offset, message }: DerError): Result<never, KeyFailure> {
  return failure({ reason: "not-rsa", message: `no RSA public key: ${message} (octet ${offset})` });
}

/**
 * Whether a signature under this key may be checked: RSA, of 1024 bits at least, and of no more
 * than we can afford to compute for a stranger. Gives the octets of its signatures.
 */
export function checkSigningKey(publicKey: Uint8Array): Result<number, KeyFailure> {
  const decoded = decodeRsaPublicKey(publicKey);
  if (!decoded.ok) return decoded;
  const { modulus, exponent } = decoded.value;
  const bits = bitLength(modulus);
  if (bits < RSA_BITS_MIN) {
    const message = `an RSA key of ${bits} bits: ${RSA_BITS_MIN} are the least (RFC 5533 section 16)`;
    return failure({ reason: "key-too-short", message });
  }
  if (bits > RSA_BITS_MAX) {
    const message = `an RSA key of ${bits} bits: ${RSA_BITS_MAX} are the most that we check`;
    return failure({ reason: "key-too-long", message });
  }
  const isOdd = ((exponent.at(-1) ?? 0) & 1) === 1;
  if (!isOdd || bitLength(exponent) < 2 || bitLength(exponent) > EXPONENT_BITS_MAX) {
    const message = `an RSA exponent that is not an odd number of 2 to ${EXPONENT_BITS_MAX} bits`;
    return failure({ reason: "exponent", message });
  }
  return success(modulus.length);
}

/** @param value without leading zero octets */
function bitLength(value: Uint8Array): number {
  const [first = 0] = value;
  return value.length === 0 ? 0 : 8 * value.length - Math.clz32(first) + 24;
}
