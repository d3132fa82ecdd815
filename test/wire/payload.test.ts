import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressToBytes, parseAddress } from "../../src/wire/address.ts";
import { onesComplementSum } from "../../src/wire/checksum.ts";
import { toHex } from "../../src/wire/hex.ts";
import {
  addPayloadHeader,
  findPayloadHeader,
  removePayloadHeader,
  writeRestored,
  writeRewritten,
} from "../../src/wire/payload.ts";
import {
  decodePayloadHeader,
  isPayloadHeader,
  writePayloadHeader,
} from "../../src/wire/payload-header.ts";
import { contextTag } from "../../src/wire/tag.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { extension, fragment, ipv6, octets16, packet, upperLayer } from "./support/packets.ts";
import { octets, vector } from "./support/vectors.ts";

const TAG = contextTag(0x7edcba987654);
const [A0, B0, A1, B1] = [
  "2001:db8:a:1:34ad:2857:c748:70d0",
  "2001:db8:a:1:2c7c:fe37:8367:ca70",
  "2001:db8:b:1:2469:cfd6:558e:34c6",
  "2001:db8:b:1:34b0:c63e:65c8:8479",
].map((text) => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return addressToBytes(address);
}) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

const UDP = octets("0fa0138800131ca668656c6c6f207368696d36");
const PAYLOAD = octets(vector("Payload-UDP").shim6);
/** The packet of the vector as its ULP sent it, and on the wire. */
const PLAIN = ipv6(A0, B0, [upperLayer(17, UDP)]);
const REWRITTEN = ipv6(A1, B1, [upperLayer(140, PAYLOAD)]);

describe("a payload header", () => {
  test("is the vector's", () => {
    expect(decodePayloadHeader(PAYLOAD)).toEqual({
      ok: true,
      value: { nextHeader: 17, receiverContextTag: TAG },
    });
    const target = new Uint8Array(10).fill(0xee);
    writePayloadHeader(target, 1, 17, TAG);
    expect(toHex(target)).toBe("ee1100fedcba987654ee");
  });

  test("is told by P = 1, against RFC 5533 section 12", () => {
    expect(isPayloadHeader(PAYLOAD)).toBe(true);
    expect(isPayloadHeader(octets(vector("I1").shim6))).toBe(false);
    expect(isPayloadHeader(REWRITTEN, 40)).toBe(true);
    expect(isPayloadHeader(new Uint8Array(0))).toBe(false);
  });

  test.each([
    ["fewer than 8 octets", "1100fedcba9876", "truncated", 7],
    ["P = 0", "11007edcba987654", "wrong-kind", 2],
    ["a length", "1101fedcba9876540000000000000000", "header-length", 1],
  ])("with %s is none", (_, hex, code, offset) => {
    const decoded = decodePayloadHeader(octets(hex));
    expect(!decoded.ok && decoded.error).toMatchObject({ code, offset });
  });

  test("gives back every tag", () => {
    fc.assert(
      fc.property(arbitrary.tag, fc.nat(255), (receiverContextTag, nextHeader) => {
        const bytes = new Uint8Array(8);
        writePayloadHeader(bytes, 0, nextHeader, receiverContextTag);
        const value = { nextHeader, receiverContextTag };
        expect(decodePayloadHeader(bytes)).toEqual({ ok: true, value });
      }),
    );
  });
});

