import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeadlineQueue } from "../../src/core/deadline-queue.ts";
import { ESTABLISHMENT } from "../../src/core/establishment.ts";
import { LocatorProofs } from "../../src/core/locator-proofs.ts";
import {
  acceptLocators,
  locatorOptions,
  nothingTold,
  offerLocators,
} from "../../src/core/locator-set.ts";
import type { AddressPair } from "../../src/core/output.ts";
import { choosePair, orderPairs, type PairCandidate } from "../../src/core/pair-order.ts";
import { Random } from "../../src/core/random.ts";
import { instant } from "../../src/core/time.ts";
import { Validator } from "../../src/core/validator.ts";
import type { Option } from "../../src/wire/message.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { hmac, seededRandom } from "./support/random.ts";
import { address } from "./support/world.ts";

describe("DeadlineQueue", () => {
  test("gives back items in the order of their latest deadlines, whatever was set before", () => {
    const settings = fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 20 }),
        fc.option(fc.integer({ min: 0, max: 1000 }), { nil: undefined }),
      ),
    );
    fc.assert(
      fc.property(settings, (sequence) => {
        const queue = new DeadlineQueue<number>();
        const expected = new Map<number, number>();
        for (const [item, at] of sequence) {
          queue.set(item, at === undefined ? undefined : instant(at));
          if (at === undefined) expected.delete(item);
          else expected.set(item, at);
        }
        const order: number[] = [];
        for (let top = queue.peek(); top !== undefined; top = queue.peek()) {
          expect(top.at).toBe(expected.get(top.item));
          order.push(top.at);
          expect(queue.popDue(top.at)).toBe(top.item);
        }
        expect(order).toEqual([...expected.values()].sort((a, b) => a - b));
      }),
    );
  });

  test("holds back what isn't due", () => {
    const queue = new DeadlineQueue<string>();
    queue.set("later", instant(10));
    expect(queue.popDue(instant(9.99))).toBeUndefined();
    expect(queue.popDue(instant(10))).toBe("later");
    expect(queue.popDue(instant(11))).toBeUndefined();
  });
});

describe("Random", () => {
  test("tags have 47 bits, nonces 32, and spans stay within their bounds", () => {
    const random = new Random(seededRandom(5));
    for (let i = 0; i < 10_000; i++) {
      expect(random.tag()).toBeLessThan(2 ** 47);
      expect(random.uint32()).toBeLessThan(2 ** 32);
      const value = random.between(0.5, 1.5);
      expect(value >= 0.5 && value < 1.5).toBe(true);
    }
  });

  test("the highest octets make the highest tag and nonce", () => {
    const random = new Random((length) => new Uint8Array(length).fill(0xff));
    expect(random.tag()).toBe(2 ** 47 - 1);
    expect(random.uint32()).toBe(2 ** 32 - 1);
  });
});

describe("Validator (RFC 5533 section 7.10.1)", () => {
  const input = {
    exchange: "establishment" as const,
    initiatorTag: contextTag(0x7edcba987654),
    initiatorUlid: address("2001:db8:a::1"),
    responderUlid: address("2001:db8:b::1"),
    initiatorLocator: address("2001:db8:a::1"),
    responderLocator: address("2001:db8:b::1"),
    forkedInstance: 0,
  };

  test("accepts its own for at least VALIDATOR_MIN_LIFETIME and at most twice that", () => {
    const validator = new Validator(hmac, new Random(seededRandom(6)));
    for (let start = 0; start < 1_500_000; start += 7_919) {
      const { nonce, validator: proof } = validator.create(instant(start), input);
      const accepted = (age: number): boolean =>
        validator.check(instant(start + age), nonce, proof, input);
      expect(accepted(0)).toBe(true);
      expect(accepted(29_999)).toBe(true);
      expect(accepted(60_000)).toBe(false);
    }
  });

  test("binds every field, the nonce and the length", () => {
    const validator = new Validator(hmac, new Random(seededRandom(6)));
    const { nonce, validator: proof } = validator.create(instant(0), input);
    const changes = [
      { initiatorTag: contextTag(1) },
      { initiatorUlid: address("2001:db8:a::2") },
      { responderUlid: address("2001:db8:b::2") },
      { initiatorLocator: address("2001:db8:aa::1") },
      { responderLocator: address("2001:db8:bb::1") },
      { forkedInstance: 1 },
    ];
    for (const change of changes) {
      expect(validator.check(instant(1), nonce, proof, { ...input, ...change })).toBe(false);
    }
    expect(validator.check(instant(1), nonce ^ 1, proof, input)).toBe(false);
    expect(validator.check(instant(1), nonce, proof.subarray(1), input)).toBe(false);
    expect(validator.check(instant(1), nonce, new Uint8Array(), input)).toBe(false);
  });
});

