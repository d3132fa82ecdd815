import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../src/wire/address.ts";
import { encodeControl } from "../../src/wire/control.ts";
import { describePacket, describeShim6 } from "../../src/wire/describe.ts";
import type { Option } from "../../src/wire/message.ts";
import { renderPacket } from "../../src/wire/render.ts";
import { contextTag } from "../../src/wire/tag.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { extension, fragment, ipv6, packet, upperLayer } from "./support/packets.ts";
import { octets, vector } from "./support/vectors.ts";

const TAG = contextTag(0xabc);
const SOURCE = "2001:db8:a:1:34ad:2857:c748:70d0";
const DESTINATION = "2001:db8:a:1:2c7c:fe37:8367:ca70";

function describeVector(name: string) {
  const { shim6, src, dst } = vector(name);
  return describeShim6(octets(shim6), parseAddress(src), parseAddress(dst));
}

function withOptions(...options: readonly Option[]) {
  return describeShim6(encodeControl({ type: "Keepalive", receiverContextTag: TAG, options }));
}

describe("a control message is described", () => {
  test("with addresses, checksum, fields and options in the RFCs' words", () => {
    expect(describeVector("I1")).toEqual({
      kind: "control",
      type: "I1",
      source: SOURCE,
      destination: DESTINATION,
      nextHeader: 59,
      hdrExtLen: 1,
      checksum: { value: 0x7b4e, valid: true },
      initiatorContextTag: "123456789abc",
      initiatorNonce: 0xa1a2a3a4,
      options: [],
    });
  });

  test("with its probes", () => {
    expect(describeVector("Probe-inboundok")).toMatchObject({
      type: "Probe",
      receiverContextTag: "123456789abc",
      state: "inboundok",
      sentProbes: [
        {
          source: "2001:db8:b:1:34b0:c63e:65c8:8479",
          destination: "2001:db8:b:1:2469:cfd6:558e:34c6",
          nonce: 0x22222222,
          data: 0xd1,
        },
        { source: DESTINATION, destination: SOURCE, nonce: 0x2222aaaa, data: 0 },
      ],
      receivedProbes: [{ source: SOURCE, destination: DESTINATION, nonce: 0x11111111, data: 0 }],
      options: [],
    });
  });

  test("with a checksum that is wrong, and no more than that", () => {
    expect(describeVector("X-badcsum")).toMatchObject({
      kind: "control",
      type: "I1",
      checksum: { value: 0x2e1b, valid: false },
    });
  });

  test("without addresses that nobody knows", () => {
    const description = describeShim6(octets(vector("I1").shim6));
    expect(description).not.toHaveProperty("source");
    expect(description).not.toHaveProperty("destination");
  });

  test("with each option's number, name, C bit and fields", () => {
    const description = describeVector("I2");
    expect(description).toMatchObject({
      options: [
        {
          type: 1,
          name: "ResponderValidator",
          critical: false,
          validator: "202122232425262728292a2b2c2d2e2f30313233",
        },
        { type: 6, name: "UlidPair", senderUlid: SOURCE, receiverUlid: DESTINATION },
        { type: 7, name: "ForkedInstanceIdentifier", forkedInstanceIdentifier: 7 },
        {
          type: 2,
          name: "LocatorList",
          locatorListGeneration: 0x11223344,
          numLocators: 3,
          locators: [
            { address: SOURCE, verificationMethod: 1 },
            { address: "2001:db8:b:1:2469:cfd6:558e:34c6", verificationMethod: 1 },
            { address: "2001:db8:c:1:2400:d33c:92d1:6509", verificationMethod: 1 },
          ],
        },
        {
          type: 3,
          name: "LocatorPreferences",
          locatorListGeneration: 0x11223344,
          elementLen: 3,
          elements: [
            { flags: 0, priority: 10, weight: 1 },
            { flags: 1, priority: 20, weight: 2 },
            { flags: 2, priority: 30, weight: 3 },
          ],
        },
        {
          type: 4,
          name: "CgaParameterDataStructure",
          cgaParameterDataStructure: expect.stringMatching(
            /^4916c2317794[0-9a-f]{242}20010db8000c0001$/,
          ) as string,
        },
        { type: 10, name: "KeepaliveTimeout", keepaliveTimeout: 30 },
      ],
    });
  });

  test("with the octets of options in hexadecimal", () => {
    const contents = Uint8Array.of(0, 0xff);
    const description = withOptions(
      { name: "CgaSignature", critical: true, signature: contents },
      { name: "Unknown", critical: true, type: 99, contents },
      {
        name: "LocatorPreferences",
        critical: false,
        generation: 1,
        elementLength: 5,
        elements: [{ flags: 1, priority: 2, weight: 3, rest: contents }],
      },
    );
    expect(description).toHaveProperty("options", [
      { type: 5, name: "CgaSignature", critical: true, cgaSignature: "00ff" },
      { type: 99, name: "Unknown", critical: true, contents: "00ff" },
      {
        type: 3,
        name: "LocatorPreferences",
        critical: false,
        locatorListGeneration: 1,
        elementLen: 5,
        elements: [{ flags: 1, priority: 2, weight: 3, rest: "00ff" }],
      },
    ]);
  });

  test("when it is an Error, with the packet in error", () => {
    const packetInError = octets("0102030405060708");
    const bytes = encodeControl({ type: "Error", errorCode: 1, pointer: 16, packetInError });
    expect(describeShim6(bytes)).toMatchObject({
      kind: "control",
      type: "Error",
      errorCode: 1,
      pointer: 16,
      packetInError: "0102030405060708",
      options: [],
    });
  });

  test("when its type is unknown, with its body", () => {
    const bytes = encodeControl({ type: "Unknown", typeCode: 77, body: octets("0102") });
    const expected = { kind: "control", type: "Unknown", typeCode: 77, body: "0102", options: [] };
    expect(describeShim6(bytes)).toMatchObject(expected);
  });
});

