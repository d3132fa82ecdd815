import { isIPv6 } from "node:net";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { describe, expect, test } from "vitest";
import {
  addressFromBytes,
  addressToBytes,
  isLinkLocal,
  isMulticast,
  isUnspecified,
  parseAddress,
  writeAddress,
} from "../../src/wire/address.ts";
import * as arbitrary from "./support/arbitraries.ts";

const octets = arbitrary.bytes(16, 16);
/** Texts that are near to addresses: most are none. */
const almostAddress = fc
  .array(
    fc.constantFrom(
      ":",
      "::",
      "0",
      "1",
      "db8",
      "FFFF",
      "2001",
      "1.2.3.4",
      "1.2.3.04",
      "256",
      "g",
      ".",
      "01",
    ),
    {
      maxLength: 17,
    },
  )
  .map((parts) => parts.join(""));

describe("addresses", () => {
  test("read back the octets that they were made of", () => {
    fc.assert(
      fc.property(octets, (bytes) => {
        expect(addressToBytes(addressFromBytes(bytes))).toEqual(bytes);
      }),
    );
  });

  test("are written in the canonical text of RFC 5952, as ipaddr.js writes it", () => {
    fc.assert(
      fc.property(arbitrary.address, (address) => {
        expect(address).toBe(ipaddr.IPv6.parse(address).toRFC5952String());
        expect(parseAddress(address)).toBe(address);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["fe80:0:0:0:0:0:0:1", "fe80::1"],
  ])("%s is %s", (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical);
  });

  test("are accepted where node:net accepts them, and nowhere else", () => {
    fc.assert(
      fc.property(fc.oneof(almostAddress, fc.ipV6(), fc.string()), (text) => {
        fc.pre(!text.includes("%"));
        expect(parseAddress(text) !== undefined).toBe(isIPv6(text));
      }),
      { numRuns: 5000 },
    );
  });

  test("mean the same as with ipaddr.js", () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        // ipaddr.js takes "::0.0.0.0" for ::ffff:0:0, against RFC 4291 section 2.2.
        fc.pre(!text.includes("."));
        const address = parseAddress(text);
        expect(address).toBeDefined();
        if (address === undefined) return;
        expect([...addressToBytes(address)]).toEqual(ipaddr.IPv6.parse(text).toByteArray());
      }),
    );
  });

  test("with a zone are none", () => {
    expect(parseAddress("fe80::1%eth0")).toBeUndefined();
  });

  test("end within the array", () => {
    expect(() => addressFromBytes(new Uint8Array(20), 5)).toThrow(RangeError);
    expect(() => addressFromBytes(new Uint8Array(20), -1)).toThrow(RangeError);
    expect(addressFromBytes(new Uint8Array(20), 4)).toBe("::");
  });

  test("are written where they should be, and nothing else is", () => {
    const target = new Uint8Array(20).fill(0xee);
    const address = parseAddress("2001:db8::1");
    if (address === undefined) throw new Error("no address");
    writeAddress(address, target, 2);
    expect([...target]).toEqual([
      0xee, 0xee, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xee, 0xee,
    ]);
  });

  test("are of the kinds that ipaddr.js says", () => {
    const first = fc.constantFrom(0xff00, 0xff02, 0xfe80, 0xfebf, 0xfec0, 0x00ff, 0x2001, 0);
    fc.assert(
      fc.property(first, octets, (group, bytes) => {
        const copy = Uint8Array.of(group >> 8, group & 0xff, ...bytes.subarray(2));
        const address = addressFromBytes(copy);
        const range = ipaddr.IPv6.parse(address).range();
        expect(isMulticast(address)).toBe(range === "multicast");
        expect(isLinkLocal(address)).toBe(range === "linkLocal");
        expect(isUnspecified(address)).toBe(range === "unspecified");
      }),
    );
  });

  test("of nothing but zeros are unspecified", () => {
    expect(isUnspecified(addressFromBytes(new Uint8Array(16)))).toBe(true);
  });
});
