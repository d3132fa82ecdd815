import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXTENSIONS } from "../test/protocol/extensions.ts";
import { SECTIONS } from "../test/protocol/requirements.ts";
import { type KeywordCount, protocolPage } from "./protocol-page.ts";
import { isInSource, namedTests, outcome, type TestReport, testFile } from "./protocol-tests.ts";

/*
 * `npm run protocol` runs this in the root of the project. Arguments are JSON reports of vitest
 * (`--reporter=json --outputFile=FILE`) to read instead of running the unit tests; with one of
 * the namespace tests those are checked too.
 */

const ROWS = [...SECTIONS, ...EXTENSIONS];

function runUnitTests(): TestReport {
  const directory = mkdtempSync(join(tmpdir(), "l3shim-protocol-"));
  try {
    const file = join(directory, "report.json");
    const files = new Set(namedTests(ROWS).map(testFile));
    const unit = [...files].filter((name) => !isNamespaceTest(name));
    const flags = ["--project", "unit", "--reporter=json", `--outputFile=${file}`];
    spawnSync("npx", ["vitest", "run", ...flags, ...unit], { stdio: "inherit" });
    return readReport(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function readReport(file: string): TestReport {
  return JSON.parse(readFileSync(file, "utf8")) as TestReport;
}

function isNamespaceTest(file: string): boolean {
  return file.includes("netns/");
}

/** What keeps a row from being done. */
function problems(report: TestReport): string[] {
  const withNamespaces = report.testResults.some(({ name }) => isNamespaceTest(name));
  return namedTests(ROWS).flatMap((test) => {
    if (!isInSource(test)) return [`there is no test "${test}"`];
    if (isNamespaceTest(test) && !withNamespaces) return [];
    const result = outcome(test, report);
    return result === "passed" ? [] : [`${result}: "${test}"`];
  });
}

const files = process.argv.slice(2);
const reports = files.length === 0 ? [runUnitTests()] : files.map(readReport);
const found = problems({ testResults: reports.flatMap(({ testResults }) => testResults) });
if (found.length > 0) {
  console.error(`docs/protocol.md is left as it was, because of its rows' tests:`);
  for (const problem of found) console.error(`  ${problem}`);
  process.exitCode = 1;
} else {
  const text = readFileSync("test/protocol/keyword-counts.json", "utf8");
  const counts = JSON.parse(text) as KeywordCount[];
  writeFileSync("docs/protocol.md", protocolPage(SECTIONS, EXTENSIONS, counts));
  console.log("docs/protocol.md: every row that says done has a test that passes.");
}
