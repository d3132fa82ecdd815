import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Redaction, withoutComments } from "../../src/cli/report/redaction.ts";
import { A1, A2, B1, B2, type TestDaemon, Workshop } from "../daemon/fixture.ts";
import { l3shim } from "./capture.ts";

describe("the redaction", () => {
  const redacted = (text: string, keeps = false) => new Redaction(keeps).text(text);

  test("gives the same address the same pseudonym, and keeps networks together", () => {
    const redaction = new Redaction(false);
    const first = redaction.text("2a01:4f8:1:7::5 2a01:4f8:1:7::6 2a01:4f8:1:8::5 2600:1::1");
    expect(first).toBe("2001:db8:1:1::1 2001:db8:1:1::2 2001:db8:1:2::3 2001:db8:2::4");
    expect(redaction.text("2A01:4F8:1:7::6")).toBe("2001:db8:1:1::2");
    expect(redaction.counts).toEqual({ addresses: 4, tags: 0 });
  });

  test.each([
    [
      "prefixes stay prefixes",
      "2a01:4f8:1:7::/64 2a01:4f8:1::/48",
      "2001:db8:1:1::/64 2001:db8:1::/48",
    ],
    ["link-local ones stay so", "fe80::a8bb:ccff:fedd:eeff%eth0", "fe80::1%eth0"],
    ["unique local ones stay so", "fd12:3456:789a:1::1", "fd00:db8:1:1::1"],
    ["everybody's stay", ":: ::1 ff02::1 ::/0", ":: ::1 ff02::1 ::/0"],
    [
      "in sentences",
      "2a01::1: no route; [2a01::1]:443, (2a01::1)",
      "2001:db8:1::1: no route; [2001:db8:1::1]:443, (2001:db8:1::1)",
    ],
    ["times are none", "2026-11-26T07:12:19.123Z 07:12:19", "2026-11-26T07:12:19.123Z 07:12:19"],
    ["link-layer addresses", "ether 52:54:00:12:34:56", "ether mac-1"],
    [
      "IPv4 addresses",
      "192.0.2.7/24, 192.0.2.8. From 192.0.2.7:443",
      "ipv4-1/24, ipv4-2. From ipv4-1:443",
    ],
    [
      "mapped and translated ones",
      "::ffff:192.0.2.7 64:ff9b::192.0.2.7 ::ffff:0.0.0.0/96",
      "::ffff:ipv4-1 64:ff9b::ipv4-1 ::ffff:0.0.0.0/96",
    ],
    [
      "what looks like IPv4",
      "127.0.0.1 0.0.0.0 1.2.3.4.5 300.1.1.1 6.1.0-18",
      "127.0.0.1 0.0.0.0 1.2.3.4.5 300.1.1.1 6.1.0-18",
    ],
    ["tags", "4f1c62a09b3d and 4f1c62a09b3d, 000000000001", "tag-1 and tag-1, tag-2"],
  ])("%s", (_name, text, expected) => {
    expect(redacted(text)).toBe(expected);
  });

  test("keeps addresses where that is wanted, tags never", () => {
    expect(redacted("2a01::1 192.0.2.7 4f1c62a09b3d", true)).toBe("2a01::1 192.0.2.7 tag-1");
  });

  test("goes through all of a value, and leaves figures alone", () => {
    const value = { a: ["2a01::1", { b: "4f1c62a09b3d" }], n: 123456789012, none: null };
    expect(new Redaction(false).apply(value)).toEqual({
      a: ["2001:db8:1::1", { b: "tag-1" }],
      n: 123456789012,
      none: null,
    });
  });
});

test("comments go, strings with a # and the numbers of lines stay", () => {
  const toml = `# Jane's\na = "x # \\" y" # at home\nb = ['#1'] # it's\nc = """\n# text"""\n#\nd = 1\n`;
  expect(withoutComments(toml)).toBe(
    `\na = "x # \\" y"\nb = ['#1']\nc = """\n# text"""\n\nd = 1\n`,
  );
});