describe("pair order (decision 16)", () => {
  const candidate = (text: string, preference = 0, broken = false) => ({
    address: address(text),
    preference,
    weight: 0,
    transient: false,
    broken,
  });
  const never = () => {
    throw new Error("nothing is drawn without weights");
  };
  const locals = [
    candidate("2001:db8:a1::1"),
    candidate("2001:db8:a2::1", 1),
    candidate("2001:db8:a3::1", 2),
  ];
  const peers = [candidate("2001:db8:b1::1"), candidate("2001:db8:b2::1", 1, true)];
  const failed = { local: address("2001:db8:a1::1"), peer: address("2001:db8:b1::1") };

  test("has every pair once, those that share nothing with the failed one first, itself last", () => {
    const pairs = orderPairs(locals, peers, failed, never);
    expect(pairs).toHaveLength(6);
    expect(new Set(pairs.map((pair) => JSON.stringify(pair))).size).toBe(6);
    const shared = pairs.map(
      ({ local, peer }) => Number(local === failed.local) + Number(peer === failed.peer),
    );
    expect(shared).toEqual([...shared].sort((a, b) => a - b));
    expect(pairs.at(-1)).toEqual(failed);
  });

  test("leaves out pairs of different scope", () => {
    expect(orderPairs([candidate("fe80::1")], peers, failed, never)).toEqual([]);
    expect(orderPairs(locals, [candidate("ff02::1")], failed, never)).toEqual([]);
  });

  test("of working pairs the current one stays, else the most preferred is chosen", () => {
    const other = { local: address("2001:db8:a3::1"), peer: address("2001:db8:b1::1") };
    const better = { local: address("2001:db8:a2::1"), peer: address("2001:db8:b1::1") };
    const choose = (working: AddressPair[], wanted = [failed], candidates = locals) =>
      choosePair(working, wanted, candidates, peers, never);
    expect(choose([other, failed])).toEqual(failed);
    expect(choose([other, better])).toEqual(better);
    expect(choose([other, better, failed], [other, failed])).toEqual(other);
    expect(choose([better, failed], [other, failed])).toEqual(failed);
    expect(choose([])).toBeUndefined();
    expect(choose([failed], [failed], locals.slice(1))).toBeUndefined();
  });

  test("a transient locator comes after the stable ones of its preference", () => {
    const [first, second, third] = [1, 2, 3].map((i) => candidate(`2001:db8:a${i}::1`));
    const mixed = [{ ...first, transient: true }, second, { ...third, preference: 1 }];
    const order = orderPairs(
      mixed as PairCandidate[],
      [candidate("2001:db8:b1::1")],
      undefined,
      never,
    );
    expect(order.map(({ local }) => local)).toEqual(
      ["2001:db8:a2::1", "2001:db8:a1::1", "2001:db8:a3::1"].map(address),
    );
  });

  test("weights spread the first place over locators of one preference (RFC 2782)", () => {
    const random = new Random(seededRandom(77));
    const draw = () => random.between(0, 1);
    const weights = [60, 30, 10, 0];
    const weighted = weights.map((weight, i) => ({
      ...candidate(`2001:db8:a${i}::1`),
      weight,
    }));
    const later = { ...candidate("2001:db8:ff::1", 1), weight: 255 };
    const firsts = weights.map(() => 0);
    for (let round = 0; round < 4_000; round++) {
      const [first] = orderPairs([later, ...weighted], peers.slice(0, 1), undefined, draw);
      const index = weighted.findIndex((locator) => locator.address === first?.local);
      firsts[index] = (firsts[index] ?? 0) + 1;
    }
    // Three standard deviations of a share among 4,000 are at most 0.024.
    for (const [i, expected] of [0.6, 0.3, 0.1, 0.001].entries()) {
      expect(Math.abs((firsts[i] ?? 0) / 4_000 - expected)).toBeLessThan(0.024);
    }
  });
});

