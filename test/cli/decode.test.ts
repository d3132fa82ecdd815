import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addressToBytes, parseAddress } from "../../src/wire/address.ts";
import { toHex } from "../../src/wire/hex.ts";
import { writeUdpHeader } from "../../src/wire/udp.ts";
import {
  captureInterface,
  enhancedPacket,
  pcap,
  pcapng,
  section,
} from "../wire/support/captures.ts";
import { ipv6, upperLayer } from "../wire/support/packets.ts";
import { octets, VECTORS, vector } from "../wire/support/vectors.ts";
import { l3shim } from "./capture.ts";

interface Reply {
  readonly schemaVersion: number;
  readonly packets: readonly Record<string, unknown>[];
  readonly damage?: object;
}

async function decodeJson(...args: string[]): Promise<{ status: number; reply: Reply }> {
  const { status, stdout } = await l3shim("decode", ...args, "--json");
  return { status, reply: JSON.parse(stdout) as Reply };
}

function wholePacket(name: string): Uint8Array {
  const { src, dst, shim6 } = vector(name);
  return ipv6(addressOf(src), addressOf(dst), [upperLayer(140, octets(shim6))]);
}

function addressOf(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return addressToBytes(address);
}

/** The same in UDP, with this port at both ends. */
function encapsulated(name: string, port: number): Uint8Array {
  const { src, dst, shim6 } = vector(name);
  const bytes = Uint8Array.of(...new Uint8Array(8), ...octets(shim6));
  const packet = ipv6(addressOf(src), addressOf(dst), [upperLayer(17, bytes)]);
  writeUdpHeader(packet, 40, packet.length, port);
  return packet;
}

const ETHERNET = octets("0200000000010200000000ff86dd");
const UDP = ipv6(new Uint8Array(16), new Uint8Array(16), [upperLayer(17, new Uint8Array(8))]);

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "l3shim-decode-"));
});

afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

describe("decode shows Shim6 in UDP", () => {
  test.each(VECTORS)("$name, as what it is without", async ({ name }) => {
    const { reply } = await decodeJson(toHex(encapsulated(name, 61_140)));
    const { reply: plain } = await decodeJson(toHex(wholePacket(name)));
    expect(reply.packets).toEqual([{ ...plain.packets[0], encapsulated: true }]);
  });

  test("in a line", async () => {
    const { stdout } = await l3shim("decode", toHex(encapsulated("I1", 61_140)));
    const { src, dst } = vector("I1");
    expect(stdout).toContain(`I1  ${src} > ${dst} in UDP  initiatorContextTag`);
  });

  test("at another port where it is told so", async () => {
    const hex = toHex(encapsulated("I1", 4000));
    expect((await decodeJson(hex)).reply.packets[0]).toMatchObject({ code: "no-shim6-header" });
    const { reply } = await decodeJson(hex, "--udp-port", "4000");
    expect(reply.packets[0]).toMatchObject({ type: "I1", encapsulated: true });
    expect((await l3shim("decode", hex, "--udp-port", "65536")).status).toBe(2);
  });

  test("in a capture", async () => {
    const frame = Uint8Array.of(...ETHERNET, ...encapsulated("I1", 61_140));
    const path = file(
      "udp.pcap",
      pcap({ littleEndian: true, nanoseconds: false, linkType: 1 }, [
        { timestamp: 0n, bytes: frame },
      ]),
    );
    const { reply } = await decodeJson(path);
    expect(reply.packets[0]).toMatchObject({ frame: 1, type: "I1", encapsulated: true });
  });
});

