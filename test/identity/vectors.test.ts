import { describe, expect, test } from "vitest";
import {
  type AddressSet,
  extendedModifierKey,
  formAddresses,
  type HbaKey,
  hbaParameters,
} from "../../src/identity/address-set.ts";
import { ModifierSearch } from "../../src/identity/modifier-search.ts";
import {
  decodeParameters,
  encodeParameters,
  type SharedParameters,
} from "../../src/identity/parameters.ts";
import { signedOctets, verifySignature } from "../../src/identity/signature.ts";
import { verifyCga, verifyHba } from "../../src/identity/verification.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import { toHex } from "../../src/wire/hex.ts";
import { decodeOptions } from "../../src/wire/options.ts";
import { octets } from "../wire/support/vectors.ts";
import { flipAddress, flips, IGNORED_BITS } from "./support/bits.ts";
import { CRYPTO, keyFromPem, sha1 } from "./support/crypto.ts";
import { address, parameters, prefix, VECTORS } from "./support/vectors.ts";

/** What comes of the search that the vector begins with. */
function searched(sec: 0 | 1, start: SharedParameters, modifierStart: string | null) {
  if (modifierStart === null) return start;
  const search = new ModifierSearch(sha1, sec, { ...start, modifier: octets(modifierStart) });
  const modifier = search.step(2 ** 22);
  if (modifier === undefined) throw new Error("no modifier in 2^22");
  return { ...start, modifier };
}

function printed({ members }: AddressSet) {
  return members.map((member) => ({
    address: member.address,
    pds: toHex(encodeParameters(member.parameters)),
  }));
}

function membersOf(set: (typeof VECTORS.hba_sets)[number]) {
  return set.members.map((member) => ({ address: member.address, pds: member.pds }));
}

describe.each(VECTORS.hba_sets)("HBA set $id", (vector) => {
  const prefixes = vector.prefixes.map(prefix);
  const key: HbaKey = {
    kind: vector.p_flag === 1 ? "public-key" : "extended-modifier",
    der: octets(vector.spki),
  };

  test("is generated bit for bit from its inputs", () => {
    const start = hbaParameters(octets(vector.modifier), key, prefixes);
    const shared = searched(vector.sec, start, vector.modifier_start);
    expect(toHex(shared.modifier)).toBe(vector.modifier);
    const set = formAddresses(sha1, vector.sec, shared, prefixes, vector.collision_count);
    expect(printed(set)).toEqual(membersOf(vector));
  });

  test("has its members verified by the parameters of each", () => {
    for (const { pds } of vector.members) {
      for (const { address: text } of vector.members) {
        const verified = verifyHba(sha1, address(text), parameters(octets(pds)));
        expect(verified).toEqual({ ok: true, value: vector.sec });
      }
    }
  });

  test("is refused with any bit of any member's address flipped but the five", () => {
    for (const { address: text, pds } of vector.members) {
      for (let bit = 0; bit < 128; bit++) {
        if (IGNORED_BITS.has(bit)) continue;
        const flipped = flipAddress(address(text), bit);
        expect(verifyHba(sha1, flipped, parameters(octets(pds))).ok, `bit ${bit}`).toBe(false);
        expect(verifyCga(sha1, flipped, parameters(octets(pds))).ok, `bit ${bit}`).toBe(false);
      }
    }
  });

  test("is refused with any bit of its parameters flipped", () => {
    for (const { address: text, pds } of vector.members) {
      for (const { bit, flipped } of flips(octets(pds))) {
        const decoded = decodeParameters(flipped);
        if (!decoded.ok) continue;
        expect(verifyCga(sha1, address(text), decoded.value).ok, `bit ${bit}`).toBe(false);
        // RFC 5535 section 7.2 puts the address's prefix where the parameters' stands.
        const isReplaced = bit >= 128 && bit < 192;
        expect(verifyHba(sha1, address(text), decoded.value).ok, `bit ${bit}`).toBe(isReplaced);
      }
    }
  });
});

test.each(VECTORS.hba_sets.filter(({ key_encoding }) => key_encoding === "rsapublickey"))(
  "the Extended Modifier of $id is encoded as an RSA key",
  ({ extended_modifier, spki }) => {
    const key = extendedModifierKey(octets(extended_modifier ?? ""));
    expect(toHex(key.der)).toBe(spki);
  },
);

describe.each(VECTORS.cgas)("CGA $id", (vector) => {
  test("is generated bit for bit from its inputs", () => {
    const publicKey = octets(vector.spki_and_extensions);
    const start = { modifier: octets(vector.modifier_start), publicKey, extensions: [] };
    const shared = searched(vector.sec, start, vector.modifier_start);
    expect(toHex(shared.modifier)).toBe(vector.modifier);
    const set = formAddresses(
      sha1,
      vector.sec,
      shared,
      [prefix(vector.prefix)],
      vector.collision_count,
    );
    expect(printed(set)).toEqual([{ address: vector.address, pds: vector.pds }]);
  });

  test("is verified, and refused with any bit flipped but the five", () => {
    const pds = octets(vector.pds);
    const cga = address(vector.address);
    expect(verifyCga(sha1, cga, parameters(pds))).toEqual({ ok: true, value: vector.sec });
    for (let bit = 0; bit < 8 * addressToBytes(cga).length; bit++) {
      if (IGNORED_BITS.has(bit)) continue;
      expect(verifyCga(sha1, flipAddress(cga, bit), parameters(pds)).ok, `bit ${bit}`).toBe(false);
    }
    for (const { bit, flipped } of flips(pds)) {
      const decoded = decodeParameters(flipped);
      if (!decoded.ok) continue;
      expect(verifyCga(sha1, cga, decoded.value).ok, `bit ${bit}`).toBe(false);
    }
  });
});

test.each(VECTORS.edge_cases)("edge case $id: $why", (vector) => {
  const verify = vector.mode === "hba" ? verifyHba : verifyCga;
  const verified = verify(sha1, address(vector.address), parameters(octets(vector.pds)));
  expect(verified.ok).toBe(vector.expect);
});

describe.each(VECTORS.signatures)("signature $id", (vector) => {
  const listed = vector.locators.map(({ method, address: text }) => ({
    method,
    address: address(text),
  }));
  const signed = listed.filter(({ method }) => method === 2).map((locator) => locator.address);
  const { publicKey } = parameters(octets(vector.pds));
  const signature = octets(vector.rfc_signature);

  function verifies(signatureOctets: Uint8Array, generation = vector.generation): boolean {
    const { verifyRsaSha1 } = CRYPTO;
    return verifySignature(verifyRsaSha1, publicKey, generation, signed, signatureOctets).ok;
  }

  test("covers the CGA locators of the list, in order", () => {
    expect(toHex(signedOctets(vector.generation, signed))).toBe(vector.signed_octets);
    const option = octets(vector.rfc_locator_list_option);
    const decoded = decodeOptions(option, 0, option.length);
    expect(decoded.ok && decoded.value.options).toMatchObject([
      { generation: vector.generation, locators: listed },
    ]);
  });

  test("is reproduced by the private key", () => {
    const key = keyFromPem(VECTORS.keys[1024].pem);
    expect(toHex(key.sign(signedOctets(vector.generation, signed)))).toBe(vector.rfc_signature);
  });

  test("is verified, and refused with any bit flipped", () => {
    expect(verifies(signature)).toBe(true);
    for (const { bit, flipped } of flips(signature)) {
      expect(verifies(flipped), `bit ${bit}`).toBe(false);
    }
    expect(verifies(signature, vector.generation + 1)).toBe(false);
  });
});
