import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  findShim6Header,
  nextHeaderFieldOf,
  packetLength,
  shim6InsertionOffset,
  walkHeaders,
} from "../../src/wire/ipv6.ts";
import * as arbitrary from "./support/arbitraries.ts";
import {
  authentication,
  extension,
  fragment,
  ipv6,
  type Part,
  packet,
  upperLayer,
} from "./support/packets.ts";

const A = new Uint8Array(16).fill(0xaa);
const B = new Uint8Array(16).fill(0xbb);
const HOP_BY_HOP = extension(0, 0);
const ROUTING = extension(43, 2);
const DESTINATION = extension(60, 1);
const TCP = upperLayer(6, new Uint8Array(20));
const SHIM6 = upperLayer(140, new Uint8Array(16));

function build(...parts: readonly Part[]): Uint8Array {
  return ipv6(A, B, parts);
}

function insertionOffset(...parts: readonly Part[]) {
  const bytes = build(...parts);
  return shim6InsertionOffset(bytes, bytes.length);
}

describe("the Shim6 header goes", () => {
  test.each<[string, number, Part[]]>([
    ["directly behind the IPv6 header", 40, [TCP]],
    ["behind Hop-by-Hop Options", 48, [HOP_BY_HOP, TCP]],
    ["behind a Routing header", 64, [ROUTING, TCP]],
    ["behind Hop-by-Hop Options and Routing", 72, [HOP_BY_HOP, ROUTING, TCP]],
    ["before Destination Options", 40, [DESTINATION, TCP]],
    ["behind Destination Options that precede Routing", 80, [DESTINATION, ROUTING, TCP]],
    [
      "between the two Destination Options around Routing",
      88,
      [HOP_BY_HOP, DESTINATION, ROUTING, DESTINATION, TCP],
    ],
    ["before Fragment", 48, [HOP_BY_HOP, fragment(0, true), TCP]],
    ["before the Fragment header of a later fragment", 64, [ROUTING, fragment(9, false), TCP]],
    ["before Fragment, even with Routing behind it", 40, [fragment(0, true), ROUTING, TCP]],
    ["before Authentication", 48, [HOP_BY_HOP, authentication(4), TCP]],
    ["before ESP", 40, [upperLayer(50, new Uint8Array(24))]],
    ["behind nothing when there is nothing", 40, [upperLayer(59, new Uint8Array(0))]],
    ["before Hop-by-Hop Options that stand where they must not", 64, [ROUTING, HOP_BY_HOP, TCP]],
  ])("%s (RFC 5533 sections 4.6 and 11.1)", (_, offset, parts) => {
    expect(insertionOffset(...parts)).toBe(offset);
  });

  test("nowhere when a header before it is cut", () => {
    const bytes = build(HOP_BY_HOP, ROUTING);
    for (const length of [40, 41, 47, 48, 49, 71]) {
      expect(shim6InsertionOffset(bytes, length)).toBe("truncated");
      expect(shim6InsertionOffset(bytes.subarray(0, length), length)).toBe("truncated");
    }
  });

  test("nowhere when there are more headers than any packet has", () => {
    const many = Array.from({ length: 17 }, () => ROUTING);
    expect(insertionOffset(...many, TCP)).toBe("too-many-headers");
    expect(insertionOffset(...many.slice(1), TCP)).toBe(40 + 16 * ROUTING.octets.length);
  });
});

describe("the Shim6 header is found", () => {
  test("behind headers of the routing sublayer and Destination Options", () => {
    const bytes = build(HOP_BY_HOP, DESTINATION, ROUTING, DESTINATION, SHIM6);
    const offset = findShim6Header(bytes, bytes.length);
    expect(offset).toBe(bytes.length - 16);
    expect(nextHeaderFieldOf(bytes, Number(offset))).toBe(bytes.length - 32);
    expect(nextHeaderFieldOf(bytes, 40)).toBe(6);
  });

  test("nowhere else", () => {
    for (const parts of [
      [TCP],
      [fragment(0, false), SHIM6],
      [authentication(4), SHIM6],
      [ROUTING, HOP_BY_HOP, SHIM6],
      [upperLayer(59, SHIM6.octets)],
    ]) {
      const bytes = build(...parts);
      expect(findShim6Header(bytes, bytes.length)).toBe("no-payload-header");
    }
  });
});

