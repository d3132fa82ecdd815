import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

interface Diagnostic {
  readonly category: string;
  readonly location: { readonly path: string };
}

/**
 * The paths of those `files` (path to source) in which our biome.json finds an import that the
 * rooms forbid, sorted.
 */
export function importsBiomeRefuses(root: string, files: ReadonlyMap<string, string>): string[] {
  const tree = mkdtempSync(join(tmpdir(), "l3shim-rooms-"));
  try {
    cpSync(join(root, "biome.json"), join(tree, "biome.json"));
    cpSync(join(root, ".gitignore"), join(tree, ".gitignore"));
    for (const [path, source] of files) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), source);
    }
    return lint(root, tree);
  } finally {
    rmSync(tree, { recursive: true });
  }
}

function lint(root: string, tree: string): string[] {
  const biome = join(root, "node_modules/.bin/biome");
  const rule = "style/noRestrictedImports";
  const args = ["lint", `--only=${rule}`, "--reporter=json", "--max-diagnostics=none", "src"];
  const { stdout, stderr } = spawnSync(biome, args, { cwd: tree, encoding: "utf8" });
  if (stdout === "") throw new Error(`biome gave no report: ${stderr}`);
  const { diagnostics } = JSON.parse(stdout) as { readonly diagnostics: readonly Diagnostic[] };
  return diagnostics
    .filter((diagnostic) => diagnostic.category === `lint/${rule}`)
    .map((diagnostic) => diagnostic.location.path)
    .sort();
}
