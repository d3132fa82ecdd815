import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Address } from "../../src/wire/address.ts";
import { isShim6ChecksumValid, onesComplementSum, shim6Checksum } from "../../src/wire/checksum.ts";
import { fromHex, toHex } from "../../src/wire/hex.ts";
import { ByteReader } from "../../src/wire/reader.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { ByteWriter } from "../../src/wire/writer.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { octets } from "./support/vectors.ts";

describe("the one's complement sum", () => {
  test("is that of the example in RFC 1071 section 3", () => {
    expect(onesComplementSum(octets("0001f203f4f5f6f7"), 0, 8)).toBe(0xddf2);
  });

  test("takes an odd last octet for the high half of a word", () => {
    expect(onesComplementSum(octets("0001f2"), 0, 3)).toBe(0xf201);
  });

  test("may be continued", () => {
    fc.assert(
      fc.property(arbitrary.bytes(99), fc.nat(49), (bytes, half) => {
        const middle = Math.min(2 * half, bytes.length - (bytes.length % 2));
        const whole = onesComplementSum(bytes, 0, bytes.length);
        const first = onesComplementSum(bytes, 0, middle);
        expect(onesComplementSum(bytes, middle, bytes.length, first)).toBe(whole);
      }),
    );
  });

  test("folds as often as it must in the largest packet", () => {
    const bytes = new Uint8Array(65_576).fill(0xff);
    expect(onesComplementSum(bytes, 0, bytes.length)).toBe(0xffff);
  });
});

describe("the Shim6 checksum", () => {
  test("makes the header valid, and covers no more than it", () => {
    fc.assert(
      fc.property(arbitrary.bytes(64, 64), fc.integer({ min: 1, max: 8 }), (bytes, units) => {
        bytes[0] = 59;
        bytes.fill(0, 4, 6);
        const checksum = shim6Checksum(bytes, 8 * units);
        bytes.set([checksum >> 8, checksum & 0xff], 4);
        expect(isShim6ChecksumValid(bytes.fill(0, 8 * units), 8 * units)).toBe(true);
      }),
    );
  });

  test("of nothing but zeros is not valid", () => {
    expect(isShim6ChecksumValid(new Uint8Array(16), 16)).toBe(false);
  });
});

describe("a reader", () => {
  test("reads fields in network order", () => {
    const reader = new ByteReader(octets("01 0203 fffffffe ffff00000001 abcd ef"), 0, 15);
    expect(reader.u8()).toBe(1);
    expect(reader.u16()).toBe(0x0203);
    expect(reader.u32()).toBe(0xfffffffe);
    expect(reader.tag()).toBe(0x7fff00000001);
    expect(reader.offset).toBe(13);
    expect(toHex(reader.rest())).toBe("abcd");
    expect(reader.remaining).toBe(0);
  });

  test("stops loudly at its end, though the array goes on", () => {
    const bytes = new Uint8Array(40);
    expect(() => new ByteReader(bytes, 0, 1).u16()).toThrow(RangeError);
    expect(() => new ByteReader(bytes, 39).u16()).toThrow(RangeError);
    expect(() => new ByteReader(bytes, 3, 18).address()).toThrow(RangeError);
    expect(() => new ByteReader(bytes, 3, 18).skip(16)).toThrow(RangeError);
    expect(() => new ByteReader(bytes).bytes(-1)).toThrow(RangeError);
  });

  test("needs a range within the array", () => {
    const bytes = new Uint8Array(4);
    for (const [start, end] of [
      [-1, 4],
      [0, 5],
      [3, 2],
    ]) {
      expect(() => new ByteReader(bytes, start, end)).toThrow(RangeError);
    }
  });
});

describe("a writer", () => {
  test("writes fields in network order, and pads with zeros", () => {
    const writer = new ByteWriter(40);
    writer.u8(1).u16(0x0203).u32(0xfffffffe).tag(contextTag(0x7fff00000001));
    writer.bytes(octets("abcd")).align(8).align(8);
    expect(toHex(writer.finish())).toBe("010203fffffffe7fff00000001abcd00");
    expect(writer).toHaveLength(16);
  });

  test("refuses what does not fit", () => {
    const writer = new ByteWriter(3);
    expect(() => writer.u8(256)).toThrow(RangeError);
    expect(() => writer.u16(65536)).toThrow(RangeError);
    expect(() => writer.u32(2 ** 32)).toThrow(RangeError);
    expect(() => writer.u8(-1)).toThrow(RangeError);
    expect(() => writer.u8(0.5)).toThrow(RangeError);
    expect(() => writer.tag((2 ** 47) as never)).toThrow(RangeError);
    expect(() => writer.address("2001:db8::g" as Address)).toThrow(RangeError);
    expect(() => writer.zeros(4)).toThrow(RangeError);
  });
});

describe("hexadecimal digits", () => {
  test("read back as the octets that they name", () => {
    fc.assert(
      fc.property(arbitrary.bytes(40, 1), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
        expect(fromHex(`0x${toHex(bytes).toUpperCase()}`)).toEqual(bytes);
      }),
    );
  });

  test.each(["", " ", "0x", "a", "abc", "0g", "0x0x00"])("are not %j", (text) => {
    expect(fromHex(text)).toBeUndefined();
  });
});
