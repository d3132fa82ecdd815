import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  attributeText,
  attributeU8,
  attributeU32,
  BodyWriter,
  decodeAck,
  decodeAttributes,
  decodeDone,
  decodeMessages,
  encodeMessage,
  NetlinkFormatError,
  type NetlinkMessage,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "../../src/linux/netlink.ts";

const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const message: fc.Arbitrary<NetlinkMessage> = fc.record({
  type: u16,
  flags: u16,
  sequence: u32,
  body: fc.uint8Array({ maxLength: 200 }),
});
const attributes = fc.uniqueArray(
  fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 60 })),
  { selector: ([type]) => type },
);

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Runs `decode`; anything but a result or a NetlinkFormatError passes through as an exception. */
function attempt(decode: () => unknown): "decoded" | "refused" {
  try {
    decode();
    return "decoded";
  } catch (error) {
    if (error instanceof NetlinkFormatError) return "refused";
    throw error;
  }
}

describe("netlink messages", () => {
  test("several in one datagram come back as they were", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
        const datagram = concatenate(messages.map(encodeMessage));
        expect(decodeMessages(datagram)).toEqual(messages);
      }),
    );
  });

  test("a message cut short anywhere is refused", () => {
    fc.assert(
      fc.property(message, fc.nat(), (one, cut) => {
        const padding = -one.body.length & 3;
        const whole = encodeMessage(one);
        const length = 1 + (cut % (whole.length - padding - 1));
        expect(attempt(() => decodeMessages(whole.subarray(0, length)))).toBe("refused");
      }),
    );
  });

  test("no octets whatever do anything but decode or be refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const outcomes = [
          attempt(() => decodeMessages(bytes)),
          attempt(() => decodeAttributes(bytes)),
          attempt(() => decodeAck({ type: NLMSG_ERROR, flags: 0x300, sequence: 1, body: bytes })),
        ];
        expect(outcomes.every((outcome) => outcome === "decoded" || outcome === "refused")).toBe(
          true,
        );
      }),
    );
  });

  test("a length of less than its own header is refused rather than read for ever", () => {
    const datagram = encodeMessage({ type: 1, flags: 0, sequence: 0, body: new Uint8Array(0) });
    datagram[0] = 0;
    expect(() => decodeMessages(datagram)).toThrow(NetlinkFormatError);
  });
});

describe("netlink attributes", () => {
  test("they come back as they were, after the family's header", () => {
    fc.assert(
      fc.property(attributes, fc.constantFrom(0, 4, 12, 16), (list, headerLength) => {
        const writer = new BodyWriter(new Uint8Array(headerLength).fill(0xee));
        for (const [type, value] of list) writer.bytes(type, value);
        expect(decodeAttributes(writer.finish(), headerLength)).toEqual(new Map(list));
      }),
    );
  });

  test("numbers, texts and nested attributes are laid out as the kernel wants them", () => {
    const body = new BodyWriter(Uint8Array.of(9, 9, 9, 9))
      .u8(1, 7)
      .u32(2, 0x01020304)
      .u32BigEndian(3, 0x01020304)
      .text(4, "eth0")
      .nested(5, new BodyWriter(new Uint8Array(0)).u32(6, 1492))
      .finish();
    expect(Buffer.from(body).toString("hex")).toBe(
      "09090909" + //
        "0500010007000000" +
        "0800020004030201" +
        "0800030001020304" +
        "090004006574683000000000" +
        "0c000580" +
        "08000600d4050000",
    );
    const read = decodeAttributes(body, 4);
    expect(attributeU8(read.get(1) ?? new Uint8Array(0))).toBe(7);
    expect(attributeU32(read.get(2) ?? new Uint8Array(0))).toBe(0x01020304);
    expect(attributeText(read.get(4) ?? new Uint8Array(0))).toBe("eth0");
    const nested = decodeAttributes(read.get(5) ?? new Uint8Array(0));
    expect(attributeU32(nested.get(6) ?? new Uint8Array(0))).toBe(1492);
  });

  test("a number that is too short is refused", () => {
    expect(() => attributeU32(Uint8Array.of(1, 2, 3))).toThrow(NetlinkFormatError);
    expect(() => attributeU8(new Uint8Array(0))).toThrow(NetlinkFormatError);
  });

  test("a value that no attribute can hold is our own fault", () => {
    const writer = new BodyWriter(new Uint8Array(0));
    expect(() => writer.bytes(1, new Uint8Array(65_532))).toThrow(RangeError);
    expect(() => writer.bytes(1, new Uint8Array(65_531))).not.toThrow();
  });
});

describe("acknowledgements", () => {
  const header = new Uint8Array(16);

  function ack(flags: number, errno: number, rest: Uint8Array): NetlinkMessage {
    const body = concatenate([new Uint8Array(4), rest]);
    new DataView(body.buffer).setInt32(0, -errno, true);
    return { type: NLMSG_ERROR, flags, sequence: 1, body };
  }

  test("success is errno 0 without a text", () => {
    expect(decodeAck(ack(0, 0, header))).toEqual({ errno: 0, text: undefined });
  });

  test("the extended ACK's text comes after the quoted request, or its header alone", () => {
    const text = new BodyWriter(new Uint8Array(0)).text(1, "Gateway can not be local").finish();
    const request = encodeMessage({ type: 24, flags: 5, sequence: 1, body: new Uint8Array(9) });
    const expected = { errno: 22, text: "Gateway can not be local" };
    const whole = ack(NLM_F_ACK_TLVS, 22, concatenate([request, text]));
    const capped = ack(NLM_F_ACK_TLVS | NLM_F_CAPPED, 22, concatenate([header, text]));
    expect(decodeAck(whole)).toEqual(expected);
    expect(decodeAck(capped)).toEqual(expected);
  });

  test("the end of a dump tells whether it failed", () => {
    const end = (body: Uint8Array) => decodeDone({ type: NLMSG_DONE, flags: 2, sequence: 1, body });
    expect(end(new Uint8Array(4)).errno).toBe(0);
    expect(end(new Uint8Array(0)).errno).toBe(0);
    expect(end(Uint8Array.of(0xea, 0xff, 0xff, 0xff)).errno).toBe(22);
  });
});
