import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isInSource } from "../../scripts/protocol-tests.ts";

const PAGE = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");

/** Rows of the table of threats: where it is from, the attack, what stops it, the tests. */
const ROWS = section("## The threats, each tried")
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .slice(1)
  .map((line) => line.split("|").map((cell) => cell.trim()));

/** What RFC 5533 section 16 and RFC 5534 section 8 list. */
const SECTIONS = [
  ...["4218-4.1.1", "4218-4.1.2", "4218-4.1.3", "4218-4.1.4", "4218-4.2", "4218-4.3.1"],
  ...["4218-4.3.2", "4218-4.4", "5533-16", "5533-16.2", "5534-8"],
];

function section(heading: string): string {
  return PAGE.split(`${heading}\n`)[1]?.split("\n## ")[0] ?? "";
}

function testsIn(text: string): string[] {
  return [...text.matchAll(/`([\w/-]+ > [^`]+)`/g)].map(([, name = ""]) => name);
}

test("every test that docs/security.md names exists", () => {
  const names = testsIn(PAGE);
  expect(names.length).toBeGreaterThan(30);
  expect(names.filter((name) => !isInSource(name))).toEqual([]);
});

test("the table of threats has every section, and each row says what stops it and which test tries", () => {
  const sections = ROWS.flatMap(([, from = ""]) => from.split(", "));
  expect(SECTIONS.filter((wanted) => !sections.includes(wanted))).toEqual([]);
  const bare = ROWS.filter(([, , attack, stops, tests = ""]) => {
    return !attack || !stops || testsIn(tests).length === 0;
  });
  expect(bare).toEqual([]);
});
