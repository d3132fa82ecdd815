import fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import {
  extendedModifierKey,
  formAddresses,
  type HbaKey,
  hbaParameters,
  type SetMember,
} from "../../src/identity/address-set.ts";
import { METHOD_CGA, METHOD_HBA } from "../../src/identity/methods.ts";
import { encodeParameters } from "../../src/identity/parameters.ts";
import type { VerifyRsaSha1 } from "../../src/identity/primitives.ts";
import {
  type LocatorProof,
  provableMethod,
  proveLocators,
} from "../../src/identity/prove-locators.ts";
import { encodeRsaPublicKey } from "../../src/identity/rsa-key.ts";
import {
  type LocatorClaim,
  type UlidParameters,
  verifyListSignature,
  verifyLocators,
  verifyMembers,
  verifyUlid,
} from "../../src/identity/verify-locators.ts";
import type { Address } from "../../src/wire/address.ts";
import { octets } from "../wire/support/vectors.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { flips } from "./support/bits.ts";
import { CRYPTO, newKey, sha1 } from "./support/crypto.ts";
import { address, member, prefix, VECTORS } from "./support/vectors.ts";

const KEY = newKey(1024);
const PREFIXES = ["2001:db8:a:1::", "2001:db8:b:1::", "2001:db8:c:1::"].map(prefix);
/** Of a provider that came later: in no set. */
const LATER = [address("2001:db8:ff:1::9"), address("2001:db8:fe:1::8")];

function hbaSet(key: HbaKey): readonly SetMember[] {
  const shared = hbaParameters(new Uint8Array(16).fill(7), key, PREFIXES);
  return formAddresses(sha1, 0, shared, PREFIXES).members;
}

function cga(der: Uint8Array): SetMember {
  const shared = { modifier: new Uint8Array(16), publicKey: der, extensions: [] };
  return first(formAddresses(sha1, 0, shared, PREFIXES.slice(0, 1)).members);
}

function first<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined) throw new Error("empty");
  return item;
}

const HBA_ONLY = hbaSet(extendedModifierKey(new Uint8Array(48).fill(9)));
const HBA_CGA = hbaSet({ kind: "public-key", der: KEY.der });
const CGA_ONLY = cga(KEY.der);

const verifyRsaSha1 = vi.fn<VerifyRsaSha1>(CRYPTO.verifyRsaSha1);
const crypto = { sha1, verifyRsaSha1 };

beforeEach(() => {
  verifyRsaSha1.mockClear();
});

function proven({ address: ulid, parameters }: SetMember): UlidParameters {
  const verified = verifyUlid(sha1, ulid, encodeParameters(parameters));
  if (!verified.ok) throw new Error(verified.error.message);
  return verified.value;
}

function listed(method: number, ...addresses: readonly Address[]) {
  return addresses.map((locator) => ({ method, address: locator }));
}

function addressesOf(members: readonly SetMember[]): Address[] {
  return members.map((item) => item.address);
}

/** What the peer says of the claim of a host whose ULID is this one. */
function verdict(ulid: SetMember, claim: LocatorClaim) {
  return verifyLocators(crypto, proven(ulid), claim);
}

function refusal(locator: number, reason: string) {
  return { ok: false, error: { check: "list", locator, reason } };
}

describe("the ULID", () => {
  test.each([
    ["an HBA", first(HBA_ONLY)],
    ["an HBA that is a CGA too", first(HBA_CGA)],
    ["a CGA", CGA_ONLY],
  ])("is proven as %s by its own parameters", (_, ulid) => {
    const verified = verifyUlid(sha1, ulid.address, encodeParameters(ulid.parameters));
    expect(verified).toEqual({ ok: true, value: ulid.parameters });
  });

  test("is not proven by the parameters of another address, not even of its set", () => {
    const [a, b] = HBA_CGA;
    const ulid = a?.address ?? address("::");
    const others = [b, ...HBA_ONLY, CGA_ONLY].flatMap((item) => item?.parameters ?? []);
    for (const parameters of others) {
      const verified = verifyUlid(sha1, ulid, encodeParameters(parameters));
      expect(verified).toMatchObject({ ok: false, error: { check: "ulid" } });
    }
  });

  test("is not proven with any bit of the parameters flipped", () => {
    const ulid = first(HBA_CGA);
    for (const { bit, flipped } of flips(encodeParameters(ulid.parameters))) {
      expect(verifyUlid(sha1, ulid.address, flipped).ok, `bit ${bit}`).toBe(false);
    }
  });

  test("is not proven by octets that are no parameters, and the error says why", () => {
    const verified = verifyUlid(sha1, address("2001:db8::1"), new Uint8Array(3));
    expect(verified).toMatchObject({ ok: false, error: { check: "ulid", reason: "truncated" } });
  });
});

