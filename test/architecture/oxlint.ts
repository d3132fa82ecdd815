import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Report {
  readonly diagnostics: readonly { readonly code: string }[];
}

/** The rules of our .oxlintrc.json that `source` breaks, sorted, each once. */
export function rulesOxlintReports(root: string, source: string): string[] {
  const tree = mkdtempSync(join(tmpdir(), "l3shim-types-"));
  try {
    cpSync(join(root, ".oxlintrc.json"), join(tree, ".oxlintrc.json"));
    const config = { extends: join(root, "tsconfig.json"), compilerOptions: { types: [] } };
    writeFileSync(join(tree, "tsconfig.json"), JSON.stringify({ ...config, include: ["."] }));
    writeFileSync(join(tree, "planted.ts"), source);
    return lint(root, tree);
  } finally {
    rmSync(tree, { recursive: true });
  }
}

function lint(root: string, tree: string): string[] {
  const oxlint = join(root, "node_modules/.bin/oxlint");
  const args = ["--type-aware", "--format=json"];
  const { stdout, stderr } = spawnSync(oxlint, args, { cwd: tree, encoding: "utf8" });
  if (stdout === "") throw new Error(`oxlint gave no report: ${stderr}`);
  const { diagnostics } = JSON.parse(stdout) as Report;
  return [...new Set(diagnostics.map(({ code }) => code))].sort();
}
