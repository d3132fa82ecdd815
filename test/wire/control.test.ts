import { describe, expect, test } from "vitest";
import { parseAddress } from "../../src/wire/address.ts";
import { type DecodedControl, decodeControl, encodeControl } from "../../src/wire/control.ts";
import { toHex } from "../../src/wire/hex.ts";
import type { ControlMessage, Probe } from "../../src/wire/message.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { octets, VECTORS, vector } from "./support/vectors.ts";

function decode(bytes: Uint8Array): DecodedControl {
  const decoded = decodeControl(bytes);
  if (!decoded.ok) throw new Error(`${decoded.error.code}: ${decoded.error.message}`);
  return decoded.value;
}

function decodeVector(name: string): DecodedControl {
  return decode(octets(vector(name).shim6));
}

function errorOf(bytes: Uint8Array): { code: string; offset: number } | undefined {
  const decoded = decodeControl(bytes);
  return decoded.ok ? undefined : { code: decoded.error.code, offset: decoded.error.offset };
}

const TAG_A = contextTag(0x123456789abc);
const TAG_B = contextTag(0x7edcba987654);
const A0 = address("2001:db8:a:1:34ad:2857:c748:70d0");
const A1 = address("2001:db8:b:1:2469:cfd6:558e:34c6");
const A2 = address("2001:db8:c:1:2400:d33c:92d1:6509");
const B0 = address("2001:db8:a:1:2c7c:fe37:8367:ca70");
const B1 = address("2001:db8:b:1:34b0:c63e:65c8:8479");

