import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressFromBytes } from "../../src/wire/address.ts";
import { toHex } from "../../src/wire/hex.ts";
import type { Option } from "../../src/wire/message.ts";
import { decodeOptions, optionType, writeOption } from "../../src/wire/options.ts";
import { ByteWriter } from "../../src/wire/writer.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { octets } from "./support/vectors.ts";

function encode(...options: readonly Option[]): Uint8Array {
  const writer = new ByteWriter(70_000);
  for (const option of options) writeOption(writer, option);
  return writer.finish();
}

function decode(bytes: Uint8Array) {
  return decodeOptions(bytes, 0, bytes.length);
}

function decodeHex(hex: string): readonly Option[] {
  const decoded = decode(octets(hex));
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value.options;
}

function errorOf(hex: string): { code: string; offset: number } | undefined {
  const decoded = decode(octets(hex));
  return decoded.ok ? undefined : { code: decoded.error.code, offset: decoded.error.offset };
}

const LOCATOR = addressFromBytes(octets("20010db8000000000000000000000001"));
const LOCATOR_HEX = "20010db8000000000000000000000001";

function validator(length: number): Option {
  return {
    name: "ResponderValidator",
    critical: false,
    validator: new Uint8Array(length).fill(0xab),
  };
}

describe("padding", () => {
  const lengths = Array.from({ length: 18 }, (_, length) => ({ length }));

  test.each(lengths)(
    "of $length octets of contents follows RFC 5533 section 5.15",
    ({ length }) => {
      const total = 11 + length - ((length + 3) % 8);
      const bytes = encode(validator(length));
      expect(bytes).toHaveLength(total);
      expect(bytes[3]).toBe(length);
      expect([...bytes.subarray(4 + length)]).toEqual(
        new Array<number>(total - 4 - length).fill(0),
      );
      const decoded = decode(bytes);
      expect(decoded.ok && decoded.value.options).toEqual([validator(length)]);
    },
  );

  test("may be anything on receipt", () => {
    expect(decodeHex("00020001 abffffff")).toEqual([validator(1)]);
  });

  test("lets every option begin at a multiple of 8", () => {
    fc.assert(
      fc.property(fc.array(arbitrary.option, { maxLength: 6 }), (options) => {
        const decoded = decode(encode(...options));
        expect(decoded.ok && decoded.value.options).toEqual(options);
        for (const offset of decoded.ok ? decoded.value.offsets : []) expect(offset % 8).toBe(0);
      }),
    );
  });
});

/** Each option as the RFC draws it, by hand. */
const LAYOUTS: readonly { name: string; type: number; hex: string; option: Option }[] = [
  {
    name: "Responder Validator",
    type: 1,
    hex: "00020006 010203040506 000000000000",
    option: { name: "ResponderValidator", critical: false, validator: octets("010203040506") },
  },
  {
    name: "Locator List",
    type: 2,
    hex: `0004001c 11223344 01 02 000000000000 ${LOCATOR_HEX}`,
    option: {
      name: "LocatorList",
      critical: false,
      generation: 0x11223344,
      locators: [{ address: LOCATOR, method: 2 }],
    },
  },
  {
    name: "Locator Preferences with elements of 1 octet",
    type: 3,
    hex: "00060007 fffffffe 01 01 02 0000000000",
    option: {
      name: "LocatorPreferences",
      critical: false,
      generation: 0xfffffffe,
      elementLength: 1,
      elements: [{ flags: 1 }, { flags: 2 }],
    },
  },
  {
    name: "Locator Preferences with elements of 5 octets",
    type: 3,
    hex: "0006000a 00000001 05 0102030405 0000",
    option: {
      name: "LocatorPreferences",
      critical: false,
      generation: 1,
      elementLength: 5,
      elements: [{ flags: 1, priority: 2, weight: 3, rest: Uint8Array.of(4, 5) }],
    },
  },
  {
    name: "CGA Parameter Data Structure",
    type: 4,
    hex: "00080002 abcd 0000",
    option: {
      name: "CgaParameterDataStructure",
      critical: false,
      parameters: octets("abcd"),
    },
  },
  {
    name: "CGA Signature",
    type: 5,
    hex: "000a0003 abcdef 00",
    option: { name: "CgaSignature", critical: false, signature: octets("abcdef") },
  },
  {
    name: "ULID Pair",
    type: 6,
    hex: `000c0024 00000000 ${LOCATOR_HEX} ${"00".repeat(16)}`,
    option: {
      name: "UlidPair",
      critical: false,
      senderUlid: LOCATOR,
      receiverUlid: addressFromBytes(new Uint8Array(16)),
    },
  },
  {
    name: "Forked Instance Identifier",
    type: 7,
    hex: "000e0004 80000001",
    option: { name: "ForkedInstanceIdentifier", critical: false, identifier: 0x80000001 },
  },
  {
    name: "Keepalive Timeout",
    type: 10,
    hex: "00140004 0000ffff",
    option: { name: "KeepaliveTimeout", critical: false, timeout: 65535 },
  },
  {
    name: "UDP Encapsulation",
    type: 16_524,
    hex: "81180004 0000eed4",
    option: { name: "UdpEncapsulation", critical: false, port: 61_140 },
  },
  {
    name: "an unknown option",
    type: 0x7fff,
    hex: "fffe0001 ab000000",
    option: { name: "Unknown", critical: false, type: 0x7fff, contents: octets("ab") },
  },
];