describe("a packet", () => {
  test("ends where its Payload Length says", () => {
    const bytes = build(TCP);
    expect(packetLength(bytes)).toBe(60);
    expect(packetLength(Uint8Array.of(...bytes, 0, 0, 0))).toBe(60);
    expect(packetLength(bytes.subarray(0, 59))).toBe("truncated");
  });

  test("has a header of version 6", () => {
    expect(packetLength(new Uint8Array(0))).toBe("not-ipv6");
    expect(packetLength(build(TCP).subarray(0, 39))).toBe("not-ipv6");
    expect(packetLength(build(TCP).fill(0x45, 0, 1))).toBe("not-ipv6");
  });

  test("with more than Payload Length can say is a jumbogram", () => {
    const bytes = build(TCP).fill(0, 4, 6);
    expect(packetLength(bytes)).toBe("jumbogram");
    expect(packetLength(bytes.subarray(0, 40))).toBe(40);
  });
});

function offsetsIn(bytes: Uint8Array): number[] {
  const length = packetLength(bytes);
  if (typeof length === "string") return [];
  const offsets = [shim6InsertionOffset(bytes, length), findShim6Header(bytes, length)];
  return offsets.filter((offset) => typeof offset === "number");
}

describe("walking the headers", () => {
  test("names them all in order", () => {
    const parts = [
      HOP_BY_HOP,
      DESTINATION,
      ROUTING,
      fragment(0, true),
      authentication(4),
      DESTINATION,
      TCP,
    ];
    expect(walkHeaders(build(...parts))).toEqual({
      ok: true,
      value: {
        extensions: [
          { protocol: 0, offset: 40, length: 8 },
          { protocol: 60, offset: 48, length: 16 },
          { protocol: 43, offset: 64, length: 24 },
          { protocol: 44, offset: 88, length: 8 },
          { protocol: 51, offset: 96, length: 24 },
          { protocol: 60, offset: 120, length: 16 },
        ],
        protocol: 6,
        offset: 136,
        fragment: "first",
      },
    });
  });

  test.each([
    ["none", fragment(0, false)],
    ["first", fragment(0, true)],
    ["later", fragment(1, true)],
    ["later", fragment(185, false)],
  ])("says that it is the fragment: %s", (kind, part) => {
    const chain = walkHeaders(build(part, TCP));
    expect(chain.ok && chain.value.fragment).toBe(kind);
  });

  test("does not mind the reserved bits of Fragment", () => {
    const part = fragment(0, false);
    part.octets[3] = 6;
    const chain = walkHeaders(build(part, TCP));
    expect(chain.ok && chain.value.fragment).toBe("none");
  });

  test("ends in a later fragment, whose content is no header", () => {
    const chain = walkHeaders(build(fragment(2, false), DESTINATION, TCP));
    expect(chain.ok && chain.value).toMatchObject({ offset: 48, protocol: 60, fragment: "later" });
  });

  test.each([50, 59, 140, 6])("ends at protocol %d", (protocol) => {
    const chain = walkHeaders(build(ROUTING, upperLayer(protocol, new Uint8Array(8))));
    expect(chain.ok && chain.value).toMatchObject({ offset: 64, protocol });
  });

  test("goes on in a packet that is cut behind its headers", () => {
    const chain = walkHeaders(build(ROUTING, TCP).subarray(0, 64));
    expect(chain.ok && chain.value).toMatchObject({ offset: 64, protocol: 6 });
  });

  test("fails when a header is cut, by the octets or by Payload Length", () => {
    const cut = { ok: false, error: "truncated" };
    expect(walkHeaders(build(ROUTING, TCP).subarray(0, 63))).toEqual(cut);
    expect(walkHeaders(build(ROUTING, TCP).fill(23, 5, 6))).toEqual(cut);
    expect(walkHeaders(build(ROUTING, TCP).fill(0, 5, 6))).toEqual(cut);
  });

  test("never throws and stays within the packet", () => {
    fc.assert(
      fc.property(fc.oneof(arbitrary.bytes(200), arbitrary.mutated(packet)), (bytes) => {
        const chain = walkHeaders(bytes);
        const offsets = [chain.ok ? chain.value.offset : 0, ...offsetsIn(bytes)];
        expect(Math.max(...offsets)).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 3000 },
    );
  });
});
