import fc from "fast-check";
import { expect, test } from "vitest";
import { PairTable } from "../../../src/dataplane/nfqueue/pair-table.ts";

/** Few addresses, so that the same pair comes up often; some differ in one bit only. */
const pair = fc
  .tuple(fc.constantFrom(0, 1, 0x80), fc.constantFrom(0, 1, 0x80))
  .map(([local, peer]) => {
    const octets = new Uint8Array(32);
    octets[0] = local;
    octets[31] = peer;
    return octets;
  });
const operation = fc.record({ kind: fc.constantFrom("set", "delete"), pair, value: fc.nat() });

test("it holds what a map with the octets as key holds", () => {
  fc.assert(
    fc.property(fc.array(operation), (operations) => {
      const table = new PairTable<number>();
      const model = new Map<string, number>();
      for (const { kind, pair: octets, value } of operations) {
        if (kind === "set") {
          table.set(octets, 0, 16, value);
          model.set(octets.toString(), value);
        } else {
          table.delete(octets, 0, 16);
          model.delete(octets.toString());
        }
        expect(table.get(octets, 0, 16)).toBe(model.get(octets.toString()));
        expect(table.size).toBe(model.size);
      }
    }),
  );
});

test("the addresses are found wherever they stand, and their order counts", () => {
  const table = new PairTable<string>();
  const packet = Uint8Array.from({ length: 40 }, (_, i) => i);
  table.set(packet, 8, 24, "outbound");
  const elsewhere = new Uint8Array(50);
  elsewhere.set(packet.subarray(24), 3);
  elsewhere.set(packet.subarray(8, 24), 30);
  expect(table.get(elsewhere, 30, 3)).toBe("outbound");
  expect(table.get(elsewhere, 3, 30)).toBeUndefined();
});

test("the oldest pair goes first", () => {
  const table = new PairTable<number>();
  const pairs = [1, 2, 3].map((octet) => new Uint8Array(32).fill(octet));
  for (const [value, octets] of pairs.entries()) table.set(octets, 0, 16, value);
  table.deleteOldest();
  expect(pairs.map((octets) => table.get(octets, 0, 16))).toEqual([undefined, 1, 2]);
  expect(table.size).toBe(2);
});
