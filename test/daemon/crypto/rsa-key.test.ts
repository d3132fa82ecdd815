import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { IDENTITY_PRIMITIVES } from "../../../src/daemon/crypto/primitives.ts";
import {
  newRsaKey,
  type RsaKey,
  readPrivateKey,
  readPublicKey,
} from "../../../src/daemon/crypto/rsa-key.ts";
import { encodeRsaPublicKey } from "../../../src/identity/rsa-key.ts";
import { toHex } from "../../../src/wire/hex.ts";
import { VECTORS } from "../../identity/support/vectors.ts";
import { octets } from "../../wire/support/vectors.ts";

const { sha1, verifyRsaSha1 } = IDENTITY_PRIMITIVES;
const MESSAGE = new TextEncoder().encode("a list of locators");

function pemOf(key: KeyObject): string {
  return key.export({ format: "pem", type: "pkcs8" }) as string;
}

function readKey(pem: string): RsaKey {
  const read = readPrivateKey(pem);
  if (!read.ok) throw new Error(read.error.message);
  return read.value;
}

test("SHA-1 is that of FIPS 180", () => {
  const digest = sha1(new TextEncoder().encode("abc"));
  expect(toHex(digest)).toBe("a9993e364706816aba3e25717850c26c9cd0d89d");
});

describe("a key", () => {
  test.each(["1024", "2048"] as const)("of %s bits is read from a vector's PEM", (bits) => {
    const { pem, spki } = VECTORS.keys[bits];
    expect(toHex(readKey(pem).publicKey)).toBe(spki);
    expect(readPublicKey(pem)).toEqual({ ok: true, value: octets(spki) });
  });

  test("has 2048 bits when it is made, and survives its PEM", async () => {
    const made = await newRsaKey();
    const signature = made.sign(MESSAGE);
    expect(signature).toHaveLength(256);
    const read = readKey(made.pem);
    expect(read.publicKey).toEqual(made.publicKey);
    expect(read.sign(MESSAGE)).toEqual(signature);
    expect(verifyRsaSha1(made.publicKey, MESSAGE, signature)).toBe(true);
    expect(verifyRsaSha1(made.publicKey, MESSAGE.subarray(1), signature)).toBe(false);
  });

  test("is not made with fewer than 1024 bits", async () => {
    await expect(newRsaKey(1023)).rejects.toThrow("1024 are the least");
  });

  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const short = generateKeyPairSync("rsa", { modulusLength: 1016 }).privateKey;
  const pss = generateKeyPairSync("rsa-pss", { modulusLength: 1024 }).privateKey;
  test.each([
    ["an elliptic curve", pemOf(ec), "not rsaEncryption"],
    ["1016 bits", pemOf(short), "1016 bits"],
    ["RSA-PSS", pemOf(pss), "not rsaEncryption"],
    ["no PEM", "hello", "in PEM"],
    ["nothing", "", "in PEM"],
  ])("is refused when it is %s", (_, pem, message) => {
    for (const read of [readPrivateKey(pem), readPublicKey(pem)]) {
      expect(read).toMatchObject({
        ok: false,
        error: { message: expect.stringContaining(message) as string },
      });
    }
  });

  test("that no signature can fit gives false, whatever OpenSSL thinks of it", () => {
    const odd = encodeRsaPublicKey({
      modulus: new Uint8Array(128).fill(0xff),
      exponent: Uint8Array.of(3),
    });
    for (const key of [odd, octets("30020500"), new Uint8Array()]) {
      expect(verifyRsaSha1(key, MESSAGE, new Uint8Array(128).fill(1))).toBe(false);
    }
  });
});
