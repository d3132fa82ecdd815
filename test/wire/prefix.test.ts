import fc from "fast-check";
import { expect, test } from "vitest";
import { addressFromBytes, parseAddress } from "../../src/wire/address.ts";
import { parseAddressPrefix, prefixContains } from "../../src/wire/prefix.ts";

test.each([
  ["2001:DB8:0::/32", { address: "2001:db8::", length: 32 }],
  ["::/0", { address: "::", length: 0 }],
  ["2001:db8::1", { address: "2001:db8::1", length: 128 }],
  ["2001:db8:8000::/33", { address: "2001:db8:8000::", length: 33 }],
])("%s is a prefix", (text, prefix) => {
  expect(parseAddressPrefix(text)).toEqual(prefix);
});

test.each([
  "",
  "/32",
  "2001:db8::/",
  "2001:db8::/129",
  "2001:db8::/3x",
  "2001:db8::1/64",
  "2001:db8:8000::/32",
  "::/0/0",
  "10.0.0.0/8",
])("%j is none", (text) => {
  expect(parseAddressPrefix(text)).toBeUndefined();
});

test.each([
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/32", "2001:db9::1", false],
  ["2001:db8:8000::/33", "2001:db8:8000::1", true],
  ["2001:db8:8000::/33", "2001:db8:7fff::1", false],
  ["::/0", "2001:db8::1", true],
  ["2001:db8::1", "2001:db8::2", false],
])("whether %s contains %s: %s", (text, member, contained) => {
  const prefix = parseAddressPrefix(text);
  const address = parseAddress(member);
  if (prefix === undefined || address === undefined) throw new Error("bad test");
  expect(prefixContains(prefix, address)).toBe(contained);
});

test("an address is in exactly those prefixes whose bits it shares", () => {
  const octets = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(octets, octets, fc.nat(128), fc.boolean(), (first, second, length, share) => {
      const bits = bitsOf(first).slice(0, length);
      const other = share ? bits + bitsOf(second).slice(length) : bitsOf(second);
      const prefix = { address: addressOf(bits.padEnd(128, "0")), length };
      expect(prefixContains(prefix, addressOf(other))).toBe(other.startsWith(bits));
    }),
  );
});

function bitsOf(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(2).padStart(8, "0")).join("");
}

function addressOf(bits: string) {
  const octets = bits.match(/.{8}/g) ?? [];
  return addressFromBytes(Uint8Array.from(octets, (octet) => Number.parseInt(octet, 2)));
}
