import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  afterCollision,
  extendedModifierKey,
  formAddresses,
  type HbaKey,
  hbaParameters,
} from "../../src/identity/address-set.ts";
import { ModifierSearch } from "../../src/identity/modifier-search.ts";
import { decodeParameters, encodeParameters } from "../../src/identity/parameters.ts";
import { expectedAttempts, type Sec } from "../../src/identity/sec.ts";
import { parsePrefix, type SubnetPrefix } from "../../src/identity/subnet-prefix.ts";
import { verifyCga, verifyHba } from "../../src/identity/verification.ts";
import { octets } from "../wire/support/vectors.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { flip, flipAddress, IGNORED_BITS } from "./support/bits.ts";
import { newKey, sha1 } from "./support/crypto.ts";
import { address, parameters, prefix, VECTORS } from "./support/vectors.ts";

const PUBLIC_KEY: HbaKey = { kind: "public-key", der: newKey(1024).der };

const hbaKey = fc.oneof(
  fc.constant(PUBLIC_KEY),
  arbitrary.octetsOf(48).map((extendedModifier) => extendedModifierKey(extendedModifier)),
);

function generate(
  sec: Sec,
  modifier: Uint8Array,
  key: HbaKey,
  prefixes: readonly SubnetPrefix[],
  collisionCount = 0,
) {
  const start = hbaParameters(modifier, key, prefixes);
  const found = new ModifierSearch(sha1, sec, start).step(2 ** 22);
  if (found === undefined) throw new Error("no modifier in 2^22");
  return formAddresses(sha1, sec, { ...start, modifier: found }, prefixes, collisionCount);
}

const setOfSecZero = fc
  .tuple(arbitrary.octetsOf(16), hbaKey, arbitrary.prefixes, fc.integer({ min: 0, max: 2 }))
  .map(([modifier, key, prefixes, count]) => generate(0, modifier, key, prefixes, count));

/** A member that a number chooses. */
function choose<Item>(items: readonly Item[], number: number): Item {
  const item = items[number % items.length];
  if (item === undefined) throw new Error("nothing to choose from");
  return item;
}

