import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { Module } from "./rooms.ts";

/** Every TypeScript file below `folder` of the project at `root`, with what it imports. */
export function readModules(root: string, folder: string): Module[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) =>
      parseModule(posix.join(folder, file), readFileSync(join(root, folder, file), "utf8")),
    );
}

/** `source` as the file at `path`, such as "src/core/endpoint.ts". */
export function parseModule(path: string, source: string): Module {
  const code = withoutComments(source);
  const imports = [...code.matchAll(IMPORT)].map(([, specifier = ""]) =>
    specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier,
  );
  return { path, imports, code };
}

/** `from "x"`, `import "x"` and `import("x")`, but not `Array.from("x")`; quotes are " only. */
const IMPORT = /(?:(?<!\.)\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g;

/** Strings are matched too, so that a "//" in one begins no comment. */
const STRING_OR_COMMENT =
  /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

function withoutComments(source: string): string {
  return source.replace(STRING_OR_COMMENT, (_match, text: string | undefined) => text ?? " ");
}