describe("a list is believed", () => {
  test("of HBA locators, without any signature", () => {
    for (const set of [HBA_ONLY, HBA_CGA]) {
      const locators = listed(METHOD_HBA, ...addressesOf(set));
      expect(verdict(first(set), { generation: 1, locators }).ok).toBe(true);
    }
    expect(verifyRsaSha1).not.toHaveBeenCalled();
  });

  test.each(VECTORS.signatures)("with the signature of vector $id", (vector) => {
    const { address: ulid } = vector.id === "S01" ? first(VECTORS.cgas.slice(1)) : member("H12");
    const parameters = verifyUlid(sha1, address(ulid), octets(vector.pds));
    const locators = vector.locators.map((item) => ({ ...item, address: address(item.address) }));
    const claim = {
      generation: vector.generation,
      locators,
      signature: octets(vector.rfc_signature),
    };
    expect(parameters.ok && verifyLocators(crypto, parameters.value, claim).ok).toBe(true);
    expect(verifyRsaSha1).toHaveBeenCalledTimes(1);
  });

  test("whatever stands between the CGA locators, which alone are signed", () => {
    const generation = 0xffff_ffff;
    const { signature } = proveLocators(sha1, prover(first(HBA_CGA)), generation, LATER);
    const [x, y] = listed(METHOD_CGA, ...LATER);
    const [a, b, c] = listed(METHOD_HBA, ...addressesOf(HBA_CGA));
    for (const order of [
      [x, y, a],
      [a, x, b, y, c],
      [a, b, c, x, y],
    ]) {
      const locators = order.flatMap((item) => item ?? []);
      expect(verdict(first(HBA_CGA), { generation, locators, signature }).ok).toBe(true);
    }
    const locators = [y, x].flatMap((item) => item ?? []);
    expect(verdict(first(HBA_CGA), { generation, locators, signature })).toMatchObject(
      refusal(0, "signature"),
    );
  });
});

test("the signature can wait for a budget: the steps before it cost no RSA", () => {
  const parameters = proven(first(HBA_CGA));
  const proof = proveLocators(sha1, prover(first(HBA_CGA)), 5, [first(HBA_CGA).address, ...LATER]);
  const awaiting = verifyMembers(sha1, parameters, proof);
  if (!awaiting.ok) throw new Error(awaiting.error.message);
  expect(awaiting.value).toEqual({ generation: 5, locators: LATER, first: 1 });
  expect(verifyRsaSha1).not.toHaveBeenCalled();
  const { signature } = proof;
  expect(verifyListSignature(verifyRsaSha1, parameters, awaiting.value, signature).ok).toBe(true);
});

function prover({ parameters }: SetMember) {
  return { parameters, sign: KEY.sign };
}

