import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const ROOT = new URL("../..", import.meta.url).pathname;

const PAGES = [
  ...readdirSync(ROOT).filter((file) => file.endsWith(".md")),
  ...readdirSync(join(ROOT, "docs")).map((file) => join("docs", file)),
].filter((file) => file.endsWith(".md"));

/** `[text](target)` and the files that a page names in `code`, such as `src/core/reap.ts`. */
const LINK = /\]\((?!https?:|#)([^)#]+)/g;
const NAMED_FILE = /`((?:src|test|scripts|docs|packaging|bin)\/[\w./-]*\w\.?\w*)`/g;

test.each(PAGES)("what %s names is there", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8");
  const linked = [...text.matchAll(LINK)].map(([, to = ""]) => join(ROOT, dirname(page), to));
  const named = [...text.matchAll(NAMED_FILE)].map(([, to = ""]) => join(ROOT, to));

  expect([...linked, ...named].filter((file) => !existsSync(file))).toEqual([]);
});
