import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { removeLeftovers, removeNamespace } from "../../src/lab/leftovers.ts";
import { inNamespace, poll, run, tryRun } from "../../src/lab/shell.ts";

const L3SHIM = fileURLToPath(new URL("../../bin/l3shim", import.meta.url));

test("an interrupted lab removes its namespaces and files", async () => {
  const files = await mkdtemp(join(tmpdir(), "l3test-"));
  const env = { ...process.env, TMPDIR: files };
  const lab = spawn(process.execPath, [L3SHIM, "lab", "paper"], { env, stdio: "pipe" });
  let output = "";
  lab.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const flowing = () => output.includes("video from b to a") || undefined;
  expect(await poll(flowing, { timeout: 90_000 })).toBe(true);
  lab.kill("SIGTERM");
  expect(await once(lab, "close")).toEqual([143, null]);
  expect((await tryRun(["ip", "netns", "list"])).stdout).not.toContain(`l3lab-${lab.pid}-`);
  expect(await readdir(files)).toEqual([]);
  await rm(files, { recursive: true });
});

describe("what a crashed lab leaves behind", () => {
  const made: string[] = [];

  afterEach(async () => {
    for (const namespace of made.splice(0)) await removeNamespace(namespace);
  });

  async function namespaceOf(pid: number): Promise<string> {
    const namespace = `l3lab-${pid}-9-a`;
    await run(["ip", "netns", "add", namespace]);
    made.push(namespace);
    return namespace;
  }

  async function pidOfThePast(): Promise<number> {
    const child = spawn("true");
    await once(child, "close");
    return child.pid ?? 0;
  }

  test("is removed, with the processes inside", async () => {
    const namespace = await namespaceOf(await pidOfThePast());
    const [file = "", ...args] = inNamespace(namespace, ["sleep", "600"]);
    const inside = spawn(file, args);
    const ended = once(inside, "close");
    const pids = async () => (await tryRun(["ip", "netns", "pids", namespace])).stdout;
    await poll(async () => (await pids()).includes(`${inside.pid}`) || undefined, {
      timeout: 10_000,
    });
    // Others may have left something, too.
    const said = await run([process.execPath, L3SHIM, "lab", "clean"]);
    expect(said).toMatch(new RegExp(`^Removed (.+, )?${namespace}(, .+)?\\.\n$`));
    await ended;
    expect((await tryRun(["ip", "netns", "list"])).stdout).not.toContain(namespace);
  });

  test("is not what a living lab uses, nor what has another name", async () => {
    const namespace = await namespaceOf(process.pid);
    const other = `l3test-${process.pid}`;
    await run(["ip", "netns", "add", other]);
    made.push(other);
    const removed = await removeLeftovers(false);
    expect(removed).not.toContain(namespace);
    expect(removed).not.toContain(other);
  });
});