describe("decode HEX", () => {
  test.each(VECTORS)("shows $name with its addresses", async ({ name, shim6, src, dst }) => {
    const { status, reply } = await decodeJson(shim6, "--src", src, "--dst", dst);
    expect(status).toBe(0);
    expect(reply.schemaVersion).toBe(1);
    const kind = name.startsWith("Payload") ? "payload" : "control";
    expect(reply.packets).toMatchObject([{ kind, source: src, destination: dst }]);
  });

  test("shows the fields, the checksum and the options of a message", async () => {
    const { reply } = await decodeJson(vector("X-noncritical-unknown").shim6);
    expect(reply.packets).toEqual([
      {
        kind: "control",
        type: "I1",
        nextHeader: 59,
        hdrExtLen: 3,
        checksum: { value: 0xe94f, valid: true },
        initiatorContextTag: "123456789abc",
        initiatorNonce: 0xa1a2a3a4,
        options: [{ type: 100, name: "Unknown", critical: false, contents: "61626364656667" }],
      },
    ]);
  });

  test("calls a checksum invalid, which is not malformed", async () => {
    const { status, reply } = await decodeJson(vector("X-badcsum").shim6);
    expect(status).toBe(0);
    expect(reply.packets).toMatchObject([{ kind: "control", checksum: { valid: false } }]);
  });

  test("exits with 1 when the packet is malformed, and says why", async () => {
    const { status, reply } = await decodeJson("3b020100 0000 123456789abc 01020304");
    expect(status).toBe(1);
    const error = expect.stringContaining("Hdr Ext Len") as string;
    expect(reply.packets).toMatchObject([{ kind: "malformed", error }]);
  });

  test.each(VECTORS)("shows the whole IPv6 packet of $name the same", async ({ name }) => {
    const { shim6, src, dst } = vector(name);
    const alone = await decodeJson(shim6, "--src", src, "--dst", dst);
    const whole = await decodeJson(toHex(wholePacket(name)));
    expect(whole).toEqual(alone);
  });

  test("takes a packet whose header is cut for IPv6 when it leads to Shim6", async () => {
    const cut = wholePacket("I2").subarray(0, 60);
    const { status, reply } = await decodeJson(toHex(cut));
    expect(status).toBe(1);
    expect(reply.packets).toMatchObject([{ kind: "malformed", source: vector("I2").src }]);
  });

  test("says that an IPv6 packet has no Shim6 header", async () => {
    const { status, reply } = await decodeJson(toHex(UDP));
    expect(status).toBe(1);
    expect(reply.packets).toMatchObject([{ kind: "malformed", code: "no-shim6-header" }]);
  });

  test("takes a payload header whose first octet looks like IPv6 for what it is", async () => {
    // Next header 103 is PIM: version 6 to someone who looks at the first 4 bits only.
    const { reply } = await decodeJson(`6700fedcba987654${"00".repeat(60)}`);
    expect(reply.packets).toEqual([
      { kind: "payload", receiverContextTag: "7edcba987654", nextHeader: 103 },
    ]);
  });

  test.each([
    "3B:01:01:00 7b:4e:12:34 56:78:9a:bc a1:a2:a3:a4",
    "0x3b0101007b4e123456789abca1a2a3a4",
  ])("reads %s", async (hex) => {
    const { reply } = await decodeJson(hex);
    expect(reply.packets).toMatchObject([{ type: "I1", initiatorNonce: 0xa1a2a3a4 }]);
  });

  test("writes text for people", async () => {
    const { shim6, src, dst } = vector("Keepalive");
    const { status, stdout } = await l3shim("decode", shim6, "--src", src, "--dst", dst);
    expect(status).toBe(0);
    expect(stdout).toBe(
      `Keepalive  ${src} > ${dst}  receiverContextTag 123456789abc  checksum 0x7f95 valid\n`,
    );
  });
});

