import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ipv6FromFrame } from "../../src/wire/frame.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { octets } from "./support/vectors.ts";

const PACKET = Uint8Array.from({ length: 50 }, (_, i) => (i === 0 ? 0x60 : i));
const MAC = "0200000000010200000000ff";

function framed(header: string): Uint8Array {
  return header === "" ? PACKET : Uint8Array.of(...octets(header), ...PACKET);
}

describe("an IPv6 packet is found", () => {
  test.each([
    ["Ethernet", 1, `${MAC}86dd`],
    ["Ethernet with an 802.1Q tag", 1, `${MAC}8100006486dd`],
    ["Ethernet with 802.1ad and 802.1Q tags", 1, `${MAC}88a800648100006586dd`],
    ["raw IP", 101, ""],
    ["raw IPv6", 229, ""],
    ["Linux cooked", 113, "0000 0001 0006 0200000000010000 86dd"],
    ["Linux cooked, version 2", 276, "86dd 0000 00000002 0001 00 06 0200000000010000"],
    ["BSD loopback of Linux, little-endian", 0, "0a000000"],
    ["BSD loopback of FreeBSD, big-endian", 0, "0000001c"],
    ["BSD loopback of macOS, little-endian", 0, "1e000000"],
    ["BSD loopback of NetBSD, little-endian", 0, "18000000"],
  ])("in a frame of %s", (_, linkType, header) => {
    expect(ipv6FromFrame(linkType, framed(header))).toEqual({ kind: "ipv6", packet: PACKET });
  });
});

describe("another protocol is passed over", () => {
  test.each([
    ["IPv4 in Ethernet", 1, octets(`${MAC}0800 4500`)],
    ["an 802.1Q tag and then IPv4", 1, octets(`${MAC}810000640800 4500`)],
    ["IPv4 as raw IP", 101, octets("45000014")],
    ["ARP in Linux cooked", 113, octets("0000 0001 0006 0200000000010000 0806 0001")],
    [
      "ARP in Linux cooked, version 2",
      276,
      octets("0806 0000 00000002 0001 00 06 0200000000010000"),
    ],
    ["IPv4 in BSD loopback", 0, octets("02000000 45000014")],
    ["a frame that ends in its header", 1, octets(MAC)],
    ["nothing", 1, new Uint8Array(0)],
    ["nothing as raw IP", 101, new Uint8Array(0)],
    ["nothing in BSD loopback", 0, new Uint8Array(0)],
  ])("%s", (_, linkType, frame) => {
    expect(ipv6FromFrame(linkType, frame)).toEqual({ kind: "other" });
  });
});

test("an unknown link type is named as such", () => {
  expect(ipv6FromFrame(105, PACKET)).toEqual({ kind: "unknown-link-type" });
});

test("no frame raises an exception", () => {
  const linkType = fc.constantFrom(0, 1, 101, 113, 229, 276, 9);
  fc.assert(
    fc.property(linkType, arbitrary.bytes(60), (type, frame) => {
      expect(ipv6FromFrame(type, frame).kind).not.toBe("");
    }),
  );
});
