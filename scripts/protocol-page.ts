import type { Extension, Requirement, Section, Status } from "../test/protocol/row.ts";

/** How often a section of an RFC has each word; "must" is the small one. */
export interface KeywordCount {
  readonly rfc: number;
  readonly section: string;
  readonly MUST: number;
  readonly SHOULD: number;
  readonly MAY: number;
  readonly must: number;
}

const STATUSES: readonly Status[] = ["done", "not applicable"];

/** Written by hand: the traces stand beside the tests that they became. */
const SEARCH_LINES: readonly string[] = [
  "## What the model search has found",
  "",
  "[The search](model-search.md) goes through what two hosts and a network may do. The shortest",
  "trace of each bug that it has found, all in updates (RFC 5533 section 10), all mended:",
  "",
  "- A late copy of an Update Request took newer preferences back: move A, move A, duplicate",
  "  UpdateRequest a1>b1.",
  "- An acknowledgement from before a crash ended an update that the peer's new context knew",
  "  nothing of: move A, deliver UpdateRequest a2>b2, crash B, deliver Probe/exploring a1>b1,",
  "  deliver R1bis b1>a1.",
  "- A locator that changed in I2BIS-SENT was never told: crash A, timer B, deliver Keepalive",
  "  b2>a2, deliver R1bis a2>b2, move B.",
  "",
];

/** The whole of docs/protocol.md. */
export function protocolPage(
  sections: readonly Section[],
  extensions: readonly Extension[],
  counts: readonly KeywordCount[],
): string {
  const rows = sections.flatMap(({ requirements }) => requirements);
  const lines = [
    "# What of the standards is done",
    "",
    "Every requirement that RFC 5533 sections 4 to 13 and RFC 5534 sections 4 to 7 have for a",
    "host, in our own words, and the test that shows it. `npm run protocol` makes this page from",
    "the rows in `test/protocol/` after it has run the tests that they name; it fails when a row",
    "that says done has no passing test. Tests of `netns` need root: `npm run test:netns` runs",
    'them. "must" in small letters is where the text requires something without a capital word.',
    "What goes beyond the RFCs follows them, and is not in the count.",
    "",
    "| | rows |",
    "|---|---|",
    ...STATUSES.map((status) => `| ${status} | ${countOf(rows, status)} |`),
    `| all | ${rows.length} |`,
    "",
    ...SEARCH_LINES,
    ...sections.flatMap(sectionLines),
    ...extensions.flatMap(extensionLines),
    ...countLines(sections, counts),
  ];
  return `${lines.join("\n")}\n`;
}

function countOf(rows: readonly Requirement[], status: Status): number {
  return rows.filter((row) => row.status === status).length;
}

function sectionLines(section: Section): string[] {
  const { rfc, number, title, requirements } = section;
  return [
    `## RFC ${rfc} section ${number}: ${title}`,
    "",
    ...tableLines(`${rfc}-${number}`, requirements),
  ];
}

function extensionLines({ id, title, page, requirements }: Extension): string[] {
  return [
    `## Beyond the RFCs: ${title}`,
    "",
    `Our own ([${page}](${page})).`,
    "",
    ...tableLines(id, requirements),
  ];
}

function tableLines(id: string, requirements: readonly Requirement[]): string[] {
  return [
    "| | Level | What | Status | Shown by |",
    "|---|---|---|---|---|",
    ...requirements.map((row, i) => rowLine(`${id}-${i + 1}`, row)),
    "",
  ];
}

function rowLine(id: string, { level, summary, status, note, tests }: Requirement): string {
  const statusText = note === undefined ? status : `${status}: ${note}`;
  const shownBy = tests.map((test) => `\`${test}\``).join("<br>");
  const cells = [id, level, summary, statusText, shownBy].map((cell) =>
    cell.replaceAll("|", "\\|"),
  );
  return `| ${cells.join(" | ")} |`;
}

/** Words beside rows, so that a gap shows. */
function countLines(sections: readonly Section[], counts: readonly KeywordCount[]): string[] {
  return [
    "## Words and rows",
    "",
    "How often each section has the words (MUST NOT, REQUIRED and SHALL count as MUST; SHOULD",
    "NOT and RECOMMENDED as SHOULD; OPTIONAL as MAY), beside the rows above. A sentence may have",
    "several words and one row, a small word often requires nothing, and a row may stand for a",
    "requirement without any. `npm run protocol:count -- DIRECTORY` counts them in the texts",
    "`rfc5533.txt` and `rfc5534.txt` of that directory.",
    "",
    "| Section | MUST | SHOULD | MAY | must | rows |",
    "|---|---|---|---|---|---|",
    ...counts.map(({ rfc, section, MUST, SHOULD, MAY, must }) => {
      const rows = rowsOf(sections, rfc, section);
      return `| ${rfc} ${section} | ${MUST} | ${SHOULD} | ${MAY} | ${must} | ${rows} |`;
    }),
  ];
}

/** How many rows a section of an RFC has. */
export function rowsOf(sections: readonly Section[], rfc: number, number: string): number {
  return sections
    .filter((section) => section.rfc === rfc && section.number === number)
    .reduce((sum, { requirements }) => sum + requirements.length, 0);
}
