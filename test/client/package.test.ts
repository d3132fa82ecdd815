import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { A1, A2, B1, B2, networkOf, Workshop } from "../daemon/fixture.ts";

/** The examples and the docs' code, compiled and run by somebody who has installed the package. */

const ROOT = new URL("../..", import.meta.url).pathname;
const run = promisify(execFile);

let project: string;
let workshop: Workshop;

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "l3shim-package-"));
  mkdirSync(join(project, "node_modules"));
  symlinkSync(ROOT, join(project, "node_modules/l3shim"));
  symlinkSync(join(ROOT, "node_modules/@types"), join(project, "node_modules/@types"));
  cpSync(join(ROOT, "examples"), join(project, "examples"), { recursive: true });
  for (const [i, code] of codeOf("docs/library.md").entries()) {
    writeFileSync(join(project, `docs-${i}.ts`), `${code}\nexport {};\n`);
  }
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  const compilerOptions = {
    ...{ target: "ES2023", module: "NodeNext", types: ["node"], outDir: "out" },
    ...{ strict: true, exactOptionalPropertyTypes: true, rootDir: "." },
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  await compile();
}, 60_000);

afterAll(() => rmSync(project, { recursive: true }));

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

/** @throws what the compiler says */
async function compile(): Promise<void> {
  try {
    await run(join(ROOT, "node_modules/.bin/tsc"), ["-p", project]);
  } catch (error) {
    throw new Error((error as { readonly stdout: string }).stdout, { cause: error });
  }
}

/** The TypeScript in a page. */
function codeOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = ""]) => code);
}

function example(name: string): string {
  return join(project, `out/examples/${name}.js`);
}

test("watch-failovers tells where a session went on, and ends when it is interrupted", async () => {
  const { a } = await workshop.establish();
  const child = spawn(process.execPath, [example("watch-failovers"), a.socket]);
  const output = outputOf(child);
  await expect.poll(output, { timeout: 30_000 }).toBe("watching\n");
  const network = networkOf(A1, A2);
  a.monitor.change({ ...network, addresses: network.addresses.slice(1) });
  a.clock.advance(5000);
  await expect
    .poll(output)
    .toMatch(
      new RegExp(`${A1} > ${B1} stood still for \\d+\\.\\d s, goes on over ${A2} > ${B2}\n`),
    );
  child.kill("SIGINT");
  const status = await new Promise((resolve) => child.once("exit", resolve));
  expect(status).toBe(0);
});

test("move-session pins a peer's sessions to an uplink", async () => {
  const { a, tag } = await workshop.establish();
  const { stdout } = await run(process.execPath, [example("move-session"), B1, "up1", a.socket]);
  expect(stdout).toBe(`context ${tag} goes to ${A2} > ${B1}\n`);
  expect([...a.daemon.contexts()][0]).toMatchObject({
    pin: "until-failure",
    preferred: { localLocator: A2, peerLocator: B1 },
  });
  const refused = run(process.execPath, [example("move-session"), B1, "up2", a.socket]);
  await expect(refused).rejects.toMatchObject({
    code: 1,
    stderr: "no locator of this host works on up2\n",
  });
});

test("detection shows that adaptive detection does not wait for the Send Timeout", async () => {
  const { stdout } = await run(process.execPath, [example("detection")]);
  const [, head = "", ...rows] = stdout.trimEnd().split("\n");
  expect(head).toMatch(/^Send Timeout +0 % loss +2 % loss +10 % loss$/);
  expect(rows).toHaveLength(3);
  for (const row of rows) {
    const timeout = Number.parseInt(row, 10);
    const cells = [...row.matchAll(/([\d.]+) \/ (<1|[\d.]+)/g)];
    expect(cells).toHaveLength(3);
    for (const [, rfc, adaptive = ""] of cells) {
      expect(Number(rfc)).toBeGreaterThan(timeout);
      expect(adaptive === "<1" || Number(adaptive) < timeout).toBe(true);
    }
  }
});

function outputOf({ stdout }: ChildProcess): () => string {
  let text = "";
  stdout?.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  return () => text;
}
