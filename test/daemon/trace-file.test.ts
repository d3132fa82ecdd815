import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TraceFile } from "../../src/daemon/trace-file.ts";

let directory: string;
let path: string;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "l3shim-trace-"));
  path = join(directory, "trace");
  warnings = [];
});

afterEach(() => rmSync(directory, { recursive: true }));

function open(limit = 1000): TraceFile {
  return new TraceFile(path, limit, (text) => warnings.push(text));
}

function content(name = path): string {
  return readFileSync(name, "utf8");
}

test("lines are in the file when it is closed, with the reason for its end", async () => {
  const trace = open();
  trace.write("one");
  trace.write("two");
  await trace.close();
  await trace.close();

  expect(content()).toBe('one\ntwo\n{"end":"stopped"}\n');
  expect(warnings).toEqual([]);
});

test("nobody but its owner may read it", async () => {
  await open().close();

  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("an older one is kept, whoever may read it, and a still older one is not", async () => {
  writeFileSync(path, "old", { mode: 0o644 });
  writeFileSync(`${path}.1`, "older");
  await open().close();

  expect(content(`${path}.1`)).toBe("old");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("it ends at its full size, at the end of a line, and says so once", async () => {
  const trace = open(10);
  for (const line of ["12345", "1234", "123"]) trace.write(line);
  await trace.close();

  expect(content()).toBe('12345\n{"end":"full"}\n');
  expect(warnings).toEqual([`the trace ${path} ends here: it has its full size`]);
});

test("it ends where the disk is too slow for it", async () => {
  const trace = open(1e9);
  for (let i = 0; i < 9; i++) trace.write("x".repeat(1024 * 1024));
  await trace.close();

  expect(content()).toMatch(/x\n\{"end":"slow"\}\n$/);
  expect(warnings).toEqual([`the trace ${path} ends here: the disk does not take it fast enough`]);
});

test("a file that cannot be made is an error with a remedy", () => {
  mkdirSync(path);
  writeFileSync(`${path}.1`, "");
  expect(open).toThrow(/cannot record to .*: ENOTDIR; name a file in a directory/);
});