describe("a list is refused, with the locator to point at", () => {
  const generation = 1;

  test("where an HBA locator is outside the set", () => {
    const stranger = first(hbaSet(extendedModifierKey(new Uint8Array(48)))).address;
    const inside = listed(METHOD_HBA, ...addressesOf(HBA_ONLY));
    for (const [locator, reason] of [
      [stranger, "hash1"],
      [first(LATER), "prefix-not-in-set"],
    ] as const) {
      const locators = [...inside, ...listed(METHOD_HBA, locator)];
      expect(verdict(first(HBA_ONLY), { generation, locators })).toMatchObject(refusal(3, reason));
    }
  });

  test("where the method is HBA and the parameters have no Multi-Prefix extension", () => {
    const locators = listed(METHOD_HBA, CGA_ONLY.address);
    const claim = { generation, locators };
    expect(verdict(CGA_ONLY, claim)).toMatchObject(refusal(0, "no-multi-prefix"));
  });

  test("where the method is CGA and the parameters have no public key", () => {
    const locators = [
      ...listed(METHOD_HBA, first(HBA_ONLY).address),
      ...listed(METHOD_CGA, ...LATER),
    ];
    const signature = new Uint8Array(128);
    expect(verdict(first(HBA_ONLY), { generation, locators, signature })).toMatchObject(
      refusal(1, "no-public-key"),
    );
    expect(verifyRsaSha1).not.toHaveBeenCalled();
  });

  test.each([0, 3, 200, 201, 254, 255])("where the method is %i", (method) => {
    const locators = [...listed(METHOD_HBA, first(HBA_CGA).address), ...listed(method, ...LATER)];
    expect(verdict(first(HBA_CGA), { generation, locators })).toMatchObject(
      refusal(1, "method-unsupported"),
    );
  });

  test("where the peer never sent parameters", () => {
    const locators = listed(METHOD_HBA, first(HBA_ONLY).address);
    expect(verifyMembers(sha1, undefined, { generation, locators })).toMatchObject(
      refusal(0, "no-parameters"),
    );
  });

  test("where a CGA locator has no signature", () => {
    const locators = [
      ...listed(METHOD_HBA, first(HBA_CGA).address),
      ...listed(METHOD_CGA, ...LATER),
    ];
    expect(verdict(first(HBA_CGA), { generation, locators })).toMatchObject(
      refusal(1, "signature-missing"),
    );
  });

  test("where the signature is of another list, another length or another key", () => {
    const ulid = first(HBA_CGA);
    const { signature = new Uint8Array() } = proveLocators(sha1, prover(ulid), generation, LATER);
    const locators = listed(METHOD_CGA, ...LATER);
    const foreign = { parameters: ulid.parameters, sign: newKey(1024).sign };
    const other = proveLocators(sha1, foreign, generation, LATER).signature;
    for (const [claim, reason] of [
      [{ generation: 2, locators, signature }, "signature"],
      [{ generation, locators: locators.slice(1), signature }, "signature"],
      [{ generation, locators, signature: signature.subarray(1) }, "signature-length"],
      [{ generation, locators, signature: new Uint8Array([...signature, 0]) }, "signature-length"],
      [{ generation, locators, signature: other }, "signature"],
    ] as const) {
      expect(verdict(ulid, claim)).toMatchObject(refusal(0, reason));
    }
  });
});

