import { expect, test } from "vitest";
import {
  formatAge,
  formatBytes,
  formatFields,
  formatSpan,
  formatTable,
} from "../../src/cli/format.ts";

test.each([
  [0, "0 s"],
  [0.25, "0.3 s"],
  [9.96, "10 s"],
  [12.4, "12 s"],
  [119, "119 s"],
  [120, "2 min"],
  [7199, "119 min"],
  [7200, "2 h"],
  [172_800, "2 d"],
])("a span of %f seconds is %s", (seconds, text) => {
  expect(formatSpan(seconds)).toBe(text);
});

test("an age is counted from now, and a clock that steps back makes none negative", () => {
  const now = Date.parse("2026-01-01T00:00:12.000Z");
  expect(formatAge("2026-01-01T00:00:00.000Z", now)).toBe("12 s ago");
  expect(formatAge("2026-01-01T00:01:00.000Z", now)).toBe("0 s ago");
  expect(formatAge(null, now)).toBe("-");
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [1_234_567, "1.2 MB"],
  [2e15, "2000.0 TB"],
])("%d octets are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test("a table aligns its columns, numbers to the right, without trailing blanks", () => {
  const table = formatTable(
    ["NAME", "N", "LAST"],
    [
      ["a", 5, "x"],
      ["longer", 1234, ""],
    ],
  );
  expect(table.split("\n")).toEqual(["NAME       N  LAST", "a          5  x", "longer  1234"]);
});

test("fields align their values", () => {
  expect(
    formatFields([
      ["a", 1],
      ["long", "x"],
    ]),
  ).toBe("a     1\nlong  x");
});