describe("layouts", () => {
  test.each(LAYOUTS)("$name is laid out as the RFC draws it", ({ type, hex, option }) => {
    expect(toHex(encode(option))).toBe(toHex(octets(hex)));
    expect(decodeHex(hex)).toEqual([option]);
    expect(optionType(option)).toBe(type);
  });

  test.each(LAYOUTS)("$name keeps the C bit, which is no part of its type", ({ hex, option }) => {
    const bytes = octets(hex);
    bytes[1] = (bytes[1] as number) | 1;
    const critical = { ...option, critical: true };
    const decoded = decode(bytes);
    expect(decoded.ok && decoded.value.options).toEqual([critical]);
    expect(toHex(encode(critical))).toBe(toHex(bytes));
  });

  test.each(LAYOUTS)("$name cannot reach past the message", ({ hex }) => {
    const bytes = octets(hex);
    bytes[3] = (bytes[3] as number) + 8;
    const decoded = decode(bytes);
    expect(!decoded.ok && decoded.error).toMatchObject({ code: "option-overrun", offset: 2 });
  });

  test("duplicates are kept in order", () => {
    const options = decodeHex("000e0004 00000001 000e0004 00000002 000e0004 00000001");
    expect(options.map((option) => "identifier" in option && option.identifier)).toEqual([1, 2, 1]);
  });

  test("reserved fields are ignored on receipt", () => {
    const pair = decodeHex(`000c0024 ffffffff ${LOCATOR_HEX} ${LOCATOR_HEX}`);
    expect(pair).toMatchObject([{ senderUlid: LOCATOR, receiverUlid: LOCATOR }]);
    expect(decodeHex("00140004 ffff0001")).toMatchObject([{ timeout: 1 }]);
  });
});

describe("a Locator List", () => {
  const counts = Array.from({ length: 17 }, (_, count) => ({ count }));

  test.each(counts)("of $count locators has them at a multiple of 8", ({ count }) => {
    const locators = Array.from({ length: count }, (_, i) => ({ address: LOCATOR, method: i + 1 }));
    const option: Option = { name: "LocatorList", critical: false, generation: 1, locators };
    const bytes = encode(option);
    const first = Math.ceil((9 + count) / 8) * 8;
    expect(bytes).toHaveLength(first + 16 * count);
    // The padding inside counts, and there is none behind (RFC 5533 section 5.15.2).
    expect(((bytes[2] as number) << 8) | (bytes[3] as number)).toBe(bytes.length - 4);
    expect([...bytes.subarray(9, 9 + count)]).toEqual(locators.map(({ method }) => method));
    expect(toHex(bytes.subarray(first))).toBe(LOCATOR_HEX.repeat(count));
    const decoded = decode(bytes);
    expect(decoded.ok && decoded.value.options).toEqual([option]);
  });

  test("may have anything in its padding", () => {
    const [option] = decodeHex(`0004001c 11223344 01 02 ffffffffffff ${LOCATOR_HEX}`);
    expect(option).toMatchObject({ locators: [{ address: LOCATOR, method: 2 }] });
  });

  test("has the Length that its count demands", () => {
    const wrong = { code: "option-length", offset: 2 };
    expect(errorOf(`0004001c 11223344 02 0202 0000000000 ${LOCATOR_HEX}`)).toEqual(wrong);
    expect(errorOf(`0004001c 11223344 00 02 000000000000 ${LOCATOR_HEX}`)).toEqual(wrong);
    expect(errorOf(`0004001b 11223344 01 02 000000000000 ${LOCATOR_HEX}`)).toEqual(wrong);
    expect(errorOf("00040004 11223344")).toEqual(wrong);
    expect(errorOf("00040005 11223344 00 000000 00000000")).toEqual(wrong);
  });

  test("has at most 255 locators", () => {
    const list = (count: number): Option => ({
      name: "LocatorList",
      critical: false,
      generation: 1,
      locators: Array.from({ length: count }, () => ({ address: LOCATOR, method: 1 })),
    });
    expect(encode(list(255))).toHaveLength(264 + 16 * 255);
    expect(() => encode(list(256))).toThrow(RangeError);
  });
});

