import { describe, expect, test } from "vitest";
import { findModifier, type SearchProgress } from "../../../src/daemon/crypto/search.ts";
import { SearchPieces } from "../../../src/daemon/crypto/search-pieces.ts";
import { hash2Input } from "../../../src/identity/hashes.ts";
import { toHex } from "../../../src/wire/hex.ts";
import { sha1 } from "../../identity/support/crypto.ts";
import { member, parameters, VECTORS } from "../../identity/support/vectors.ts";
import { octets } from "../../wire/support/vectors.ts";

const SEC_1 = [
  ...VECTORS.hba_sets.map((set) => ({ ...set, pds: member(set.id).pds })),
  ...VECTORS.cgas,
].filter(({ sec }) => sec === 1);

function start(vector: { readonly pds: string; readonly modifier_start: string | null }) {
  return { ...parameters(octets(vector.pds)), modifier: octets(vector.modifier_start ?? "") };
}

describe("the pieces of a search", () => {
  const modifier = (last: string) => octets(last.padStart(32, "0"));
  const none = { attempts: 8192, found: undefined };

  function search() {
    const found: string[] = [];
    const pieces = new SearchPieces(modifier("fff0"), (first) => found.push(toHex(first)));
    return { pieces, found };
  }

  test("follow each other without a gap", () => {
    const { pieces } = search();
    const orders = [pieces.next(), pieces.next()].map((piece) => piece?.order);
    expect(orders).toEqual([
      { modifier: modifier("fff0"), attempts: 8192 },
      { modifier: modifier("11ff0"), attempts: 8192 },
    ]);
  });

  test("that come earlier are waited for, and theirs is taken", () => {
    const { pieces, found } = search();
    for (let i = 0; i < 4; i++) pieces.next();
    pieces.done(2, { attempts: 5, found: modifier("2222") });
    expect(pieces.next()).toBeUndefined();
    pieces.done(3, { attempts: 5, found: modifier("3333") });
    pieces.done(1, { attempts: 7, found: modifier("1111") });
    expect(found).toEqual([]);
    pieces.done(0, none);
    expect(found).toEqual([toHex(modifier("1111"))]);
    expect(pieces.attempts).toBe(8192 + 17);
  });

  test("that come later are not", () => {
    const { pieces, found } = search();
    for (let i = 0; i < 3; i++) pieces.next();
    pieces.done(1, { attempts: 5, found: modifier("1111") });
    pieces.done(0, none);
    expect(found).toEqual([toHex(modifier("1111"))]);
  });
});

describe("the search in threads", () => {
  test.each(SEC_1)("finds the modifier of vector $id", async (vector) => {
    const found = await findModifier(1, start(vector), { threads: 2 });
    expect(toHex(found)).toBe(vector.modifier);
  });

  test("finds the first modifier, whatever the number of threads", async () => {
    const from = { ...parameters(octets(member("H12").pds)), modifier: new Uint8Array(16) };
    const found = await Promise.all([1, 2, 5].map((threads) => findModifier(1, from, { threads })));
    expect(new Set(found.map(toHex)).size).toBe(1);
    const [modifier = new Uint8Array(16)] = found;
    const hash2 = sha1(hash2Input({ ...from, modifier }));
    expect([...hash2.subarray(0, 2)]).toEqual([0, 0]);
  });

  test("needs none for Sec 0", async () => {
    const from = parameters(octets(member("H04").pds));
    expect(await findModifier(0, from)).toEqual(from.modifier);
  });

  test("tells how far it is until it is cancelled", async () => {
    const cancel = new AbortController();
    const progress: SearchProgress[] = [];
    const search = findModifier(2, parameters(octets(member("H12").pds)), {
      threads: 1,
      signal: cancel.signal,
      onProgress: (now) => {
        progress.push(now);
        if (progress.length === 3) cancel.abort(new Error("cancelled by the test"));
      },
    });
    await expect(search).rejects.toThrow("cancelled by the test");
    expect(progress.map(({ attempts }) => attempts)).toEqual([8192, 16_384, 24_576]);
    expect(progress[0]?.expected).toBe(2 ** 32);
  });

  test("does not begin when it is cancelled already", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    const search = findModifier(2, parameters(octets(member("H12").pds)), { signal });
    await expect(search).rejects.toThrow("too late");
  });
});
