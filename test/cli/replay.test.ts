import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hmac } from "../core/support/random.ts";
import { recordScenario } from "../sim/replay/support.ts";
import { l3shim } from "./capture.ts";

let directory: string;
let trace: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "l3shim-replay-"));
  const [lines = []] = recordScenario("paper", { keyedHash: hmac });
  trace = `${lines.join("\n")}\n`;
});

afterAll(() => rmSync(directory, { recursive: true }));

function file(content: string): string {
  const path = join(directory, "trace");
  writeFileSync(path, content);
  return path;
}

describe("replay FILE", () => {
  test("prints what happened, and that it went the same way", async () => {
    const { status, stdout } = await l3shim("replay", file(trace));

    expect(status).toBe(0);
    expect(mask(stdout)).toMatchSnapshot();
  });

  test("gives a program events and outages", async () => {
    const { stdout } = await l3shim("replay", file(`${trace}{"end":"stopped"}\n`), "--json");
    const reply = JSON.parse(stdout) as Record<string, unknown>;

    expect(reply).toMatchObject({ schemaVersion: 1, release: "0.1.0", same: true, end: "stopped" });
    expect(reply["outages"]).toEqual([
      {
        ...{ context: expect.stringMatching(/^[0-9a-f]{12}$/), cause: "send-timeout" },
        ...{ ulids: expect.anything(), from: expect.anything(), to: expect.anything() },
        recovered: expect.stringMatching(/^1970-01-01T00:17:2/),
        ...{ detection: expect.closeTo(10, -1), exploration: expect.any(Number) },
      },
    ]);
  });

  test("says what another Send Timeout would have done, and how it knows", async () => {
    const { status, stdout } = await l3shim("replay", file(trace), "--set", "send-timeout=3s");

    expect(status).toBe(0);
    const shown = stdout.slice(stdout.indexOf("again\n") + 6);
    expect(mask(shown)).toMatchSnapshot();
  });

  test("gives a program what another Send Timeout would have done", async () => {
    const args = ["--set", "send-timeout=3", "--set", "detect=rfc", "--json"];
    const { stdout } = await l3shim("replay", file(trace), ...args);
    const { outages } = JSON.parse(stdout) as { outages: Record<string, { median: number }>[] };

    expect(outages[0]?.["asRecorded"]?.median).toBeCloseTo(10.5, 0);
    expect(outages[0]?.["changed"]?.median).toBeCloseTo(3.5, 0);
  });

  test.each([
    "send-timeout=0",
    "send-timeout=101s",
    "send-timeout",
    "detect=x",
    "x=1",
    "detect=rfc=x",
  ])("refuses the setting %s", async (setting) => {
    const { status, stderr } = await l3shim("replay", file(trace), "--set", setting);

    expect(status).toBe(2);
    expect(stderr).toMatch(/It must be|The Send Timeout must be|Detection is/);
  });

  test("says where no outage depends on it", async () => {
    const [lines = []] = recordScenario("cable", { keyedHash: hmac });
    const path = file(`${lines.join("\n")}\n`);
    const { stdout } = await l3shim("replay", path, "--set", "send-timeout=3s");

    expect(stdout).toContain("\nno outage of this trace depends on send-timeout=3s\n");
  });

  test("passes over a last line that was being written", async () => {
    const { status, stdout } = await l3shim("replay", file(trace.slice(0, -20)));

    expect(status).toBe(0);
    expect(stdout).toContain("it ends without a word");
  });

  test("shows the first difference", async () => {
    const path = file(trace.replaceAll('"cause":"send-timeout"', '"cause":"icmp-error"'));
    const { status, stdout, stderr } = await l3shim("replay", path);

    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(
      /trace:\d+: goes another way than recorded\nthen .*"icmp-error".*\nnow {2}.*"send-timeout".*\nThe trace is of l3shim 0\.1\.0/,
    );
  });

  test.each([
    ["", "trace:0: there is nothing in it"],
    ["hello\n", "trace:1: this is no JSON object, as each line of a trace is"],
  ])("says what is wrong with a file of %j", async (content, message) => {
    const { status, stderr } = await l3shim("replay", file(content));

    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });

  test("says which file it cannot read", async () => {
    const { status, stderr } = await l3shim("replay", "/nonexistent/trace");

    expect(status).toBe(1);
    expect(stderr).toContain("cannot read /nonexistent/trace: ENOENT");
  });
});

/** Local time differs from machine to machine; how often traffic is read is not of interest. */
function mask(text: string): string {
  return text
    .replace(/^\d\d:\d\d:/gm, "HH:MM:")
    .replace(/\d\d\.\d{3}(?= {2}closed)/, "SS.mmm")
    .replace(/\d+ calls gave the same \d+/, "N calls gave the same N");
}