describe("Locator Preferences", () => {
  test("may have no element", () => {
    const [option] = decodeHex("00060005 00000001 03 000000 00000000");
    expect(option).toMatchObject({ elementLength: 3, elements: [] });
  });

  test("need an Element Len that divides the elements", () => {
    const wrong = { code: "element-length", offset: 8 };
    expect(errorOf("00060007 00000001 00 01 02 0000000000")).toEqual(wrong);
    expect(errorOf("00060005 00000001 00 000000 00000000")).toEqual(wrong);
    expect(errorOf("00060008 00000001 02 010203 00000000")).toEqual(wrong);
    expect(errorOf("00060007 00000001 03 0102 0000000000")).toEqual(wrong);
  });

  test("are no shorter than their fixed fields", () => {
    expect(errorOf("00060004 00000001")).toEqual({ code: "option-length", offset: 2 });
  });

  test.each([
    ["no octet", 0, [{ flags: 1 }]],
    ["a priority too many", 1, [{ flags: 1, priority: 1 }]],
    ["a priority too few", 2, [{ flags: 1 }]],
    ["octets too few", 5, [{ flags: 1, priority: 1, weight: 1, rest: Uint8Array.of(1) }]],
    ["a priority of 9 bits", 2, [{ flags: 1, priority: 256 }]],
  ])("with %s in an element cannot be encoded", (_, elementLength, elements) => {
    const rest = { critical: false, generation: 1, elementLength, elements };
    expect(() => encode({ name: "LocatorPreferences", ...rest })).toThrow(RangeError);
  });
});

describe("options of one length", () => {
  test.each([
    ["ULID Pair", `000c0020 ${LOCATOR_HEX} ${LOCATOR_HEX} 00000000`],
    ["ULID Pair", `000c0025 00000000 ${LOCATOR_HEX} ${LOCATOR_HEX} 00 00000000000000`],
    ["ULID Pair", "000c0000 00000000"],
    ["Forked Instance Identifier", "000e0002 00000000"],
    ["Forked Instance Identifier", "000e0008 0000000000000001 00000000"],
    ["Keepalive Timeout", "00140002 00000000"],
    ["Keepalive Timeout", "00140005 0000000100 00000000000000"],
  ])("%s has no other: %s", (_, hex) => {
    expect(errorOf(hex)).toEqual({ code: "option-length", offset: 2 });
  });

  test("are at fault where they stand", () => {
    const hex = "000e0004 00000001 00140002 00000000";
    expect(errorOf(hex)).toEqual({ code: "option-length", offset: 10 });
  });
});

describe("values that do not fit", () => {
  test.each<[string, Option]>([
    ["a timeout of 17 bits", { name: "KeepaliveTimeout", critical: false, timeout: 65536 }],
    ["a port of 17 bits", { name: "UdpEncapsulation", critical: false, port: 65536 }],
    ["a negative FII", { name: "ForkedInstanceIdentifier", critical: false, identifier: -1 }],
    ["65536 octets", validator(65536)],
    [
      "a type of 16 bits",
      { name: "Unknown", critical: false, type: 0x8000, contents: new Uint8Array(0) },
    ],
    [
      "an unknown type that is known",
      { name: "Unknown", critical: false, type: 10, contents: new Uint8Array(4) },
    ],
  ])("%s cannot be encoded", (_, option) => {
    expect(() => encode(option)).toThrow(RangeError);
  });
});