describe("decode FILE", () => {
  const frames = ["I1", "Payload-UDP"].map((name, i) => ({
    timestamp: 1_700_000_000_000_000_001n + BigInt(i),
    bytes: Uint8Array.of(...ETHERNET, ...wholePacket(name)),
  }));
  const other = { timestamp: 0n, bytes: Uint8Array.of(...ETHERNET, ...UDP) };
  const format = { littleEndian: true, nanoseconds: true, linkType: 1 };

  test("shows the Shim6 packets of a pcap file with number and time", async () => {
    const path = file("three.pcap", pcap(format, [frames[0] ?? other, other, frames[1] ?? other]));
    const { status, reply } = await decodeJson(path);
    expect(status).toBe(0);
    expect(reply).toMatchObject({
      schemaVersion: 1,
      packets: [
        { frame: 1, time: "1700000000.000000001", type: "I1", source: vector("I1").src },
        { frame: 3, time: "1700000000.000000002", kind: "payload", nextHeader: 17 },
      ],
    });
    expect(reply.packets).toHaveLength(2);
  });

  test("reads pcapng too, with frames of several link types", async () => {
    const content = pcapng(
      false,
      section,
      captureInterface(229),
      captureInterface(1),
      captureInterface(105),
      enhancedPacket(0, 5n, wholePacket("Keepalive")),
      enhancedPacket(1, 6n, frames[0]?.bytes ?? UDP),
      enhancedPacket(2, 7n, frames[0]?.bytes ?? UDP),
    );
    const path = file("two.pcapng", content);
    const { status, reply } = await decodeJson(path);
    expect(status).toBe(0);
    const times = reply.packets.map(({ type, time }) => [type, time]);
    expect(times).toEqual([
      ["Keepalive", "0.000005000"],
      ["I1", "0.000006000"],
    ]);
    const { stdout } = await l3shim("decode", path);
    expect(stdout).toMatch(/^1 {2}0\.000005000 {2}Keepalive {2}/);
    expect(stdout).toMatch(/\nShim6 packets: 2; others: 1 \(of unknown link type: 1\)\n$/);
  });

  test("exits with 1 when a packet is malformed", async () => {
    const bad = octets(vector("I1").shim6).fill(9, 1, 2);
    const { src, dst } = vector("I1");
    const packet = ipv6(addressOf(src), addressOf(dst), [upperLayer(140, bad)]);
    const path = file(
      "bad.pcap",
      pcap({ ...format, linkType: 101 }, [{ timestamp: 0n, bytes: packet }]),
    );
    const { status, reply } = await decodeJson(path);
    expect(status).toBe(1);
    expect(reply.packets).toMatchObject([{ frame: 1, kind: "malformed", source: src }]);
  });

  test("shows what comes before the damage, and exits with 1", async () => {
    const whole = pcap(format, frames);
    const path = file("cut.pcap", whole.subarray(0, whole.length - 1));
    const { status, reply } = await decodeJson(path);
    expect(status).toBe(1);
    expect(reply.packets).toMatchObject([{ type: "I1" }]);
    expect(reply.damage).toMatchObject({ code: "truncated" });
    const { stdout } = await l3shim("decode", path);
    expect(stdout).toMatch(/\ndamaged at octet \d+: a packet of \d+ octets; \d+ are left\n$/);
  });

  test("of an empty capture shows nothing and is content", async () => {
    const path = file("empty.pcap", pcap(format, []));
    const { status, stdout } = await l3shim("decode", path);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "no packets\n" });
  });

  test("that is none exits with 1", async () => {
    const { status, reply } = await decodeJson(file("text.pcap", octets("00".repeat(50))));
    expect(status).toBe(1);
    expect(reply.damage).toMatchObject({ code: "unknown-format" });
  });

  test("that cannot be read exits with 1", async () => {
    const { status, stderr } = await l3shim("decode", directory);
    expect(status).toBe(1);
    expect(stderr).toContain(`cannot read ${directory}`);
  });
});

describe("wrong usage", () => {
  test.each([
    ["no argument", [], "missing required argument"],
    ["neither digits nor a file", ["/nonexistent/x.pcap"], "neither hexadecimal digits nor"],
    ["half an octet", ["3b0"], "two hexadecimal digits for each octet"],
    ["no digits", [""], "two hexadecimal digits for each octet"],
    ["a bad source", ["3b", "--src", "2001:db8::g"], "--src 2001:db8::g: not an IPv6 address"],
    ["a bad destination", ["3b", "--dst", "10.0.0.1"], "--dst 10.0.0.1: not an IPv6 address"],
    ["addresses for a file", ["x.pcap", "--src", "::1"], "--src and --dst go with"],
    ["an unknown option", ["3b", "--nonsense"], "unknown option"],
  ])("%s exits with 2", async (_, args, complaint) => {
    const { status, stdout, stderr } = await l3shim("decode", ...args);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(complaint);
  });
});