describe("report", () => {
  let workshop: Workshop;
  let directory: string;

  beforeEach(() => {
    workshop = new Workshop();
    directory = mkdtempSync(join(workshop.directory, "report-"));
  });

  afterEach(async () => {
    await workshop.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function report({ socket }: { socket: string }, ...options: string[]) {
    const file = join(directory, "report.json");
    const config = join(directory, "config.toml");
    writeFileSync(config, `# of jane.example.org\n[identity]\nprefixes = ["2001:db8:a1::/64"]\n`);
    const run = await l3shim(
      ...["report", "-o", file, "--config", config, "--socket", socket],
      ...options,
    );
    return { ...run, file };
  }

  async function established(): Promise<TestDaemon> {
    const { a } = await workshop.establish();
    a.clock.advance(5_000);
    return a;
  }

  test("holds everything, and neither addresses nor tags", async () => {
    const a = await established();
    const { status, stdout, file } = await report(a);
    expect(status).toBe(0);
    const text = readFileSync(file, "utf8");
    const parts = JSON.parse(text) as Record<string, unknown>;
    expect(Object.keys(parts)).toEqual([
      ...["schemaVersion", "at", "redacted", "l3shim", "system", "config", "status", "contexts"],
      ...["locators", "history", "check", "commands", "metrics"],
    ]);
    expect(parts).toMatchObject({
      system: { kernel: expect.any(String), daemonCapabilities: expect.any(String) },
      config: { text: expect.stringContaining("[identity]") },
      status: { version: "0.0.0-test" },
      contexts: [{ state: "ESTABLISHED", localTag: expect.stringMatching(/^tag-\d+$/) }],
      metrics: expect.stringContaining("l3shim_contexts"),
    });
    const [context] = a.daemon.contexts();
    const tags = [context?.localTag, context?.peerTag].map(String);
    for (const secret of [A1, A2, B1, B2, "2001:db8:a1::", "jane", ...tags]) {
      expect(text).not.toContain(secret);
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(stdout).toContain("2 context tags have pseudonyms");
  });

  test("says what is in it and what is not", async () => {
    const { stdout } = await report(await established());
    const masked = stdout
      .replace(/^\S+report\.json: [\d.]+ kB/, "FILE: SIZE")
      .replace(/\d+ addresses/, "N addresses")
      .replace(/^Missing: commands.*\n/gm, "");
    expect(masked).toMatchInlineSnapshot(`
      "FILE: SIZE, to be read with any editor. Look through it before you send it.
      In it: versions, kernel, capabilities, configuration without comments, status with counters and warnings, contexts, locators, history, check, metrics, and the rules, routes, addresses and labels of this host (ip -6).
      N addresses have pseudonyms, the same everywhere; IPv6 networks (/48, /64) can still be told apart. 2 context tags have pseudonyms. Keys, modifiers and packets are not in it.
      As they are: names of interfaces and files, times, ports.
      "
    `);
  });

  test("--json says so for programs", async () => {
    const { stdout, file } = await report(await established(), "--json");
    const reply = JSON.parse(stdout) as { missing: { part: string }[] };
    expect(reply).toMatchObject({
      schemaVersion: 1,
      file,
      size: statSync(file).size,
      redacted: { addresses: expect.any(Number), tags: 2 },
    });
    expect(reply.missing.filter(({ part }) => !part.startsWith("commands"))).toEqual([]);
  });

  test("--keep-addresses keeps addresses", async () => {
    const { stdout, file } = await report(await established(), "--keep-addresses");
    const text = readFileSync(file, "utf8");
    expect(text).toContain(A1);
    expect(text).not.toMatch(/"localTag": "[0-9a-f]{12}"/);
    expect(stdout).toContain("Addresses are as they are: you asked for that.");
  });

  test("without a daemon holds what there is, and says what is missing", async () => {
    const { status, stdout } = await report({ socket: join(directory, "nobody.sock") });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Missing: status: no daemon listens on /m);
  });

  test("never takes the place of another file", async () => {
    const a = await established();
    const { file } = await report(a);
    const before = readFileSync(file, "utf8");
    const again = await report(a);
    expect(again).toMatchObject({ status: 1, stdout: "" });
    expect(again.stderr).toContain("it exists already; name another file with -o");
    expect(readFileSync(file, "utf8")).toBe(before);
  });

  test("goes to standard output where that is wanted", async () => {
    const { socket } = await established();
    const { stdout } = await l3shim("report", "-o", "-", "--socket", socket);
    expect(JSON.parse(stdout)).toMatchObject({ contexts: [{ state: "ESTABLISHED" }] });
  });
});
