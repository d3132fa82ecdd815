import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contextTag, formatTag, parseTag } from "../../src/wire/tag.ts";
import * as arbitrary from "./support/arbitraries.ts";

describe("context tags", () => {
  test("are shown as 12 hexadecimal digits and read back", () => {
    fc.assert(
      fc.property(arbitrary.tag, (tag) => {
        expect(formatTag(tag)).toMatch(/^[0-9a-f]{12}$/);
        expect(parseTag(formatTag(tag))).toBe(tag);
      }),
    );
  });

  test("have 47 bits", () => {
    expect(contextTag(2 ** 47 - 1)).toBe(0x7fffffffffff);
    expect(parseTag("7fffffffffff")).toBe(0x7fffffffffff);
    for (const value of [2 ** 47, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => contextTag(value)).toThrow(RangeError);
    }
  });

  test.each(["", "800000000000", "0123456789abc", "0x12", "12 ", "g", "-1"])(
    "are not named by %j",
    (text) => {
      expect(parseTag(text)).toBeUndefined();
    },
  );

  test("may be given without leading zeros and in either case", () => {
    expect(parseTag("aBc")).toBe(0xabc);
  });
});