describe("any HBA set", () => {
  test("is verified: each member by the parameters of each, as they come over the wire", () => {
    fc.assert(
      fc.property(setOfSecZero, ({ members }) => {
        for (const { parameters: own } of members) {
          const received = parameters(encodeParameters(own));
          for (const member of members) {
            expect(verifyHba(sha1, member.address, received)).toEqual({ ok: true, value: 0 });
            const isOwn = member.parameters.subnetPrefix === own.subnetPrefix;
            expect(verifyCga(sha1, member.address, received).ok).toBe(isOwn);
          }
        }
      }),
    );
  });

  test("is verified with Sec 1 too", () => {
    fc.assert(
      fc.property(arbitrary.octetsOf(16), hbaKey, arbitrary.prefixes, (modifier, key, prefixes) => {
        for (const { address: own, parameters: pds } of generate(1, modifier, key, prefixes)
          .members) {
          expect(verifyHba(sha1, own, pds)).toEqual({ ok: true, value: 1 });
        }
      }),
      { numRuns: 3 },
    );
  });

  test("is refused with one bit of an address flipped", () => {
    fc.assert(
      fc.property(setOfSecZero, fc.nat(), fc.nat({ max: 127 }), ({ members }, number, bit) => {
        fc.pre(!IGNORED_BITS.has(bit));
        const member = choose(members, number);
        expect(verifyHba(sha1, flipAddress(member.address, bit), member.parameters).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  test("is refused with one bit of the parameters flipped", () => {
    fc.assert(
      fc.property(setOfSecZero, fc.nat(), fc.nat(), ({ members }, number, bit) => {
        const member = choose(members, number);
        const pds = encodeParameters(member.parameters);
        const decoded = decodeParameters(flip(pds, bit % (8 * pds.length)));
        expect(decoded.ok && verifyCga(sha1, member.address, decoded.value).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  test("does not have an address of another set", () => {
    fc.assert(
      fc.property(setOfSecZero, setOfSecZero, (ours, theirs) => {
        const attacker = choose(theirs.members, 0);
        for (const { parameters: pds } of ours.members) {
          expect(verifyHba(sha1, attacker.address, pds).ok).toBe(false);
        }
      }),
    );
  });
});

describe("collisions", () => {
  const prefixes = [prefix("2001:db8:a:1::"), prefix("2001:db8:b:1::")];
  const set = generate(0, new Uint8Array(16), PUBLIC_KEY, prefixes);

  test("give the whole set other addresses, with the next collision count", () => {
    const next = afterCollision(sha1, set);
    if (!next.ok) throw new Error(next.error.message);
    const expected = generate(0, new Uint8Array(16), PUBLIC_KEY, prefixes, 1);
    expect(next.value).toEqual(expected);
    const addresses = [...set.members, ...next.value.members].map((member) => member.address);
    expect(new Set(addresses).size).toBe(4);
  });

  test("are an error after the third", () => {
    const second = afterCollision(sha1, set);
    const third = second.ok ? afterCollision(sha1, second.value) : second;
    expect(third.ok && third.value.members[0]?.parameters.collisionCount).toBe(2);
    const fourth = third.ok ? afterCollision(sha1, third.value) : third;
    expect(fourth).toMatchObject({ ok: false, error: { reason: "three-collisions" } });
  });
});

describe("mistakes of the caller throw", () => {
  const [a, b] = [prefix("2001:db8:a:1::"), prefix("2001:db8:b:1::")];
  const shared = hbaParameters(new Uint8Array(16), PUBLIC_KEY, [a, b]);

  test.each([
    ["no prefix", () => hbaParameters(new Uint8Array(16), PUBLIC_KEY, [])],
    ["a prefix twice", () => hbaParameters(new Uint8Array(16), PUBLIC_KEY, [a, b, a])],
    ["an Extended Modifier of 47 octets", () => extendedModifierKey(new Uint8Array(47))],
    ["collision count 3", () => formAddresses(sha1, 0, shared, [a, b], 3)],
    ["a modifier that does not fit Sec", () => formAddresses(sha1, 2, shared, [a, b])],
  ])("%s", (_, mistake) => {
    expect(mistake).toThrow(RangeError);
  });
});

describe("the search for a modifier", () => {
  const [cga] = VECTORS.cgas;
  const publicKey = octets(cga?.spki_and_extensions ?? "");
  const appendixA = { modifier: octets(cga?.modifier_start ?? ""), publicKey, extensions: [] };

  test("finds that of RFC 3972 appendix A at the second attempt", () => {
    const search = new ModifierSearch(sha1, 1, appendixA);
    expect(search.step(1)).toBeUndefined();
    expect(search.attempts).toBe(1);
    expect(search.step(1)).toEqual(octets(cga?.modifier ?? ""));
    expect(search.attempts).toBe(2);
  });

  test("finds the same in steps of any size, and continued elsewhere", () => {
    const start = { ...appendixA, modifier: octets("00000000000000000000000000000000") };
    const whole = new ModifierSearch(sha1, 1, start);
    const found = whole.step(2 ** 22);
    let search = new ModifierSearch(sha1, 1, start);
    let attempts = 0;
    let modifier: Uint8Array | undefined;
    while (modifier === undefined) {
      modifier = search.step(1000);
      attempts += search.attempts;
      search = new ModifierSearch(sha1, 1, { ...start, modifier: search.modifier });
    }
    expect(modifier).toEqual(found);
    expect(attempts).toBe(whole.attempts);
  });

  test("takes 2^(16*Sec) attempts on average", () => {
    expect(([0, 1, 2] as const).map(expectedAttempts)).toEqual([1, 65_536, 2 ** 32]);
  });

  test("tries one modifier for Sec 0: the first", () => {
    const search = new ModifierSearch(sha1, 0, appendixA);
    expect(search.step(1)).toEqual(appendixA.modifier);
  });

  test("wraps after the greatest modifier", () => {
    const search = new ModifierSearch(sha1, 2, { ...appendixA, modifier: octets("ff".repeat(16)) });
    expect(search.step(1)).toBeUndefined();
    expect(search.modifier).toEqual(new Uint8Array(16));
  });
});

describe("a prefix", () => {
  test.each(["2001:db8:a:1::", "2001:db8:a:1::/64", "2001:0DB8:a:1:0:0:0:0"])("is %s", (text) => {
    expect(parsePrefix(text)).toBe("2001:db8:a:1::");
  });

  test.each(["2001:db8:a:1::1", "2001:db8:a:1::/48", "2001:db8:a:1", "::1/64", ""])(
    "is not %s",
    (text) => {
      expect(parsePrefix(text)).toBeUndefined();
    },
  );
});

test("the collision count is refused from 3 on, and Sec from 3 on by name", () => {
  const [cga] = VECTORS.cgas;
  const pds = parameters(octets(cga?.pds ?? ""));
  const own = address(cga?.address ?? "");
  expect(verifyCga(sha1, own, { ...pds, collisionCount: 3 })).toMatchObject({
    error: { reason: "collision-count" },
  });
  for (const sec of [3, 4, 5, 6, 7]) {
    const first = ((sec << 13) | 0x1c4a).toString(16);
    const verified = verifyCga(sha1, address(`fe80::${first}:5bf6:ffb4:ca6c`), pds);
    const message = expect.stringContaining(`no hash function to Sec ${sec}`) as string;
    expect(verified).toMatchObject({ error: { reason: "sec-unassigned", message } });
  }
});
