import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { stateMachinesPage } from "../../scripts/state-machines.ts";

const PAGE = new URL("../../docs/state-machines.md", import.meta.url);

test("docs/state-machines.md shows the tables of src/core; if not, run `npm run diagrams`", () => {
  expect(readFileSync(PAGE, "utf8")).toBe(stateMachinesPage());
});
