import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readCapture } from "../../src/wire/pcap.ts";
import * as arbitrary from "./support/arbitraries.ts";
import {
  captureInterface,
  enhancedPacket,
  otherBlock,
  pcap,
  pcapng,
  section,
  simplePacket,
} from "./support/captures.ts";

const ONE = { timestamp: 1_700_000_000_123_456_789n, bytes: Uint8Array.of(1, 2, 3) };
const TWO = { timestamp: 4_000_000_001_000_001_000n, bytes: Uint8Array.of(4, 5, 6, 7) };
const EMPTY = { timestamp: 0n, bytes: new Uint8Array(0) };

const FORMATS = [true, false].flatMap((littleEndian) =>
  [true, false].map((nanoseconds) => ({ littleEndian, nanoseconds })),
);
const ORDERS = [{ littleEndian: true }, { littleEndian: false }];

describe("a pcap file", () => {
  test.each(FORMATS)("gives all its packets: %o", (format) => {
    const { packets, error } = readCapture(pcap({ ...format, linkType: 101 }, [ONE, EMPTY, TWO]));
    expect(error).toBeUndefined();
    const timestamp = format.nanoseconds ? ONE.timestamp : 1_700_000_000_123_456_000n;
    expect(packets).toEqual([
      { ...ONE, timestamp, linkType: 101 },
      { ...EMPTY, linkType: 101 },
      { ...TWO, linkType: 101 },
    ]);
  });

  test("may have no packet", () => {
    const file = pcap({ littleEndian: true, nanoseconds: false, linkType: 1 }, []);
    expect(readCapture(file)).toEqual({ packets: [], error: undefined });
  });

  test("has its link type in 16 bits, with the frame check sequence above", () => {
    const options = { littleEndian: true, nanoseconds: false, linkType: 0x24000001 };
    expect(readCapture(pcap(options, [ONE])).packets[0]?.linkType).toBe(1);
  });

  test("that is cut gives what came before the cut", () => {
    const format = { littleEndian: true, nanoseconds: true, linkType: 1 };
    const whole = pcap(format, [ONE, TWO]);
    const second = 24 + 16 + ONE.bytes.length;
    for (let length = second + 1; length < whole.length; length++) {
      const { packets, error } = readCapture(whole.subarray(0, length));
      expect(packets).toEqual([{ ...ONE, linkType: 1 }]);
      expect(error).toMatchObject({ code: "truncated", offset: second });
    }
  });
});

