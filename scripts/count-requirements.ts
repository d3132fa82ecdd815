import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KeywordCount } from "./protocol-page.ts";

/*
 * `npm run protocol:count -- DIRECTORY` runs this in the root of the project. The directory has
 * the texts of the RFCs as rfc5533.txt and rfc5534.txt.
 */

const TEXTS = [
  { rfc: 5533, first: 4, last: 13 },
  { rfc: 5534, first: 4, last: 7 },
];

/** Sections of the body; the table of contents has dots behind its titles. */
const HEADING = /^(\d+(?:\.\d+)*)\.\s+(?!.*\.\s?\.\s?\.)\S/;
/** The lines at the top and bottom of a page, whose words are no text. */
const PAGE_LINE = /^(RFC \d+ |\S+.*\[Page \d+\]$)/;

function count(text: string, words: RegExp): number {
  return [...text.matchAll(words)].length;
}

function countSections(rfc: number, text: string): KeywordCount[] {
  const sections = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (PAGE_LINE.test(line)) continue;
    const number = HEADING.exec(line)?.[1];
    if (number === undefined) {
      current.push(line);
      continue;
    }
    current = sections.get(number) ?? [];
    sections.set(number, current);
  }
  return [...sections].map(([section, lines]) => {
    const body = lines.join("\n");
    return {
      rfc,
      section,
      MUST: count(body, /\b(MUST|REQUIRED|SHALL)\b/g),
      SHOULD: count(body, /\b(SHOULD|RECOMMENDED)\b/g),
      MAY: count(body, /\b(MAY|OPTIONAL)\b/g),
      must: count(body, /\bmust\b/g),
    };
  });
}

const directory = process.argv[2];
if (directory === undefined) {
  console.error("Which directory has rfc5533.txt and rfc5534.txt? Give it as the argument.");
  process.exitCode = 2;
} else {
  const counts = TEXTS.flatMap(({ rfc, first, last }) =>
    countSections(rfc, readFileSync(join(directory, `rfc${rfc}.txt`), "utf8")).filter(
      ({ section, MUST, SHOULD, MAY, must }) => {
        const chapter = Number.parseInt(section, 10);
        return chapter >= first && chapter <= last && MUST + SHOULD + MAY + must > 0;
      },
    ),
  );
  const rows = counts.map((row) => `  ${JSON.stringify(row)}`);
  writeFileSync("test/protocol/keyword-counts.json", `[\n${rows.join(",\n")}\n]\n`);
}