describe("rewriting", () => {
  test("makes the vector's packet, octet for octet", () => {
    const added = addPayloadHeader(PLAIN, A1, B1, TAG);
    expect(added.ok && toHex(added.value)).toBe(toHex(REWRITTEN));
    expect(REWRITTEN).toHaveLength(vector("Payload-UDP").length);
    const removed = removePayloadHeader(REWRITTEN, A0, B0);
    expect(removed.ok && toHex(removed.value)).toBe(toHex(PLAIN));
  });

  test("leaves the ULP checksum, which covers the ULIDs", () => {
    const removed = removePayloadHeader(REWRITTEN, A0, B0);
    if (!removed.ok) throw new Error(removed.error);
    const pseudoHeader = onesComplementSum(removed.value, 8, 40, 17 + UDP.length);
    expect(onesComplementSum(removed.value, 40, removed.value.length, pseudoHeader)).toBe(0xffff);
  });

  test("is undone by its reverse, whatever the extension headers", () => {
    fc.assert(
      fc.property(packet, octets16, octets16, arbitrary.tag, (plain, source, destination, tag) => {
        const added = addPayloadHeader(plain, source, destination, tag);
        if (!added.ok) throw new Error(added.error);
        expect(added.value).toHaveLength(plain.length + 8);
        expect(added.value.slice(8, 24)).toEqual(source);
        expect(added.value.slice(24, 40)).toEqual(destination);
        const found = findPayloadHeader(added.value);
        expect(found.ok && found.value.tag).toBe(tag);
        const ulids = [plain.subarray(8, 24), plain.subarray(24, 40)] as const;
        expect(removePayloadHeader(added.value, ...ulids)).toEqual({ ok: true, value: plain });
      }),
      { numRuns: 1000 },
    );
  });

  test("writes into the middle of an array, and the same", () => {
    const port = fc.option(fc.constant(61_140), { nil: undefined });
    const [before, behind] = [fc.integer({ min: 16, max: 60 }), fc.nat(30)];
    fc.assert(
      fc.property(packet, octets16, octets16, before, behind, port, (plain, ...rest) => {
        const [source, destination, at, spare, udpPort] = rest;
        const addresses = Uint8Array.of(...source, ...destination);
        const added = addPayloadHeader(plain, source, destination, TAG, udpPort);
        if (!added.ok) throw new Error(added.error);
        const end = at + added.value.length;
        const target = new Uint8Array(end + spare).fill(0xee);
        const written = writeRewritten(target, at, plain, addresses, TAG, udpPort);
        expect(target.subarray(at, end)).toEqual(added.value);
        expect(written).toBe(added.value.length);
        target.fill(0xee, at, end);
        expect(target.every((octet) => octet === 0xee)).toBe(true);

        const header = findPayloadHeader(added.value, udpPort);
        if (!header.ok) throw new Error(header.error);
        const restored = removePayloadHeader(added.value, source, destination, udpPort);
        if (!restored.ok) throw new Error(restored.error);
        expect(writeRestored(target, at, added.value, header.value, addresses)).toBe(plain.length);
        expect(target.subarray(at, at + plain.length)).toEqual(restored.value);
        target.fill(0xee, at - 16, at + plain.length);
        expect(target.every((octet) => octet === 0xee)).toBe(true);
      }),
    );
  });

  test("leaves out what the link layer put behind the packet", () => {
    const behind = Uint8Array.of(...PLAIN, 1, 2, 3);
    const added = addPayloadHeader(behind, A1, B1, TAG);
    expect(added.ok && toHex(added.value)).toBe(toHex(REWRITTEN));
    const removed = removePayloadHeader(Uint8Array.of(...REWRITTEN, 1, 2, 3), A0, B0);
    expect(removed.ok && toHex(removed.value)).toBe(toHex(PLAIN));
  });

  test("does not change the packet that it is given", () => {
    const before = toHex(PLAIN);
    addPayloadHeader(PLAIN, A1, B1, TAG);
    expect(toHex(PLAIN)).toBe(before);
  });

  test("refuses an array that is too small", () => {
    const target = new Uint8Array(PLAIN.length);
    const addresses = Uint8Array.of(...A1, ...B1);
    expect(() => writeRewritten(target, 0, PLAIN, addresses, TAG)).toThrow(RangeError);
  });

  test("refuses a packet that would be too long", () => {
    const longest = ipv6(A0, B0, [upperLayer(17, new Uint8Array(65527))]);
    const added = addPayloadHeader(longest, A1, B1, TAG);
    expect(added.ok && added.value.length).toBe(40 + 65535);
    const tooLong = ipv6(A0, B0, [upperLayer(17, new Uint8Array(65528))]);
    expect(addPayloadHeader(tooLong, A1, B1, TAG)).toEqual({ ok: false, error: "too-long" });
  });

  test("refuses jumbograms and packets that are cut", () => {
    const jumbogram = Uint8Array.from(PLAIN).fill(0, 4, 6);
    const refused = { ok: false, error: "jumbogram" };
    expect(addPayloadHeader(jumbogram, A1, B1, TAG)).toEqual(refused);
    const cut = REWRITTEN.subarray(0, REWRITTEN.length - 1);
    const truncated = { ok: false, error: "truncated" };
    expect(addPayloadHeader(cut, A1, B1, TAG)).toEqual(truncated);
    expect(removePayloadHeader(cut, A0, B0)).toEqual(truncated);
    expect(findPayloadHeader(cut)).toEqual(truncated);
  });
});

describe("finding the payload header", () => {
  test("says where it is and what it carries", () => {
    const parts = [extension(0, 0), extension(43, 1), upperLayer(140, PAYLOAD)];
    expect(findPayloadHeader(ipv6(A1, B1, parts))).toEqual({
      ok: true,
      value: { offset: 64, encapsulated: false, tag: TAG, nextHeader: 17, length: 91 },
    });
  });

  test.each([
    ["there is none", PLAIN, "no-payload-header"],
    [
      "the Shim6 header is a control message",
      ipv6(A1, B1, [upperLayer(140, octets(vector("I1").shim6))]),
      "no-payload-header",
    ],
    [
      "Hdr Ext Len is not 0",
      ipv6(A1, B1, [upperLayer(140, octets("1101fedcba9876540000000000000000"))]),
      "no-payload-header",
    ],
    [
      "the packet is a fragment",
      ipv6(A1, B1, [fragment(0, true), upperLayer(140, PAYLOAD)]),
      "no-payload-header",
    ],
    ["it is cut", ipv6(A1, B1, [upperLayer(140, PAYLOAD.subarray(0, 7))]), "truncated"],
  ])("fails when %s", (_, bytes, error) => {
    expect(findPayloadHeader(bytes)).toEqual({ ok: false, error });
    expect(removePayloadHeader(bytes, A0, B0)).toEqual({ ok: false, error });
  });

  test("never throws", () => {
    const added = packet.map((plain) => {
      const result = addPayloadHeader(plain, A1, B1, TAG);
      if (!result.ok) throw new Error(result.error);
      return result.value;
    });
    fc.assert(
      fc.property(fc.oneof(arbitrary.bytes(300), arbitrary.mutated(added)), (bytes) => {
        const found = findPayloadHeader(bytes);
        const removed = removePayloadHeader(bytes, A0, B0);
        expect(removed.ok).toBe(found.ok);
        addPayloadHeader(bytes, A1, B1, TAG);
      }),
      { numRuns: 3000 },
    );
  });
});
