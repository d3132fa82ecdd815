import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/wire/hex.ts";
import {
  buildIcmpError,
  buildPacketTooBig,
  buildParameterProblem,
  findQuotedPayload,
  icmpChecksum,
  parseIcmpError,
  translateIcmpError,
} from "../../src/wire/icmp6.ts";
import { addPayloadHeader } from "../../src/wire/payload.ts";
import { contextTag } from "../../src/wire/tag.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { extension, fragment, ipv6, octets16, packet, upperLayer } from "./support/packets.ts";
import { octets, vector } from "./support/vectors.ts";

const TAG = contextTag(0x7edcba987654);
const [ULID_A, ULID_B, LOCATOR_A, LOCATOR_B, ROUTER] = [1, 2, 3, 4, 5].map((n) =>
  octets(`20010db8 0000000${n} 00000000 00000001`),
) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];

const UDP = Uint8Array.from({ length: 40 }, (_, i) => i);
const PLAIN = ipv6(ULID_A, ULID_B, [extension(0, 0), upperLayer(17, UDP)]);
const REWRITTEN = rewrite(PLAIN);

function rewrite(plain: Uint8Array): Uint8Array {
  const added = addPayloadHeader(plain, LOCATOR_A, LOCATOR_B, TAG);
  if (!added.ok) throw new Error(added.error);
  return added.value;
}

/** The packet in which a router tells `LOCATOR_A` of an error. */
function fromRouter(message: Uint8Array): Uint8Array {
  return ipv6(ROUTER, LOCATOR_A, [upperLayer(58, message)]);
}

function tooBig(mtu: number, quoted = REWRITTEN): Uint8Array {
  return fromRouter(buildPacketTooBig(ROUTER, LOCATOR_A, mtu, quoted));
}

function parameterProblem(code: number, pointer: number): Uint8Array {
  return fromRouter(buildParameterProblem(ROUTER, LOCATOR_A, code, pointer, REWRITTEN));
}

function translate(bytes: Uint8Array) {
  return translateIcmpError(bytes, ULID_A, ULID_B);
}

/** The ICMPv6 error in a translated packet. */
function translated(bytes: Uint8Array) {
  const result = translate(bytes);
  if (!result.ok) throw new Error(result.error);
  const error = parseIcmpError(result.value.subarray(40));
  if (!error.ok) throw new Error(error.error);
  return error.value;
}

describe("the ICMPv6 checksum", () => {
  test("is what Linux computed for a ping to ::1", () => {
    const loopback = octets("0000000000000000 0000000000000001");
    const message = octets("8000 0000 517c 0001 000102030405060708");
    expect(icmpChecksum(loopback, loopback, message)).toBe(0x1a25);
  });

  test("makes the sum over a message 0, odd lengths too", () => {
    fc.assert(
      fc.property(octets16, octets16, arbitrary.bytes(99, 4), (source, destination, message) => {
        message.fill(0, 2, 4);
        const checksum = icmpChecksum(source, destination, message);
        message.set([checksum >> 8, checksum & 0xff], 2);
        expect(icmpChecksum(source, destination, message)).toBe(0);
      }),
    );
  });
});

describe("ICMPv6 errors", () => {
  test("read back what they were built from", () => {
    const message = buildPacketTooBig(ROUTER, LOCATOR_A, 1400, PLAIN);
    expect([...message.subarray(0, 2)]).toEqual([2, 0]);
    expect(icmpChecksum(ROUTER, LOCATOR_A, message)).toBe(0);
    const parsed = parseIcmpError(message);
    expect(parsed.ok && parsed.value).toMatchObject({ type: 2, code: 0, parameter: 1400 });
    expect(parsed.ok && toHex(parsed.value.packetInError)).toBe(toHex(PLAIN));
  });

  test("have code and pointer in a Parameter Problem", () => {
    const parsed = parseIcmpError(buildParameterProblem(ROUTER, LOCATOR_A, 1, 42, PLAIN));
    expect(parsed.ok && parsed.value).toMatchObject({ type: 4, code: 1, parameter: 42 });
  });

  test("do not exceed 1280 octets with the IPv6 header", () => {
    const long = ipv6(ULID_A, ULID_B, [upperLayer(17, new Uint8Array(1400))]);
    expect(buildPacketTooBig(ROUTER, LOCATOR_A, 1400, long)).toHaveLength(1240);
  });

  test("end the packet in error where RFC 4884 says", () => {
    const body = new Uint8Array(8 + 128 + 12).fill(0xee);
    body.set([1, 0, 0, 0, 16, 0, 0, 0]);
    const parsed = parseIcmpError(body);
    expect(parsed.ok && parsed.value.packetInError.length).toBe(128);
    body[4] = 255;
    const claimsMore = parseIcmpError(body);
    expect(claimsMore.ok && claimsMore.value.packetInError.length).toBe(140);
  });

  test("have types below 128 and 8 octets", () => {
    const echo = octets("8000 0000 0001 0001");
    expect(parseIcmpError(echo)).toEqual({ ok: false, error: "not-icmp-error" });
    const cut = octets("0200 0000 0001 00");
    expect(parseIcmpError(cut)).toEqual({ ok: false, error: "truncated" });
  });
});

