import { existsSync } from "node:fs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { commandEntries } from "../../src/cli/completion/entries.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { Workshop } from "../daemon/fixture.ts";
import { l3shim, type Run } from "./capture.ts";
import { COMMAND_SAMPLES, type CommandSample, SAMPLED_ELSEWHERE } from "./commands.ts";
import { run } from "./virtual.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(async () => {
  vi.useRealTimers();
  await workshop.close();
});

/** In a world that is a minute old. */
async function runSample(
  { name, rest, daemon }: CommandSample,
  ...options: string[]
): Promise<Run> {
  const world = await workshop.establish();
  world.a.clock.advance(60_000);
  vi.useFakeTimers({ toFake: ["Date"], now: world.a.clock.wall() });
  const args = [...name.split(" "), ...rest(world), ...options];
  if (daemon === "takes time") return run(world.a, ...args);
  return l3shim(...args, ...(daemon === "none" ? [] : ["--socket", world.a.socket]));
}

/** What differs from run to run. */
function mask(text: string): string {
  return text
    .replace(`pid ${process.pid}`, "pid PID")
    .replace(/\b[0-9a-f]{12}\b/g, "TAG_12DIGITS")
    .replace(/in [\d.]+ s/g, "in N s")
    .replace(
      /^[\d.]+ s of real time, \d+ s of processor time(.*) \d+ MiB$/m,
      "REAL, PROCESSOR$1 MEMORY",
    )
    .replace(/ +$/gm, "");
}

test.each(COMMAND_SAMPLES)("$name says in words", async (sample) => {
  const { status, stdout, stderr } = await runSample(sample);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(mask(stdout)).toMatchSnapshot();
});

test.each(COMMAND_SAMPLES)("$name --json is one object with its version", async (sample) => {
  const { status, stdout } = await runSample(sample, "--json");
  expect(status).toBe(0);
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 1 });
});

test("every command has a sample, here or in a test of its own", async () => {
  const leaves = commandEntries(await buildProgram())
    .filter(({ subcommands }) => subcommands.length === 0)
    .map(({ path }) => path.slice(1).join(" "));
  const sampled = [...COMMAND_SAMPLES.map(({ name }) => name), ...Object.keys(SAMPLED_ELSEWHERE)];
  expect(sampled.toSorted()).toEqual(leaves.toSorted());
  const missing = Object.values(SAMPLED_ELSEWHERE).filter((file) => !existsSync(file));
  expect(missing).toEqual([]);
});