describe("a key that must not sign is refused before any RSA is computed", () => {
  const odd = (bits: number) => new Uint8Array(bits / 8).map((_, i) => (i === 0 ? 0x80 : 1));
  const F4 = Uint8Array.of(1, 0, 1);
  const rsa = (modulus: Uint8Array, exponent: Uint8Array) =>
    encodeRsaPublicKey({ modulus, exponent });

  const RSA_ENCRYPTION = "300d06092a864886f70d0101010500";

  test.each([
    [
      "512 bits, that of RFC 3972 appendix A",
      octets(VECTORS.cgas[0]?.spki_and_extensions ?? ""),
      "key-too-short",
    ],
    ["1023 bits", rsa(odd(1024).with(0, 0x7f), F4), "key-too-short"],
    ["4097 bits", rsa(new Uint8Array([1, ...odd(4096)]), F4), "key-too-long"],
    ["an even exponent", rsa(odd(2048), Uint8Array.of(2)), "exponent"],
    ["exponent 1", rsa(odd(2048), Uint8Array.of(1)), "exponent"],
    ["exponent 0", rsa(odd(2048), Uint8Array.of(0)), "exponent"],
    ["an exponent of 33 bits", rsa(odd(2048), Uint8Array.of(1, 0, 0, 0, 1)), "exponent"],
    ["no RSA key at all", octets("30020500"), "not-rsa"],
    [
      "an elliptic curve",
      octets("3019301306072a8648ce3d020106082a8648ce3d03010703020004"),
      "not-rsa",
    ],
    ["a raw bit string", octets(VECTORS.hba_sets[0]?.spki ?? ""), "not-rsa"],
    [
      "octets behind the numbers",
      octets(`301b${RSA_ENCRYPTION}030a00300602010302010300`),
      "not-rsa",
    ],
    ["a negative modulus", octets(`301a${RSA_ENCRYPTION}0309003006020181020103`), "not-rsa"],
  ])("%s", (_, der, reason) => {
    const claim = {
      generation: 1,
      locators: listed(METHOD_CGA, ...LATER),
      signature: new Uint8Array(256),
    };
    expect(verdict(cga(der), claim)).toMatchObject(refusal(0, reason));
    expect(verifyRsaSha1).not.toHaveBeenCalled();
  });

  test.each([1024, 4096])("but not %i bits", (bits) => {
    const ulid = cga(rsa(odd(bits), F4));
    const claim = {
      generation: 1,
      locators: listed(METHOD_CGA, ...LATER),
      signature: new Uint8Array(bits / 8),
    };
    expect(verdict(ulid, claim)).toMatchObject(refusal(0, "signature"));
    expect(verifyRsaSha1).toHaveBeenCalledTimes(1);
  });
});

describe("a host proves", () => {
  function methods(proof: LocatorProof): number[] {
    return proof.locators.map(({ method }) => method);
  }

  test("members of its set by HBA, even where it could sign", () => {
    const proof = proveLocators(sha1, prover(first(HBA_CGA)), 1, addressesOf(HBA_CGA));
    expect(methods(proof)).toEqual([1, 1, 1]);
    expect(proof.signature).toBeUndefined();
  });

  test("other addresses by CGA, in the order given", () => {
    const [a, b] = addressesOf(HBA_CGA);
    const candidates = [LATER[0], a, LATER[1], b].flatMap((item) => item ?? []);
    const proof = proveLocators(sha1, prover(first(HBA_CGA)), 1, candidates);
    expect(proof.locators.map((item) => item.address)).toEqual(candidates);
    expect(methods(proof)).toEqual([2, 1, 2, 1]);
  });

  test("nothing that it can't: those are left out", () => {
    const { parameters } = first(HBA_ONLY);
    const candidates = [...LATER, ...addressesOf(HBA_ONLY)];
    const withoutKey = [
      { parameters },
      { parameters, sign: KEY.sign },
      { parameters: CGA_ONLY.parameters },
    ];
    expect(withoutKey.map((own) => provableMethod(sha1, own, first(LATER)))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const proof = proveLocators(sha1, { parameters }, 1, candidates);
    expect(proof.locators).toEqual(listed(METHOD_HBA, ...addressesOf(HBA_ONLY)));
  });

  test("any list so that its peer believes it, and no other generation or order", () => {
    const ulids = fc.constantFrom(first(HBA_CGA), CGA_ONLY);
    const candidates = fc.uniqueArray(
      fc.oneof(arbitrary.address, fc.constantFrom(...addressesOf(HBA_CGA))),
      { maxLength: 8 },
    );
    const generation = fc.integer({ min: 0, max: 0xffff_fffe });
    fc.assert(
      fc.property(ulids, candidates, generation, (ulid, own, number) => {
        const proof = proveLocators(sha1, prover(ulid), number, own);
        expect(proof.locators.map((item) => item.address)).toEqual(own);
        expect(verdict(ulid, proof).ok).toBe(true);
        const isSigned = proof.signature !== undefined;
        expect(verdict(ulid, { ...proof, generation: number + 1 }).ok).toBe(!isSigned);
        const signed = proof.locators.filter(({ method }) => method === METHOD_CGA);
        const reversed = { ...proof, locators: signed.toReversed() };
        expect(verdict(ulid, reversed).ok).toBe(signed.length < 2);
      }),
    );
  });
});