describe("a pcapng file", () => {
  test.each(ORDERS)("gives all its packets: %o", ({ littleEndian }) => {
    const file = pcapng(
      littleEndian,
      section,
      captureInterface(1),
      enhancedPacket(0, 1_700_000_000_123_456n, ONE.bytes),
      otherBlock(5, 20),
      captureInterface(101, { resolution: 9 }),
      enhancedPacket(1, TWO.timestamp, TWO.bytes),
      enhancedPacket(0, 0n, EMPTY.bytes),
    );
    expect(readCapture(file)).toEqual({
      packets: [
        { ...ONE, timestamp: 1_700_000_000_123_456_000n, linkType: 1 },
        { ...TWO, linkType: 101 },
        { ...EMPTY, linkType: 1 },
      ],
      error: undefined,
    });
  });

  test("may count time in powers of 2 and from another moment", () => {
    const file = pcapng(
      true,
      section,
      captureInterface(1, { resolution: 0x80 | 10 }),
      captureInterface(1, { resolution: 3, offset: -100n }),
      enhancedPacket(0, 3n * 1024n + 512n, ONE.bytes),
      enhancedPacket(1, 500_250n, ONE.bytes),
    );
    const times = readCapture(file).packets.map(({ timestamp }) => timestamp);
    expect(times).toEqual([3_500_000_000n, 400_250_000_000n]);
  });

  test.each(ORDERS)("may have packets without time: %o", ({ littleEndian }) => {
    const file = pcapng(
      littleEndian,
      section,
      captureInterface(229, { snapLength: 4 }),
      simplePacket(3, ONE.bytes),
      simplePacket(1500, TWO.bytes),
    );
    expect(readCapture(file)).toEqual({
      packets: [
        { timestamp: undefined, linkType: 229, bytes: ONE.bytes },
        { timestamp: undefined, linkType: 229, bytes: TWO.bytes },
      ],
      error: undefined,
    });
  });

  test("begins anew in each section, in its own byte order", () => {
    const first = pcapng(true, section, captureInterface(1), enhancedPacket(0, 0n, ONE.bytes));
    const second = pcapng(false, section, captureInterface(101), enhancedPacket(0, 0n, TWO.bytes));
    const { packets, error } = readCapture(Uint8Array.of(...first, ...second));
    expect(error).toBeUndefined();
    expect(packets.map(({ linkType }) => linkType)).toEqual([1, 101]);
    const forgotten = pcapng(false, section, enhancedPacket(0, 0n, TWO.bytes));
    expect(readCapture(Uint8Array.of(...first, ...forgotten)).error?.code).toBe("malformed");
  });

  test("that is cut gives what came before the cut", () => {
    const head = pcapng(true, section, captureInterface(1), enhancedPacket(0, 0n, ONE.bytes));
    const whole = Uint8Array.of(...head, ...enhancedPacket(0, 0n, TWO.bytes)(true));
    for (let length = head.length + 1; length < whole.length; length++) {
      const { packets, error } = readCapture(whole.subarray(0, length));
      expect(packets).toHaveLength(1);
      expect(error).toMatchObject({ code: "truncated", offset: head.length });
    }
  });

  const start = pcapng(true, section, captureInterface(1));

  test.each([
    ["a packet of an interface that was not described", enhancedPacket(1, 0n, ONE.bytes)],
    ["a packet that its block cannot hold", simplePacket(1500, TWO.bytes)],
    ["an interface without its fields", otherBlock(1, 4)],
    ["an enhanced packet without its fields", otherBlock(6, 16)],
  ])("with %s is malformed", (_, block) => {
    const { packets, error } = readCapture(Uint8Array.of(...start, ...block(true)));
    expect(packets).toEqual([]);
    expect(error?.code).toBe("malformed");
    expect(error?.offset).toBeGreaterThanOrEqual(start.length);
  });

  test.each([
    ["lengths that differ", -4, 0xff],
    ["a length that is no multiple of 4", 4, 0x1d],
    ["a length below 12", 4, 8],
  ])("with a block of %s is malformed", (_, at, value) => {
    const block = otherBlock(99, 16)(true);
    block[at < 0 ? block.length + at : at] = value;
    expect(readCapture(Uint8Array.of(...start, ...block)).error?.code).toBe("malformed");
  });

  test("without byte order is malformed", () => {
    const file = Uint8Array.from(start).fill(0, 8, 12);
    expect(readCapture(file).error).toMatchObject({ code: "malformed", offset: 8 });
  });

  test("with an option that reaches past its block is malformed", () => {
    const file = Uint8Array.from(start);
    file[file.length - 4 - 4 - 8 + 2] = 0xff;
    expect(readCapture(file).error?.code).toBe("malformed");
  });
});

describe("any file", () => {
  test("of another kind is unknown", () => {
    for (const file of [new Uint8Array(0), new Uint8Array(23), new Uint8Array(100).fill(7)]) {
      const { packets, error } = readCapture(file);
      expect(packets).toEqual([]);
      expect(error).toMatchObject({ code: "unknown-format", offset: 0 });
    }
  });

  test("is read without an exception", () => {
    const files = [
      pcap({ littleEndian: true, nanoseconds: true, linkType: 1 }, [ONE, TWO]),
      pcapng(
        true,
        section,
        captureInterface(1, { resolution: 9, offset: 5n }),
        enhancedPacket(0, ONE.timestamp, ONE.bytes),
        simplePacket(4, TWO.bytes),
      ),
    ].map((file) => arbitrary.mutated(fc.constant(file)));
    fc.assert(
      fc.property(fc.oneof(...files, arbitrary.bytes(100)), (file) => {
        const { packets } = readCapture(file);
        const octets = packets.reduce((sum, { bytes }) => sum + bytes.length, 0);
        expect(octets).toBeLessThanOrEqual(file.length);
      }),
      { numRuns: 5000 },
    );
  });
});
