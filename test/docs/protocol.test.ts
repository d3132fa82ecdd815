import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type KeywordCount, protocolPage, rowsOf } from "../../scripts/protocol-page.ts";
import { isInSource, namedTests, outcome } from "../../scripts/protocol-tests.ts";
import { EXTENSIONS } from "../protocol/extensions.ts";
import { SECTIONS } from "../protocol/requirements.ts";

const COUNTS = JSON.parse(
  readFileSync(new URL("../protocol/keyword-counts.json", import.meta.url), "utf8"),
) as KeywordCount[];

test("docs/protocol.md shows the rows of test/protocol; if not, run `npm run protocol`", () => {
  const page = new URL("../../docs/protocol.md", import.meta.url);
  expect(readFileSync(page, "utf8")).toBe(protocolPage(SECTIONS, EXTENSIONS, COUNTS));
});

test("every test that a row names exists", () => {
  expect(namedTests([...SECTIONS, ...EXTENSIONS]).filter((name) => !isInSource(name))).toEqual([]);
});

test("every row that says done names a test, and every other says why it isn't", () => {
  const rows = [...SECTIONS, ...EXTENSIONS].flatMap(({ requirements }) => requirements);
  const bare = rows.filter(({ status, note, tests }) =>
    status === "done" ? tests.length === 0 : !note,
  );
  expect(bare).toEqual([]);
});

test("every section with a word of RFC 2119 has a row", () => {
  const bare = COUNTS.filter(
    ({ rfc, section, MUST, SHOULD, MAY }) =>
      MUST + SHOULD + MAY > 0 && rowsOf(SECTIONS, rfc, section) === 0,
  );
  expect(bare).toEqual([]);
});

test("a test counts as passed only when all its cases have passed", () => {
  const cases = (second: string) => ({
    testResults: [
      {
        name: "/x/test/core/icmp.test.ts",
        assertionResults: [
          { title: "type 1 code 0 starts none", ancestorTitles: [], status: "passed" },
          { title: "type 1 code 4 starts none", ancestorTitles: [], status: second },
        ],
      },
    ],
  });
  const name = "core/icmp > type %i code %i starts none";
  expect(outcome(name, cases("passed"))).toBe("passed");
  expect(outcome(name, cases("failed"))).toBe("failed");
  expect(outcome("core/icmp > another", cases("passed"))).toBe("not run");
});