function address(text: string) {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

const control = VECTORS.filter(({ name }) => !name.startsWith("Payload"));

describe("the vectors of another generator", () => {
  test.each(control.filter(({ name }) => name !== "X-badcsum"))(
    "$name has a valid checksum and is encoded to the same octets",
    ({ shim6, length }) => {
      const decoded = decode(octets(shim6));
      expect(decoded.checksum.valid).toBe(true);
      expect(decoded.nextHeader).toBe(59);
      expect(40 + decoded.length).toBe(length);
      expect(toHex(encodeControl(decoded.message))).toBe(shim6);
    },
  );

  test("X-badcsum is decoded, with its checksum called invalid", () => {
    const decoded = decodeVector("X-badcsum");
    expect(decoded.checksum).toEqual({ value: 0x2e1b, valid: false });
    expect(decoded.message).toEqual(decodeVector("I1").message);
  });

  test("I1", () => {
    expect(decodeVector("I1")).toEqual({
      message: {
        type: "I1",
        initiatorContextTag: TAG_A,
        initiatorNonce: 0xa1a2a3a4,
        options: [],
      },
      nextHeader: 59,
      length: 16,
      checksum: { value: 0x7b4e, valid: true },
      optionOffsets: [],
    });
  });

  test("R1", () => {
    const { message, optionOffsets } = decodeVector("R1");
    const validator = octets("202122232425262728292a2b2c2d2e2f30313233");
    expect(message).toEqual({
      type: "R1",
      initiatorNonce: 0xa1a2a3a4,
      responderNonce: 0x00000101,
      options: [{ name: "ResponderValidator", critical: false, validator }],
    });
    expect(optionOffsets).toEqual([16]);
  });

  test("I2", () => {
    const { message, optionOffsets } = decodeVector("I2");
    const raw = octets(vector("I2").shim6);
    const methods = [1, 1, 1];
    expect(message).toEqual({
      type: "I2",
      initiatorContextTag: TAG_A,
      initiatorNonce: 0xa1a2a3a4,
      responderNonce: 0x00000101,
      options: [
        { name: "ResponderValidator", critical: false, validator: raw.slice(28, 48) },
        { name: "UlidPair", critical: false, senderUlid: A0, receiverUlid: B0 },
        { name: "ForkedInstanceIdentifier", critical: false, identifier: 7 },
        {
          name: "LocatorList",
          critical: false,
          generation: 0x11223344,
          locators: [A0, A1, A2].map((a, i) => ({ address: a, method: methods[i] })),
        },
        {
          name: "LocatorPreferences",
          critical: false,
          generation: 0x11223344,
          elementLength: 3,
          elements: [
            { flags: 0, priority: 10, weight: 1 },
            { flags: 1, priority: 20, weight: 2 },
            { flags: 2, priority: 30, weight: 3 },
          ],
        },
        { name: "CgaParameterDataStructure", critical: false, parameters: raw.slice(188, 323) },
        { name: "KeepaliveTimeout", critical: false, timeout: 30 },
      ],
    });
    expect(optionOffsets).toEqual([24, 48, 88, 96, 160, 184, 328]);
  });

  test("UpdateRequest", () => {
    expect(decodeVector("UpdateRequest").message).toEqual({
      type: "UpdateRequest",
      receiverContextTag: TAG_B,
      requestNonce: 0xbeef0001,
      options: [
        {
          name: "LocatorList",
          critical: false,
          generation: 0x11223345,
          locators: [
            { address: A0, method: 1 },
            { address: A1, method: 1 },
          ],
        },
        {
          name: "LocatorPreferences",
          critical: false,
          generation: 0x11223345,
          elementLength: 2,
          elements: [
            { flags: 1, priority: 5 },
            { flags: 2, priority: 6 },
          ],
        },
        { name: "KeepaliveTimeout", critical: false, timeout: 20 },
      ],
    });
  });

  test("Keepalive", () => {
    const expected = { type: "Keepalive", receiverContextTag: TAG_A, options: [] };
    expect(decodeVector("Keepalive").message).toEqual(expected);
  });

  test("Probe in InboundOk", () => {
    expect(decodeVector("Probe-inboundok").message).toEqual({
      type: "Probe",
      receiverContextTag: TAG_A,
      state: "inboundok",
      sentProbes: [
        { source: B1, destination: A1, nonce: 0x22222222, data: 0xd1 },
        { source: B0, destination: A0, nonce: 0x2222aaaa, data: 0 },
      ],
      receivedProbes: [{ source: A0, destination: B0, nonce: 0x11111111, data: 0 }],
      options: [],
    });
  });

  test("X-noncritical-unknown keeps the option", () => {
    expect(decodeVector("X-noncritical-unknown").message).toMatchObject({
      type: "I1",
      options: [
        { name: "Unknown", critical: false, type: 100, contents: octets("61626364656667") },
      ],
    });
  });

  test("a payload header is no control message", () => {
    const bytes = octets(vector("Payload-UDP").shim6);
    expect(errorOf(bytes)).toEqual({ code: "wrong-kind", offset: 2 });
  });
});

/** Messages without options, by hand after the figures; checksums are zero. */
const SHORTEST: readonly { type: string; hex: string; message: ControlMessage }[] = [
  {
    type: "I1",
    hex: "3b010100 0000 7fffffffffff 01020304",
    message: {
      type: "I1",
      initiatorContextTag: contextTag(2 ** 47 - 1),
      initiatorNonce: 0x01020304,
      options: [],
    },
  },
  {
    type: "R1",
    hex: "3b010200 0000 0000 01020304 f1f2f3f4",
    message: { type: "R1", initiatorNonce: 0x01020304, responderNonce: 0xf1f2f3f4, options: [] },
  },
  {
    type: "I2",
    hex: "3b020300 0000 123456789abc 01020304 f1f2f3f4 00000000",
    message: {
      type: "I2",
      initiatorContextTag: TAG_A,
      initiatorNonce: 0x01020304,
      responderNonce: 0xf1f2f3f4,
      options: [],
    },
  },
  {
    type: "R2",
    hex: "3b010400 0000 123456789abc 01020304",
    message: {
      type: "R2",
      responderContextTag: TAG_A,
      initiatorNonce: 0x01020304,
      options: [],
    },
  },
  {
    type: "R1bis",
    hex: "3b010500 0000 123456789abc f1f2f3f4",
    message: {
      type: "R1bis",
      packetContextTag: TAG_A,
      responderNonce: 0xf1f2f3f4,
      options: [],
    },
  },
  {
    type: "I2bis",
    hex: "3b030600 0000 123456789abc 01020304 f1f2f3f4 000000000000 7edcba987654",
    message: {
      type: "I2bis",
      initiatorContextTag: TAG_A,
      initiatorNonce: 0x01020304,
      responderNonce: 0xf1f2f3f4,
      packetContextTag: TAG_B,
      options: [],
    },
  },
  {
    type: "UpdateRequest",
    hex: "3b014000 0000 123456789abc 01020304",
    message: {
      type: "UpdateRequest",
      receiverContextTag: TAG_A,
      requestNonce: 0x01020304,
      options: [],
    },
  },
  {
    type: "UpdateAcknowledgement",
    hex: "3b014100 0000 123456789abc 01020304",
    message: {
      type: "UpdateAcknowledgement",
      receiverContextTag: TAG_A,
      requestNonce: 0x01020304,
      options: [],
    },
  },
  {
    type: "Keepalive",
    hex: "3b014200 0000 123456789abc 00000000",
    message: { type: "Keepalive", receiverContextTag: TAG_A, options: [] },
  },
  {
    type: "Error",
    hex: "3b0144fe 0000 1234 0102030405060708",
    message: {
      type: "Error",
      errorCode: 127,
      pointer: 0x1234,
      packetInError: octets("0102030405060708"),
    },
  },
];

describe("the shortest message of each type", () => {
  test.each(SHORTEST)("$type is laid out as the RFC draws it", ({ hex, message }) => {
    expect(decode(octets(hex)).message).toEqual(message);
    const encoded = encodeControl(message);
    encoded.fill(0, 4, 6);
    expect(toHex(encoded)).toBe(toHex(octets(hex)));
  });

  test.each(SHORTEST)("$type with 8 octets less is too short", ({ hex }) => {
    const bytes = octets(hex).slice(0, -8);
    bytes[1] = (bytes.length - 8) / 8;
    expect(errorOf(bytes)).toEqual({ code: "header-length", offset: 1 });
  });

  test.each(SHORTEST)("$type is ignorant of what is reserved", ({ type, hex, message }) => {
    const bytes = octets(hex);
    if (type !== "Error") bytes[3] = 0xfe;
    if (type === "R1") bytes.fill(0xff, 6, 8);
    else if (type !== "Error") bytes[6] = (bytes[6] as number) | 0x80;
    if (type === "I2") bytes.fill(0xff, 20, 24);
    if (type === "I2bis") bytes.fill(0xff, 20, 26).set([(bytes[26] as number) | 0x80], 26);
    if (type === "Keepalive") bytes.fill(0xff, 12, 16);
    expect(decode(bytes).message).toEqual(message);
  });
});

describe("the common header", () => {
  const keepalive = encodeControl({ type: "Keepalive", receiverContextTag: TAG_A, options: [] });

  test("needs 8 octets", () => {
    for (let length = 0; length < 8; length++) {
      const error = errorOf(keepalive.subarray(0, length));
      expect(error).toEqual({ code: "truncated", offset: length });
    }
  });

  test("may not claim more octets than there are", () => {
    expect(errorOf(keepalive.subarray(0, 15))).toEqual({ code: "truncated", offset: 1 });
    const longer = Uint8Array.from(keepalive);
    longer[1] = 2;
    expect(errorOf(longer)).toEqual({ code: "truncated", offset: 1 });
  });

  test("with the S bit belongs to HIP", () => {
    const hip = Uint8Array.from(keepalive);
    hip[3] = 1;
    expect(errorOf(hip)).toEqual({ code: "s-bit", offset: 3 });
  });

  test("may name a payload, which the checksum leaves out", () => {
    const withPayload = Uint8Array.of(...keepalive, 1, 2, 3, 4, 5);
    const { length, checksum } = decode(withPayload);
    expect(length).toBe(16);
    expect(checksum.valid).toBe(true);
    withPayload[0] = 17;
    expect(decode(withPayload).nextHeader).toBe(17);
  });

  test("is decoded within a longer array", () => {
    const frame = Uint8Array.of(0xee, ...keepalive, 0xee);
    expect(decode(frame.subarray(1, 17))).toEqual(decode(keepalive));
  });

  test("has a checksum that any changed bit makes invalid", () => {
    for (let bit = 64; bit < 8 * keepalive.length; bit++) {
      const bytes = Uint8Array.from(keepalive);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(decode(bytes).checksum.valid).toBe(false);
    }
  });
});

describe("values", () => {
  test("do not share memory with the octets, Buffers least of all", () => {
    const bytes = Buffer.from(octets(vector("R1").shim6));
    const { message } = decode(bytes);
    bytes.fill(0);
    expect(message).toEqual(decodeVector("R1").message);
  });

  test("of unknown types are kept whole", () => {
    const bytes = octets("3b01ff00 0000 0102030405060708090a");
    bytes[2] = 0x7f;
    expect(decode(bytes)).toMatchObject({
      message: { type: "Unknown", typeCode: 127, body: octets("0102030405060708090a") },
      optionOffsets: [],
    });
    const shortest = octets("3b000700 0000 0102");
    const expected = { type: "Unknown", typeCode: 7, body: octets("0102") };
    expect(decode(shortest).message).toEqual(expected);
  });

  const probe = decodeVector("Probe-inboundok").message as Probe;
  const error: ControlMessage = {
    type: "Error",
    errorCode: 0,
    pointer: 0,
    packetInError: new Uint8Array(0),
  };

  test.each<[string, ControlMessage]>([
    ["a nonce of 33 bits", { type: "R1", initiatorNonce: 2 ** 32, responderNonce: 0, options: [] }],
    ["a negative nonce", { type: "R1", initiatorNonce: -1, responderNonce: 0, options: [] }],
    ["a broken nonce", { type: "R1", initiatorNonce: 0.5, responderNonce: 0, options: [] }],
    ["a Probe that was not sent", { ...probe, sentProbes: [] }],
    ["16 sent probes", { ...probe, sentProbes: Array.from({ length: 16 }, () => A_REPORT) }],
    ["16 received ones", { ...probe, receivedProbes: Array.from({ length: 16 }, () => A_REPORT) }],
    ["an error code of 8 bits", { ...error, errorCode: 128 }],
    ["a pointer of 17 bits", { ...error, pointer: 65536 }],
    ["more than Hdr Ext Len can say", { ...error, packetInError: new Uint8Array(2041) }],
    ["an unknown type that is known", { type: "Unknown", typeCode: 1, body: new Uint8Array(2) }],
    ["a type of 8 bits", { type: "Unknown", typeCode: 128, body: new Uint8Array(2) }],
  ])("with %s cannot be encoded", (_, message) => {
    expect(() => encodeControl(message)).toThrow(RangeError);
  });

  test("of Error are filled up with zeros", () => {
    expect(encodeControl(error)).toHaveLength(16);
    const nine = encodeControl({ ...error, packetInError: new Uint8Array(9).fill(1) });
    expect(toHex(nine.subarray(8))).toBe(`${"01".repeat(9)}${"00".repeat(7)}`);
    expect(encodeControl({ ...error, packetInError: new Uint8Array(2040) })).toHaveLength(2048);
  });
});

const A_REPORT = { source: A0, destination: B0, nonce: 1, data: 2 };

describe("a Probe", () => {
  const probe = encodeControl(decodeVector("Probe-inboundok").message);

  function withOctet(offset: number, value: number): Uint8Array {
    const copy = Uint8Array.from(probe);
    copy[offset] = value;
    return copy;
  }

  test("has Precvd before Psent", () => {
    const { message } = decode(withOctet(12, 0x21));
    expect(message).toMatchObject({ sentProbes: { length: 1 }, receivedProbes: { length: 2 } });
  });

  test("reports at least itself as sent", () => {
    expect(errorOf(withOctet(12, 0x30))).toEqual({ code: "probe-count", offset: 12 });
  });

  test("is in one of three states", () => {
    const states = [0x3f, 0x7f, 0xbf].map((octet) => decode(withOctet(13, octet)).message);
    expect(states.map((message) => (message as Probe).state)).toEqual([
      "operational",
      "exploring",
      "inboundok",
    ]);
    expect(errorOf(withOctet(13, 0xc0))).toEqual({ code: "probe-state", offset: 13 });
  });

  test("has room for the probes that it counts", () => {
    expect(errorOf(withOctet(12, 0x22))).toEqual({ code: "header-length", offset: 1 });
    expect(errorOf(withOctet(12, 0xff))).toEqual({ code: "header-length", offset: 1 });
  });

  test("may have options behind its reports", () => {
    const option = octets("00c80003 61626300");
    const longer = Uint8Array.of(...probe, ...option);
    longer[1] = (longer[1] as number) + 1;
    const { message, optionOffsets } = decode(longer);
    expect(message).toMatchObject({ options: [{ name: "Unknown", type: 100 }] });
    expect(optionOffsets).toEqual([probe.length]);
  });
});
