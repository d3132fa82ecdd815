import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeProgress } from "../../src/cli/identity-search.ts";
import { VECTORS } from "../identity/support/vectors.ts";
import { l3shim } from "./capture.ts";

interface Reply {
  readonly schemaVersion: number;
  readonly [field: string]: unknown;
}

async function json(...args: string[]): Promise<{ status: number; reply: Reply }> {
  const { status, stdout } = await l3shim(...args, "--json");
  return { status, reply: JSON.parse(stdout) as Reply };
}

let directory: string;
let key1024: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "l3shim-identity-"));
  key1024 = file("1024.pem", VECTORS.keys[1024].pem);
});

afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function publicPem(): string {
  const key = createPublicKey(VECTORS.keys[1024].pem);
  return key.export({ format: "pem", type: "spki" }).toString();
}

const PREFIX = ["--prefix", "2001:db8:a:1::"];

describe("hba generate", () => {
  test.each(VECTORS.hba_sets)("makes set $id bit for bit", async (vector) => {
    const prefixes = vector.prefixes.flatMap((prefix) => ["--prefix", `${prefix}/64`]);
    const extended =
      vector.key_encoding === "rsapublickey" ? vector.extended_modifier : vector.spki;
    const key = vector.p_flag ? ["--key", key1024] : ["--extended-modifier", extended ?? ""];
    const modifier = ["--modifier", vector.modifier_start ?? vector.modifier];
    const sec = ["--sec", `${vector.sec}`];
    const args = ["hba", "generate", ...prefixes, ...sec, ...key, ...modifier];
    const { status, reply } = await json(...args);
    expect(status).toBe(0);
    expect(reply).toMatchObject({
      schemaVersion: 1,
      sec: vector.sec,
      modifier: vector.modifier,
      collisionCount: 0,
      hasPublicKey: vector.p_flag === 1,
      publicKey: vector.spki,
      members: vector.members,
    });
  });

  test("makes other addresses each time, with Sec 1 and no key, and shows them", async () => {
    const first = await json("hba", "generate", ...PREFIX);
    const second = await json("hba", "generate", ...PREFIX);
    expect(first.reply).toMatchObject({ sec: 1, hasPublicKey: false });
    expect(first.reply["members"]).not.toEqual(second.reply["members"]);
    const { stdout } = await l3shim("hba", "generate", ...PREFIX, "--sec", "0");
    expect(stdout).toMatch(/^2001:db8:a:1:[0-9a-f:]+\n {2}PDS [0-9a-f]+$/m);
  });

  test("takes a public key alone, and the collision count", async () => {
    const pem = publicPem();
    const args = ["--sec", "0", "--modifier", "00".repeat(16), "--collision", "2"];
    const options = [...PREFIX, ...args, "--key"];
    const fromPublic = await json("hba", "generate", ...options, file("public.pem", pem));
    const fromPrivate = await json("hba", "generate", ...options, key1024);
    expect(fromPublic).toEqual(fromPrivate);
    expect(fromPublic.reply).toMatchObject({ collisionCount: 2, hasPublicKey: true });
  });

  test.each([
    ["no prefix", [], "--prefix"],
    ["a prefix that is none", ["--prefix", "2001:db8::1"], "64 bits"],
    ["a prefix twice", [...PREFIX, ...PREFIX], "there already"],
    ["Sec 3", [...PREFIX, "--sec", "3"], "RFC 4982"],
    ["a Sec that is no number", [...PREFIX, "--sec", ""], "RFC 4982"],
    ["a modifier of 15 octets", [...PREFIX, "--modifier", "00".repeat(15)], "has 15"],
    ["a modifier that is not hexadecimal", [...PREFIX, "--modifier", "xy"], "hexadecimal"],
    ["collision count 3", [...PREFIX, "--collision", "3"], "0, 1 or 2"],
    [
      "an Extended Modifier of 47 octets",
      [...PREFIX, "--extended-modifier", "30".repeat(47)],
      "48",
    ],
    ["DER and more", [...PREFIX, "--extended-modifier", "30020500ff"], "5 octets"],
    ["two keys", [...PREFIX, "--key", "k", "--extended-modifier", "00"], "cannot be used with"],
  ])("with %s exits with 2 and says why", async (_, args, message) => {
    const { status, stderr } = await l3shim("hba", "generate", ...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });

  test("exits with 1 when the key can't be used, and says why", async () => {
    const short = generateKeyPairSync("rsa", { modulusLength: 1016 }).privateKey;
    const pem = short.export({ format: "pem", type: "pkcs8" }) as string;
    for (const [path, message] of [
      [file("short.pem", pem), "1016 bits: 1024 are the least"],
      [file("text.pem", "hello"), "no key in PEM"],
      [join(directory, "missing.pem"), "no such file"],
    ] as const) {
      const { status, stderr } = await l3shim("hba", "generate", ...PREFIX, "--key", path);
      expect(status).toBe(1);
      expect(stderr).toContain(message);
      expect(stderr).toContain(path);
    }
  });
});

describe("verify", () => {
  test.each(VECTORS.edge_cases)("$mode, edge case $id: $why", async (vector) => {
    const args = [vector.mode, "verify", "--address", vector.address, "--pds", vector.pds];
    const { status, reply } = await json(...args);
    expect(status).toBe(vector.expect ? 0 : 1);
    expect(reply).toMatchObject({
      schemaVersion: 1,
      verified: vector.expect,
      address: vector.address,
    });
    const { stdout, stderr } = await l3shim(...args);
    expect(vector.expect ? stdout : stderr).toContain(
      vector.expect ? "verified: " : "not verified: ",
    );
  });

  test("tells the prefixes and Sec of an HBA, and why an address is none", async () => {
    const [set] = VECTORS.hba_sets;
    const [, member] = set?.members ?? [];
    const args = ["hba", "verify", "--pds", member?.pds ?? "", "--address"];
    expect(await json(...args, member?.address ?? "")).toEqual({
      status: 0,
      reply: {
        schemaVersion: 1,
        verified: true,
        address: member?.address,
        prefixes: set?.prefixes,
        sec: 1,
      },
    });
    const refused = await json(...args, "2001:db8::1");
    expect(refused.status).toBe(1);
    expect(refused.reply).toMatchObject({ verified: false, reason: "prefix-not-in-set" });
  });

  test("knows the CGA of RFC 3972 appendix A, and that its key of 512 bits may not sign", async () => {
    const [cga] = VECTORS.cgas;
    const args = ["--address", cga?.address ?? "", "--pds", cga?.pds ?? ""];
    const { status, reply } = await json("cga", "verify", ...args);
    expect(status).toBe(0);
    const keyFault = expect.stringContaining("512 bits") as string;
    expect(reply).toMatchObject({ verified: true, sec: 1, keyFault });
  });

  test("refuses octets that are no CGA parameters, which is no wrong usage", async () => {
    for (const command of ["hba", "cga"]) {
      const args = [command, "verify", "--address", "2001:db8::1", "--pds", "0011"];
      const { status, reply } = await json(...args);
      expect(status).toBe(1);
      expect(reply).toMatchObject({ verified: false, reason: "truncated" });
    }
  });

  test.each([
    ["no PDS", ["--address", "::1"], "--pds"],
    ["no address", ["--pds", "00"], "--address"],
    ["an address that is none", ["--address", "x", "--pds", "00"], "IPv6 address"],
    ["a PDS that is not hexadecimal", ["--address", "::1", "--pds", "0"], "hexadecimal"],
  ])("with %s exits with 2", async (_, args, message) => {
    const { status, stderr } = await l3shim("cga", "verify", ...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe("cga generate", () => {
  const vector = VECTORS.cgas.find(({ id }) => id === "C03");

  test("makes the CGA of vector C03 bit for bit", async () => {
    const args = ["--prefix", vector?.prefix ?? "", "--modifier", vector?.modifier_start ?? ""];
    const { status, reply } = await json("cga", "generate", ...args, "--key", key1024);
    expect(status).toBe(0);
    expect(reply).toMatchObject({
      schemaVersion: 1,
      modifier: vector?.modifier,
      prefix: vector?.prefix,
      address: vector?.address,
      pds: vector?.pds,
      privateKey: null,
    });
  });

  test("makes a key of 2048 bits without one, which signs for the address", async () => {
    const { reply } = await json("cga", "generate", ...PREFIX, "--sec", "0");
    const { address, pds, privateKey } = reply as unknown as Record<string, string>;
    const key = createPublicKey(privateKey ?? "").asymmetricKeyDetails;
    expect(key?.modulusLength).toBe(2048);
    const list = ["--generation", "0x10", "--locator", "2001:db8::1"];
    const path = file("made.pem", privateKey ?? "");
    const signed = await l3shim("cga", "sign", "--key", path, ...list);
    const given = ["--address", address ?? "", "--pds", pds ?? ""];
    const signature = ["--signature", signed.stdout.trim()];
    const { status } = await l3shim("cga", "verify-signature", ...list, ...given, ...signature);
    expect(status).toBe(0);
  });

  test("prints the key that it made, for people too", async () => {
    const args = [...PREFIX, "--sec", "0", "--bits", "1024"];
    const { stdout } = await l3shim("cga", "generate", ...args);
    expect(stdout).toMatch(/\n-----BEGIN PRIVATE KEY-----\n/);
  });

  test.each(["1023", "4097", "x"])("with --bits %s exits with 2", async (bits) => {
    const { status, stderr } = await l3shim("cga", "generate", ...PREFIX, "--bits", bits);
    expect(status).toBe(2);
    expect(stderr).toContain("1024 to 4096");
  });
});

describe.each(VECTORS.signatures)("cga sign and verify-signature, vector $id", (vector) => {
  const signed = vector.locators.filter(({ method }) => method === 2);
  const parts = [
    "--generation",
    `${vector.generation}`,
    ...signed.flatMap(({ address }) => ["--locator", address]),
  ];
  const option = ["--locator-list", vector.rfc_locator_list_option];
  const signature = ["--signature", vector.rfc_signature];
  const pds = ["--pds", vector.pds];

  test("makes the signature", async () => {
    for (const list of [parts, option]) {
      const { status, reply } = await json("cga", "sign", "--key", key1024, ...list);
      expect(status).toBe(0);
      expect(reply).toEqual({
        schemaVersion: 1,
        generation: vector.generation,
        locators: signed.map(({ address }) => address),
        signedOctets: vector.signed_octets,
        signature: vector.rfc_signature,
      });
    }
  });

  test("verifies it", async () => {
    for (const list of [parts, option]) {
      const args = ["cga", "verify-signature", ...list, ...pds, ...signature];
      const { status, reply } = await json(...args);
      expect(status).toBe(0);
      expect(reply).toMatchObject({ verified: true, generation: vector.generation, address: null });
    }
  });

  test("refuses another list, key or address", async () => {
    const [hbaOnly] = VECTORS.hba_sets;
    const other = [...parts, "--locator", "2001:db8::1"];
    for (const [args, reason] of [
      [[...other, ...pds, ...signature], "signature"],
      [[...parts, ...pds, "--signature", "00"], "signature-length"],
      [[...parts, "--pds", hbaOnly?.members[0]?.pds ?? "", ...signature], "no-public-key"],
      [[...parts, "--pds", VECTORS.cgas[0]?.pds ?? "", ...signature], "key-too-short"],
      [[...parts, ...pds, ...signature, "--address", "2001:db8::1"], "subnet-prefix"],
    ] as const) {
      const { status, reply } = await json("cga", "verify-signature", ...args);
      expect(status).toBe(1);
      expect(reply).toMatchObject({ schemaVersion: 1, verified: false, reason });
    }
  });
});

describe("cga sign", () => {
  test.each([
    ["no list", [], "say what list"],
    ["no locators", ["--generation", "1"], "say what list"],
    ["a generation of 33 bits", ["--generation", "4294967296", "--locator", "::1"], "32 bits"],
    ["both kinds of list", ["--generation", "1", "--locator-list", "00"], "cannot be used with"],
    ["an option that is cut", ["--locator-list", "0004003c"], "not a Locator List"],
    ["an option of 2 octets", ["--locator-list", "0004"], "not a Locator List"],
    ["another option", ["--locator-list", "0002000400000000"], "not a Locator List"],
  ])("with %s exits with 2", async (_, list, message) => {
    const { status, stderr } = await l3shim("cga", "sign", "--key", key1024, ...list);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });

  test("does not sign by a public key", async () => {
    const pem = publicPem();
    const list = ["--generation", "1", "--locator", "::1"];
    const path = file("public.pem", pem);
    const { status, stderr } = await l3shim("cga", "sign", "--key", path, ...list);
    expect(status).toBe(1);
    expect(stderr).toContain("no private key in PEM");
  });
});

describe("in words", () => {
  const fixed = [...PREFIX, "--sec", "0", "--modifier", "00".repeat(16)];
  const list = ["--generation", "16", "--locator", "2001:db8::1"];
  const [set] = VECTORS.hba_sets;
  const [, member] = set?.members ?? [];
  const [cga] = VECTORS.cgas;

  test.each([
    ["hba generate", () => [...fixed, "--key", key1024]],
    ["hba verify", () => ["--address", member?.address ?? "", "--pds", member?.pds ?? ""]],
    ["cga generate", () => [...fixed, "--key", key1024]],
    ["cga verify", () => ["--address", cga?.address ?? "", "--pds", cga?.pds ?? ""]],
    ["cga sign", () => ["--key", key1024, ...list]],
  ])("%s", async (command, options) => {
    const { status, stdout, stderr } = await l3shim(...command.split(" "), ...options());
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatchSnapshot();
  });

  test("cga verify-signature", async () => {
    const made = await json("cga", "generate", ...fixed, "--key", key1024);
    const { address, pds } = made.reply as unknown as Record<string, string>;
    const signed = await l3shim("cga", "sign", "--key", key1024, ...list);
    const given = ["--address", `${address}`, "--pds", `${pds}`];
    const signature = ["--signature", signed.stdout.trim()];
    const run = await l3shim("cga", "verify-signature", ...list, ...given, ...signature);
    expect(run).toMatchInlineSnapshot(`
      {
        "status": 0,
        "stderr": "",
        "stdout": "verified: signature over 2001:db8::1
      ",
      }
    `);
  });
});

test("the progress of a search says how fast it is and how long it takes", () => {
  const text = describeProgress({ attempts: 1_000_000, expected: 2 ** 32 }, 2);
  expect(text).toBe(
    "1,000,000 modifiers tried, 500,000 a second; one in 4,294,967,296 fits: 2 h on average",
  );
});