describe("locator lists", () => {
  const UNVERIFIED = new LocatorProofs("unverified", undefined);
  const VERIFIED = new LocatorProofs("verified", undefined);
  const ulid = address("2001:db8:a1::1");
  const accept = (proofs: LocatorProofs, options: readonly Option[]) =>
    acceptLocators(instant(1), proofs, ulid, options, nothingTold(ulid));
  const plain = { weight: 0, transient: false, broken: false };
  const locals = [
    { address: address("2001:db8:a2::1"), preference: 3, operational: true },
    { address: ulid, preference: 5, operational: true },
    { address: address("2001:db8:a3::1"), preference: 1, operational: false },
  ];

  test("an offer has the ULID first, then what works, by preference", () => {
    expect(offerLocators(UNVERIFIED, ulid, locals).map((locator) => locator.address)).toEqual([
      ulid,
      address("2001:db8:a2::1"),
    ]);
    expect(offerLocators(VERIFIED, ulid, locals).map((locator) => locator.address)).toEqual([ulid]);
  });

  test("what one end offers the other accepts, with preferences", () => {
    const offer = offerLocators(UNVERIFIED, ulid, locals);
    expect(accept(UNVERIFIED, locatorOptions(UNVERIFIED, offer, 7))).toEqual({
      ok: true,
      value: {
        generation: 7,
        locators: [
          { address: ulid, method: 201, preference: 5, ...plain },
          { address: address("2001:db8:a2::1"), method: 201, preference: 3, ...plain },
        ],
      },
    });
  });

  test("weights and TRANSIENT reach the other end", () => {
    const offer = [
      { address: ulid, preference: 5, weight: 200, operational: true },
      { address: address("2001:db8:a2::1"), preference: 5, transient: true, operational: true },
    ];
    const options = locatorOptions(UNVERIFIED, offer, 7);
    expect(options[1]).toMatchObject({ elementLength: 3 });
    expect(accept(UNVERIFIED, options)).toMatchObject({
      value: {
        locators: [
          { preference: 5, weight: 200, transient: false, broken: false },
          { preference: 5, weight: 0, transient: true, broken: false },
        ],
      },
    });
  });

  test("methods that need a proof, preferences of another generation or number, and long lists are refused", () => {
    const list = (methods: number[], generation = 1) => ({
      name: "LocatorList" as const,
      critical: false,
      generation,
      locators: methods.map((method, i) => ({ address: address(`2001:db8::${i + 1}`), method })),
    });
    const preferences = (count: number, generation = 1) => ({
      name: "LocatorPreferences" as const,
      critical: false,
      generation,
      elementLength: 1,
      elements: Array.from({ length: count }, () => ({ flags: 0 })),
    });
    const fault = (proofs: LocatorProofs, ...options: Option[]) => {
      const accepted = accept(proofs, options);
      if (accepted.ok) return "accepted";
      const { error } = accepted;
      return error.code === undefined ? error.counter : [error.code, error.offset];
    };
    expect(fault(UNVERIFIED, list([201, 1]))).toEqual([2, 10]);
    expect(fault(UNVERIFIED, list([2]))).toEqual([2, 9]);
    expect(fault(VERIFIED, list([201]))).toEqual([2, 9]);
    expect(fault(UNVERIFIED, list(new Array(70).fill(201)))).toBe("accepted");
    expect(fault(UNVERIFIED, list(new Array(71).fill(201)))).toEqual([2, 79]);
    expect(fault(UNVERIFIED, list([201]), preferences(1, 2))).toEqual([3, 4]);
    expect(fault(UNVERIFIED, list([201]), preferences(2))).toEqual([4, 2]);
    expect(fault(UNVERIFIED, list([201]), preferences(1))).toBe("accepted");
  });
});

describe("the establishment table", () => {
  test("leads to IDLE only by forgetting, and to ESTABLISHED only by adopting the peer's state", () => {
    for (const row of Object.values(ESTABLISHMENT)) {
      for (const { next, actions } of Object.values(row)) {
        expect(next === "IDLE").toBe(actions.includes("forget"));
        expect(next !== "ESTABLISHED" || actions.includes("adopt")).toBe(true);
      }
    }
  });

  test("leaves ESTABLISHED only for R1bis (RFC 5533 appendix B)", () => {
    for (const [event, row] of Object.entries(ESTABLISHMENT)) {
      expect(row.ESTABLISHED?.next).toBe(event === "r1bis" ? "I2BIS-SENT" : undefined);
    }
  });
});
