import { describe, expect, test } from "vitest";
import { importsBiomeRefuses } from "./architecture/biome.ts";
import { parseModule, readModules } from "./architecture/modules.ts";
import { rulesOxlintReports } from "./architecture/oxlint.ts";
import { PURE_ROOMS, ROOMS, violations } from "./architecture/rooms.ts";

const ROOT = new URL("..", import.meta.url).pathname;

describe("the sources", () => {
  test("lie in rooms whose imports only go down, and the pure rooms are pure", () => {
    const modules = readModules(ROOT, "src");

    expect(modules.length).toBeGreaterThan(50);
    expect(modules.flatMap(({ imports }) => imports)).toContain("src/wire/address.ts");
    expect(violations(modules)).toEqual([]);
  });
});

test("the dashboard knows the control API and nothing else of the daemon", () => {
  const modules = readModules(ROOT, "web/src");

  expect(modules.flatMap(({ imports }) => imports)).toContain("src/daemon/api.ts");
  expect(violations(modules)).toEqual([]);
});

describe("the check of the rooms", () => {
  test.each([
    ["src/core/a.ts", 'import { b } from "../daemon/b.ts";', "core may not use daemon"],
    ["src/wire/a.ts", 'import type { B } from "../core/b.ts";', "wire may not use core"],
    ["src/sim/a.ts", 'export * from "../linux/b.ts";', "sim may not use linux"],
    ["src/cli/x/a.ts", 'const b = await import("../../linux/b.ts");', "cli may not use linux"],
    ["src/cli/a.ts", 'import { b } from "../daemon/driver.ts";', "cli may use only"],
    ["src/client/a.ts", 'import { b } from "../daemon/main.ts";', "client may use only"],
    ["src/client/a.ts", 'import { b } from "../cli/b.ts";', "client may not use cli"],
    ["src/daemon/a.ts", 'import koffi from "koffi";', "that is for linux"],
    ["src/identity/a.ts", 'import { createHash } from "node:crypto";', "identity is pure"],
    ["src/core/a.ts", 'import "koffi";', "core is pure"],
    ["web/src/a.tsx", 'import { b } from "../../src/core/b.ts";', "web may not use it"],
    ["src/attic/a.ts", 'import { b } from "../wire/b.ts";', "lies in no room"],
    ["src/core/a.ts", "const now = Date.now();", "core is pure"],
    ["src/core/a.ts", "const now = performance.now();", "core is pure"],
    ["src/core/a.ts", "const nonce = Math.random();", "core is pure"],
    ["src/identity/a.ts", "setTimeout(retry, 1000);", "identity is pure"],
    ["src/wire/a.ts", 'const bytes = Buffer.from("00", "hex");', "wire is pure"],
    ["src/wire/a.ts", "if (process.env.DEBUG) debugger;", "wire is pure"],
  ])("refuses in %s: %s", (path, source, reason) => {
    expect(violations([parseModule(path, source)])).toEqual([expect.stringContaining(reason)]);
  });

  test.each([
    ["src/daemon/a.ts", 'import { b } from "../core/b.ts"; setTimeout(b, Date.now());'],
    ["src/cli/a.ts", 'import type { B } from "../daemon/api.ts";'],
    ["src/cli/a.ts", 'import { b } from "../daemon/crypto/b.ts";'],
    ["src/linux/a.ts", 'import koffi from "koffi"; import { b } from "../wire/b.ts";'],
    ["src/core/a.ts", "// Date.now() and Buffer in a comment\nconst at: ArrayBuffer = b;"],
    ["src/core/x/a.ts", 'import { b } from "../b.ts"; import { c } from "../../wire/c.ts";'],
  ])("accepts in %s: %s", (path, source) => {
    expect(violations([parseModule(path, source)])).toEqual([]);
  });
});

test("biome.json refuses the same imports between rooms, and of packages", () => {
  const files = new Map<string, string>();
  for (const from of ROOMS) {
    for (const to of ROOMS.filter((room) => room !== from)) {
      files.set(`src/${from}/${to}.ts`, `export * from "../${to}/api.ts";\n`);
      files.set(`src/${from}/deep/${to}.ts`, `export * from "../../${to}/deep/x.ts";\n`);
    }
    files.set(`src/${from}/crypto.ts`, 'export * from "../daemon/crypto/x.ts";\n');
    files.set(`src/${from}/package.ts`, 'export * from "koffi";\n');
  }
  for (const room of PURE_ROOMS) files.set(`src/${room}/node.ts`, 'export * from "node:fs";\n');

  const refused = [...files]
    .filter(([path, source]) => violations([parseModule(path, source)]).length > 0)
    .map(([path]) => path)
    .sort();

  expect(importsBiomeRefuses(ROOT, files)).toEqual(refused);
});

test("oxlint knows types: it refuses lost promises, forgotten cases and pointless awaits", () => {
  const planted = `
    async function work(): Promise<number> {
      return 1;
    }
    export async function planted(kind: "a" | "b"): Promise<void> {
      work();
      [1].map(Math.abs).forEach(async () => {
        await work();
      });
      switch (kind) {
        case "a":
          await 5;
      }
    }
  `;

  expect(rulesOxlintReports(ROOT, planted)).toEqual([
    "typescript(await-thenable)",
    "typescript(no-floating-promises)",
    "typescript(no-misused-promises)",
    "typescript(switch-exhaustiveness-check)",
  ]);
});