describe("a payload packet is described", () => {
  test("with tag and next header", () => {
    expect(describeVector("Payload-UDP")).toEqual({
      kind: "payload",
      source: "2001:db8:b:1:2469:cfd6:558e:34c6",
      destination: "2001:db8:b:1:34b0:c63e:65c8:8479",
      receiverContextTag: "7edcba987654",
      nextHeader: 17,
    });
  });
});

describe("what is malformed is described", () => {
  test.each([
    ["3b010100", "truncated", 4],
    ["3b020100 0000 123456789abc 01020304", "truncated", 1],
    ["3b010101 0000 123456789abc 01020304", "s-bit", 3],
    ["3b000100 0000 123456789abc 01020304", "header-length", 1],
    ["1101fedcba987654 0000000000000000", "header-length", 1],
    ["1100fedcba9876", "truncated", 7],
    ["3b020100 0000 123456789abc 01020304 000e0005 00000000", "option-overrun", 18],
  ])("with the place and the reason: %s", (hex, code, offset) => {
    const description = describeShim6(octets(hex), parseAddress(SOURCE));
    expect(description).toMatchObject({ kind: "malformed", source: SOURCE, code, offset });
    expect(description).toHaveProperty("error", expect.stringMatching(/\w/));
  });
});

describe("in an IPv6 packet", () => {
  const [source, destination] = [new Uint8Array(16).fill(0x20), new Uint8Array(16).fill(0x30)];
  const keepalive = upperLayer(140, octets(vector("Keepalive").shim6));

  test("the Shim6 header is found behind extension headers, with the addresses", () => {
    const bytes = ipv6(source, destination, [extension(0, 0), extension(60, 1), keepalive]);
    expect(describePacket(bytes)).toMatchObject({
      type: "Keepalive",
      source: "2020:2020:2020:2020:2020:2020:2020:2020",
      destination: "3030:3030:3030:3030:3030:3030:3030:3030",
    });
  });

  test("what stands behind its end does not count", () => {
    const bytes = ipv6(source, destination, [upperLayer(140, keepalive.octets.slice(0, 12))]);
    const padded = Uint8Array.of(...bytes, ...keepalive.octets.slice(12));
    expect(describePacket(padded)).toMatchObject({ kind: "malformed", code: "truncated" });
  });

  test("without a Shim6 header there is nothing to describe", () => {
    const udp = ipv6(source, destination, [upperLayer(17, new Uint8Array(8))]);
    const later = ipv6(source, destination, [fragment(7, false), keepalive]);
    const cut = ipv6(source, destination, [extension(43, 9)]).subarray(0, 60);
    for (const bytes of [udp, later, cut, new Uint8Array(3)]) {
      expect(describePacket(bytes)).toBeUndefined();
    }
  });
});

