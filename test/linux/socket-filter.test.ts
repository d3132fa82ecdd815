import { describe, expect, test } from "vitest";
import { Acquaintances } from "../../src/linux/acquaintances.ts";
import { DROP, KEEP, searchFor, weightedSum } from "../../src/linux/socket-filter.ts";
import { type Address, parseAddress, writeAddress } from "../../src/wire/address.ts";
import { runFilter } from "./support/bpf.ts";

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

function packetFrom(source: Address): Uint8Array {
  const packet = new Uint8Array(48);
  writeAddress(source, packet, 8);
  return packet;
}

/** A packet whose first word behind the IPv6 header is `value`. */
function packetWith(value: number): Uint8Array {
  const packet = new Uint8Array(48);
  new DataView(packet.buffer).setUint32(40, value);
  return packet;
}

const FIRST_WORD = weightedSum([{ offset: 0, factor: 1 }]);

describe("the search of a filter", () => {
  test.each([0, 1, 8, 9, 64, 256, 1000])("among %i values finds each and no other", (count) => {
    const values = Array.from({ length: count }, (_, i) => (i * 4_294_000 + 7) >>> 0);
    const program = [...FIRST_WORD, ...searchFor(values, KEEP, DROP)];
    const finds = (value: number) => runFilter(program, packetWith(value));
    expect(values.filter(finds)).toEqual(values);
    const neighbours = values.flatMap((value) => [value - 1, value + 1]);
    expect([...neighbours, 0, 0xffff_ffff].filter(finds)).toEqual([]);
  });

  test("of as many values as there are acquaintances fits what the kernel takes", () => {
    const values = Array.from({ length: 256 }, (_, i) => i);
    const program = searchFor(values, KEEP, DROP);
    expect(program.length).toBeLessThan(500);
    for (const [, jumpTrue, jumpFalse] of program) {
      expect(Math.max(jumpTrue, jumpFalse)).toBeLessThanOrEqual(8);
    }
  });
});

describe("acquaintances", () => {
  const known = ["2001:db8::1", "2001:db8:1:2:3:4:5:6", "fd00::ffff:ffff"].map(address);
  const strangers = ["2001:db8::2", "2001:db8:1::1", "::1"].map(address);

  test("are told from strangers by their address", () => {
    const acquaintances = new Acquaintances(8);
    for (const each of known) acquaintances.add(each);
    const ours = acquaintances.instructions("acquaintances");
    const others = acquaintances.instructions("strangers");
    const kept = (program: typeof ours) =>
      [...known, ...strangers].filter((each) => runFilter(program, packetFrom(each)));
    expect(kept(ours)).toEqual(known);
    expect(kept(others)).toEqual(strangers);
  });

  test("are the newest when there are too many", () => {
    const acquaintances = new Acquaintances(2);
    const [first, second, third] = known as [Address, Address, Address];
    expect([first, second].map((each) => acquaintances.add(each))).toEqual([true, true]);
    expect(acquaintances.add(first)).toBe(false);
    acquaintances.add(third);
    const program = acquaintances.instructions("acquaintances");
    const kept = known.filter((each) => runFilter(program, packetFrom(each)));
    expect(kept).toEqual([first, third]);
  });

  test("have other hashes with another key, so that nobody can find some that collide", () => {
    const factors = [Uint32Array.of(1, 1, 1, 1), Uint32Array.of(3, 5, 7, 9)];
    const [one, other] = factors.map((key) => {
      const acquaintances = new Acquaintances(8, key);
      acquaintances.add(address("2001:db8::1:2"));
      return acquaintances.instructions("acquaintances");
    });
    const swapped = packetFrom(address("2001:db8::2:1"));
    const inOtherWord = packetFrom(address("2001:db8:0:1:0:0:0:2"));
    for (const packet of [swapped, inOtherWord]) {
      expect(runFilter(other ?? [], packet)).toBe(false);
    }
    expect(one).not.toEqual(other);
  });
});
