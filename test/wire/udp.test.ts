import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { onesComplementSum } from "../../src/wire/checksum.ts";
import { buildPacketTooBig, parseIcmpError, translateIcmpError } from "../../src/wire/icmp6.ts";
import {
  addPayloadHeader,
  findPayloadHeader,
  removePayloadHeader,
} from "../../src/wire/payload.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { writeUdpHeader } from "../../src/wire/udp.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { ipv6, octets16, packet, upperLayer } from "./support/packets.ts";

const PORT = 61_140;
const TAG = contextTag(0x7edcba987654);
const [ULID_A, ULID_B, LOCATOR_A, LOCATOR_B, ROUTER] = [1, 2, 3, 4, 5].map((n) =>
  new Uint8Array(16).fill(n),
) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
const PLAIN = ipv6(ULID_A, ULID_B, [
  upperLayer(
    17,
    Uint8Array.from({ length: 40 }, (_, i) => i),
  ),
]);

function encapsulate(plain: Uint8Array): Uint8Array {
  const added = addPayloadHeader(plain, LOCATOR_A, LOCATOR_B, TAG, PORT);
  if (!added.ok) throw new Error(added.error);
  return added.value;
}

/** Of what stands behind the IPv6 header, with the pseudo-header of UDP: 0xffff when it is right. */
function udpSum(bytes: Uint8Array): number {
  const length = bytes.length - 40;
  return onesComplementSum(bytes, 40, bytes.length, onesComplementSum(bytes, 8, 40) + length + 17);
}

describe("payload in UDP", () => {
  test("is the payload header and the rest behind a UDP header", () => {
    const bytes = encapsulate(PLAIN);
    expect(bytes).toHaveLength(PLAIN.length + 16);
    expect([bytes[6], ...bytes.slice(40, 46)]).toEqual([17, 0xee, 0xd4, 0xee, 0xd4, 0, 56]);
    expect([...bytes.slice(48, 56)]).toEqual([17, 0, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54]);
    expect(bytes.slice(56)).toEqual(PLAIN.slice(40));
    expect(udpSum(bytes)).toBe(0xffff);
  });

  test("comes back, whatever the extension headers", () => {
    fc.assert(
      fc.property(packet, octets16, octets16, arbitrary.tag, (plain, source, destination, tag) => {
        const added = addPayloadHeader(plain, source, destination, tag, PORT);
        if (!added.ok) throw new Error(added.error);
        const found = findPayloadHeader(added.value, PORT);
        expect(found.ok && found.value).toMatchObject({ encapsulated: true, tag });
        const ulids = [plain.subarray(8, 24), plain.subarray(24, 40)] as const;
        const removed = removePayloadHeader(added.value, ...ulids, PORT);
        expect(removed).toEqual({ ok: true, value: plain });
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["without the setting", undefined],
    ["where the setting says another port", PORT + 1],
  ])("is none %s", (_, port) => {
    const none = { ok: false, error: "no-payload-header" };
    expect(findPayloadHeader(encapsulate(PLAIN), port)).toEqual(none);
    expect(removePayloadHeader(encapsulate(PLAIN), ULID_A, ULID_B, port)).toEqual(none);
  });

  test("is none with another source port", () => {
    const bytes = encapsulate(PLAIN);
    bytes[41] = 0;
    expect(findPayloadHeader(bytes, PORT)).toEqual({ ok: false, error: "no-payload-header" });
  });

  test("beside it plain payload is taken as ever", () => {
    const added = addPayloadHeader(PLAIN, LOCATOR_A, LOCATOR_B, TAG);
    if (!added.ok) throw new Error(added.error);
    const removed = removePayloadHeader(added.value, ULID_A, ULID_B, PORT);
    expect(removed).toEqual({ ok: true, value: PLAIN });
  });

  test("a checksum that comes out as 0 is sent as 0xffff", () => {
    const bytes = encapsulate(PLAIN);
    const checksum = ((bytes[46] as number) << 8) | (bytes[47] as number);
    // One more in a word of the payload is one less in the checksum.
    const word = (((bytes[56] as number) << 8) | (bytes[57] as number)) + checksum;
    bytes[56] = (word >> 8) & 0xff;
    bytes[57] = (word & 0xff) + (word >> 16);
    writeUdpHeader(bytes, 40, bytes.length, PORT);
    expect([bytes[46], bytes[47]]).toEqual([0xff, 0xff]);
    expect(udpSum(bytes)).toBe(0xffff);
  });

  test("never throws", () => {
    const added = packet.map(encapsulate);
    fc.assert(
      fc.property(fc.oneof(arbitrary.bytes(300), arbitrary.mutated(added)), (bytes) => {
        const found = findPayloadHeader(bytes, PORT);
        expect(removePayloadHeader(bytes, ULID_A, ULID_B, PORT).ok).toBe(found.ok);
      }),
      { numRuns: 2000 },
    );
  });
});

test("a Packet Too Big about it is one about the ULP's packet, 16 octets less", () => {
  const message = buildPacketTooBig(ROUTER, LOCATOR_A, 1400, encapsulate(PLAIN));
  const received = ipv6(ROUTER, LOCATOR_A, [upperLayer(58, message)]);
  const result = translateIcmpError(received, ULID_A, ULID_B, PORT);
  if (!result.ok) throw new Error(result.error);
  const error = parseIcmpError(result.value.subarray(40));
  expect(error.ok && error.value.parameter).toBe(1384);
  expect(error.ok && error.value.packetInError).toEqual(PLAIN);
  expect(translateIcmpError(received, ULID_A, ULID_B)).toMatchObject({ ok: false });
});