describe("descriptions", () => {
  test("of anything at all are JSON, and text", () => {
    const encoded = arbitrary.message.map((message) => {
      try {
        return encodeControl(message);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        return new Uint8Array(0);
      }
    });
    fc.assert(
      fc.property(
        fc.oneof(encoded, arbitrary.mutated(encoded), arbitrary.bytes(2000), packet),
        (bytes) => {
          const description = describeShim6(bytes);
          expect(JSON.parse(JSON.stringify(description))).toEqual(description);
          const lines = renderPacket(description);
          expect(lines.length).toBeGreaterThan(0);
          expect(lines.join(" ")).not.toMatch(/undefined|\[object/);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("as text have a line for the packet and one for each option and probe", () => {
    expect(renderPacket(describeVector("UpdateRequest"))).toMatchInlineSnapshot(`
      [
        "UpdateRequest  2001:db8:a:1:34ad:2857:c748:70d0 > 2001:db8:a:1:2c7c:fe37:8367:ca70  receiverContextTag 7edcba987654  requestNonce 0xbeef0001  checksum 0x0dc2 valid",
        "  option LocatorList (2)  locatorListGeneration 287454021  numLocators 2",
        "    locators: address 2001:db8:a:1:34ad:2857:c748:70d0  verificationMethod 1",
        "    locators: address 2001:db8:b:1:2469:cfd6:558e:34c6  verificationMethod 1",
        "  option LocatorPreferences (3)  locatorListGeneration 287454021  elementLen 2",
        "    elements: flags 1  priority 5",
        "    elements: flags 2  priority 6",
        "  option KeepaliveTimeout (10)  keepaliveTimeout 20",
      ]
    `);
    expect(renderPacket(describeVector("Probe-inboundok"))).toMatchInlineSnapshot(`
      [
        "Probe  2001:db8:b:1:34b0:c63e:65c8:8479 > 2001:db8:b:1:2469:cfd6:558e:34c6  receiverContextTag 123456789abc  state inboundok  checksum 0xa64d valid",
        "  sentProbes: 2001:db8:b:1:34b0:c63e:65c8:8479 > 2001:db8:b:1:2469:cfd6:558e:34c6  nonce 0x22222222  data 209",
        "  sentProbes: 2001:db8:a:1:2c7c:fe37:8367:ca70 > 2001:db8:a:1:34ad:2857:c748:70d0  nonce 0x2222aaaa  data 0",
        "  receivedProbes: 2001:db8:a:1:34ad:2857:c748:70d0 > 2001:db8:a:1:2c7c:fe37:8367:ca70  nonce 0x11111111  data 0",
      ]
    `);
    expect(renderPacket(describeVector("X-badcsum"))).toMatchInlineSnapshot(`
      [
        "I1  2001:db8:a:1:34ad:2857:c748:70d0 > 2001:db8:a:1:2c7c:fe37:8367:ca70  initiatorContextTag 123456789abc  initiatorNonce 0xa1a2a3a4  checksum 0x2e1b INVALID",
      ]
    `);
    expect(renderPacket(describeVector("Payload-UDP"))).toMatchInlineSnapshot(`
      [
        "payload  2001:db8:b:1:2469:cfd6:558e:34c6 > 2001:db8:b:1:34b0:c63e:65c8:8479  receiverContextTag 7edcba987654  nextHeader 17",
      ]
    `);
    expect(renderPacket(describeShim6(octets("3b")))).toMatchInlineSnapshot(`
      [
        "malformed  truncated at octet 1: 1 octets; a header has 8 or more",
      ]
    `);
  });
});
