import { existsSync, readFileSync } from "node:fs";
import type { Section } from "../test/protocol/row.ts";

/** What vitest's JSON reporter says, as far as we need it. */
export interface TestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly ancestorTitles: readonly string[];
      readonly status: string;
    }[];
  }[];
}

/** Placeholders of test.each and of template literals. */
const PLACEHOLDERS = /%[sdifjo]|\\\$\\\{[^}]*\\\}|\\\$\w+/g;

/** The file that a row's test is in; suites that several files share have no ".test". */
export function testFile(test: string): string {
  const [file = ""] = test.split(" > ");
  const [own, shared] = [`test/${file}.test.ts`, `test/${file}.ts`];
  return existsSync(own) ? own : shared;
}

/** All tests that rows name, once each. */
export function namedTests(sections: readonly Pick<Section, "requirements">[]): string[] {
  const names = sections.flatMap(({ requirements }) => requirements.flatMap(({ tests }) => tests));
  return [...new Set(names)];
}

/** Whether the titles stand in the test's source; without running anything. */
export function isInSource(test: string): boolean {
  const file = testFile(test);
  if (!existsSync(file)) return false;
  const source = readFileSync(file, "utf8");
  const titles = test.split(" > ").slice(1);
  return (
    titles.length > 0 &&
    titles.every(
      (title) => source.includes(JSON.stringify(title)) || source.includes(`\`${title}\``),
    )
  );
}

/** "passed", "failed" or "not run": all cases of a test must have passed. */
export function outcome(test: string, report: TestReport): "passed" | "failed" | "not run" {
  const file = testFile(test);
  // What files share runs within another one of the same room.
  const room = file.endsWith(".test.ts") ? file : file.slice(0, file.lastIndexOf("/") + 1);
  const titles = test.split(" > ").slice(1);
  const title = pattern(titles.at(-1) ?? "");
  const cases = report.testResults
    .filter(({ name }) => name.includes(`/${room}`))
    .flatMap(({ assertionResults }) => assertionResults)
    .filter((result) => title.test(result.title) && isWithin(result.ancestorTitles, titles));
  if (cases.length === 0) return "not run";
  return cases.every(({ status }) => status === "passed") ? "passed" : "failed";
}

function isWithin(ancestors: readonly string[], titles: readonly string[]): boolean {
  return titles.slice(0, -1).every((title) => ancestors.some((name) => pattern(title).test(name)));
}

function pattern(title: string): RegExp {
  const literal = title.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll(PLACEHOLDERS, ".+")}$`);
}
