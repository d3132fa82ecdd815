import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";

/** A generated part of docs/benchmarks.md. */
export interface Section {
  /** Marks it in the file. */
  readonly name: string;
  readonly heading: string;
  /** What makes it. */
  readonly command: string;
}

export const REPORT_FILE = "docs/benchmarks.md";

/** Puts the section in its place in the file, at the end when it has none yet. */
export async function writeSection(file: string, section: Section, body: string): Promise<void> {
  const text = existsSync(file) ? await readFile(file, "utf8") : "# Benchmarks\n";
  const start = `<!-- ${section.name}: made by \`${section.command}\` -->`;
  const end = `<!-- end of ${section.name} -->`;
  const [before = "", rest = ""] = text.split(start);
  const after = rest.split(end)[1] ?? "\n";
  const heading = text.includes(start) ? "" : `\n## ${section.heading}\n\n`;
  await writeFile(file, `${before}${heading}${start}\n\n${body}\n\n${end}${after}`);
}

/** The machine in a few words, for figures mean nothing without it. */
export function describeMachine(): string {
  const model = cpus()[0]?.model ?? "unknown CPU";
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} x ${model}, ${memory} GiB, Linux ${release()}, Node.js ${process.versions.node}`;
}