describe("finding the payload header in an error", () => {
  test("gives the peer's tag and the places", () => {
    const found = findQuotedPayload(tooBig(1400));
    expect(found.ok && found.value).toMatchObject({ icmpOffset: 40, tag: TAG, headerOffset: 48 });
  });

  test.each([
    ["an echo request", fromRouter(octets("8000000000010001")), "not-icmp-error"],
    ["no ICMPv6", PLAIN, "not-icmp-error"],
    ["a plain packet", tooBig(1400, PLAIN), "no-payload-header"],
    [
      "a control message",
      tooBig(1400, ipv6(ULID_A, ULID_B, [upperLayer(140, octets(vector("I1").shim6))])),
      "no-payload-header",
    ],
    [
      "a later fragment",
      tooBig(1400, ipv6(ULID_A, ULID_B, [fragment(9, false), upperLayer(140, new Uint8Array(8))])),
      "no-payload-header",
    ],
    ["a payload header that is cut", tooBig(1400, REWRITTEN.subarray(0, 55)), "truncated"],
    ["an IPv6 header that is cut", tooBig(1400, REWRITTEN.subarray(0, 39)), "not-ipv6"],
    [
      "a fragment of an error",
      ipv6(ROUTER, LOCATOR_A, [fragment(0, true), upperLayer(58, tooBig(1400).subarray(40))]),
      "not-icmp-error",
    ],
  ])("fails for %s", (_, bytes, error) => {
    expect(findQuotedPayload(bytes)).toEqual({ ok: false, error });
    expect(translate(bytes)).toEqual({ ok: false, error });
  });

  test("is content with a quotation that ends behind the header", () => {
    expect(findQuotedPayload(tooBig(1400, REWRITTEN.subarray(0, 56))).ok).toBe(true);
  });
});

describe("translating an error", () => {
  test("gives the ULP the packet that it sent, from the same router, to its ULID", () => {
    const result = translate(tooBig(1400));
    if (!result.ok) throw new Error(result.error);
    expect(toHex(result.value.subarray(8, 24))).toBe(toHex(ROUTER));
    expect(toHex(result.value.subarray(24, 40))).toBe(toHex(ULID_A));
    expect(result.value).toHaveLength(tooBig(1400).length - 8);
    expect(((result.value[4] as number) << 8) | (result.value[5] as number)).toBe(
      result.value.length - 40,
    );
    expect(toHex(translated(tooBig(1400)).packetInError)).toBe(toHex(PLAIN));
    expect(icmpChecksum(ROUTER, ULID_A, result.value.subarray(40))).toBe(0);
  });

  test.each([
    [1500, 1492],
    [1289, 1281],
    [1288, 1280],
    [1287, 1280],
    [1280, 1280],
    [1279, 1279],
    [65535, 65527],
  ])("makes an MTU of %d one of %d", (mtu, expected) => {
    expect(translated(tooBig(mtu)).parameter).toBe(expected);
  });

  test.each([
    [0, 0, 0],
    [0, 40, 40],
    [2, 47, 47],
    [0, 56, 48],
    [2, 100, 92],
  ])("of a Parameter Problem of code %d moves the pointer %d to %d", (code, pointer, expected) => {
    const error = translated(parameterProblem(code, pointer));
    expect(error).toMatchObject({ type: 4, code, parameter: expected });
  });

  test.each([
    [0, 48],
    [0, 55],
    [1, 50],
    // Offset 40 is the Next Header octet that says 140: someone does not know Shim6.
    [1, 40],
  ])("fails when it is about the payload header: code %d, pointer %d", (code, pointer) => {
    const refused = { ok: false, error: "about-shim6-header" };
    expect(translate(parameterProblem(code, pointer))).toEqual(refused);
  });

  test("keeps type and code, and leaves out the extensions of RFC 4884", () => {
    const fields = { type: 1, code: 3, parameter: 0 };
    const message = buildIcmpError(ROUTER, LOCATOR_A, fields, REWRITTEN);
    const units = Math.ceil(REWRITTEN.length / 8);
    const extended = new Uint8Array(8 + 8 * units + 12).fill(0xee);
    extended.set(message);
    extended[4] = units;
    const error = translated(fromRouter(extended));
    expect(error).toMatchObject({ type: 1, code: 3, parameter: 0 });
    expect(error.packetInError.length).toBe(8 * units - 8);
  });

  test("works behind extension headers of the error itself", () => {
    const message = tooBig(1400).subarray(40);
    const parts = [extension(60, 0), upperLayer(58, message)];
    const result = translate(ipv6(ROUTER, LOCATOR_A, parts));
    expect(result.ok && toHex(result.value.subarray(48 + 8))).toBe(toHex(PLAIN));
  });

  test("gives the quotation that the ULP would have got, for all packets", () => {
    fc.assert(
      fc.property(packet, fc.integer({ min: 0, max: 1232 }), (plain, length) => {
        const quoted = rewrite(plain).subarray(0, length);
        const found = findQuotedPayload(tooBig(1400, quoted));
        fc.pre(found.ok);
        const expected = Uint8Array.from(plain.subarray(0, quoted.length - 8));
        expected.set(ULID_A, 8);
        expected.set(ULID_B, 24);
        expect(toHex(translated(tooBig(1400, quoted)).packetInError)).toBe(toHex(expected));
      }),
      { numRuns: 500 },
    );
  });

  test("never throws", () => {
    fc.assert(
      fc.property(
        fc.oneof(arbitrary.bytes(300), arbitrary.mutated(fc.constant(tooBig(1400)))),
        (bytes) => {
          expect(translate(bytes).ok || !findQuotedPayload(bytes).ok || bytes[40] === 4).toBe(true);
        },
      ),
      { numRuns: 5000 },
    );
  });
});
