import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeParameters,
  encodeParameters,
  hasPublicKey,
  multiPrefixOf,
} from "../../src/identity/parameters.ts";
import { toHex } from "../../src/wire/hex.ts";
import { octets } from "../wire/support/vectors.ts";
import * as arbitrary from "./support/arbitraries.ts";
import { member, parameters, prefix, VECTORS } from "./support/vectors.ts";

const FIXED = "00112233445566778899aabbccddeeff 20010db8000a0001 02";
/** SEQUENCE of one NULL: the outer form is all that the codec looks at. */
const KEY = "30020500";

function errorOf(hex: string): { code: string; offset: number } | undefined {
  const decoded = decodeParameters(octets(hex));
  return decoded.ok ? undefined : { code: decoded.error.code, offset: decoded.error.offset };
}

describe("CGA parameters", () => {
  test("are laid out as RFC 3972 section 3 and RFC 4581 draw them", () => {
    const multiPrefix = "0012 0014 80000001 20010db8000a0001 20010db8000b0001";
    const decoded = parameters(octets(`${FIXED} ${KEY} fffd0003aabbcc ${multiPrefix} fffe0000`));
    expect(decoded).toEqual({
      modifier: octets("00112233445566778899aabbccddeeff"),
      subnetPrefix: "2001:db8:a:1::",
      collisionCount: 2,
      publicKey: octets(KEY),
      extensions: [
        { name: "Unknown", type: 0xfffd, data: octets("aabbcc") },
        {
          name: "MultiPrefix",
          hasPublicKey: true,
          reserved: 1,
          prefixes: [prefix("2001:db8:a:1::"), prefix("2001:db8:b:1::")],
        },
        { name: "Unknown", type: 0xfffe, data: new Uint8Array() },
      ],
    });
  });

  test("come back from their octets, whatever they are", () => {
    fc.assert(
      fc.property(arbitrary.parameters, (original) => {
        expect(parameters(encodeParameters(original))).toEqual(original);
      }),
    );
  });

  test("that decode encode to the very octets, so that the hashes are the sender's", () => {
    const pds = fc
      .tuple(arbitrary.parameters, fc.nat(), fc.integer({ min: 0, max: 255 }))
      .map(([original, place, octet]) => {
        const bytes = encodeParameters(original);
        bytes[place % bytes.length] = octet;
        return bytes;
      });
    fc.assert(
      fc.property(pds, (bytes) => {
        const decoded = decodeParameters(bytes);
        fc.pre(decoded.ok);
        expect(toHex(encodeParameters(decoded.value))).toBe(toHex(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test("of any octets are a value or an error within them, never an exception", () => {
    const beginning = fc.constantFrom("", `${FIXED}${KEY}`, `${FIXED}${KEY}0012`);
    fc.assert(
      fc.property(beginning, fc.uint8Array({ maxLength: 200 }), (start, rest) => {
        const bytes = new Uint8Array([...(start === "" ? [] : octets(start)), ...rest]);
        const decoded = decodeParameters(bytes);
        const offset = decoded.ok ? 0 : decoded.error.offset;
        expect(offset).toBeGreaterThanOrEqual(0);
        expect(offset).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["end within the fixed part", "00112233", "truncated", 0],
    ["have no key", FIXED, "public-key", 25],
    ["have a key that is no SEQUENCE", `${FIXED} 04020500`, "public-key", 25],
    ["have a key that is cut", `${FIXED} 30030500`, "public-key", 27],
    ["have a key of indefinite length", `${FIXED} 30800500`, "public-key", 26],
    ["have a key whose length is not the shortest", `${FIXED} 30810205 00`, "public-key", 26],
    ["have a key whose length is cut", `${FIXED} 3082`, "public-key", 26],
    ["have octets left over", `${FIXED} ${KEY} fffd00`, "extension-overrun", 29],
    ["have an extension that is cut", `${FIXED} ${KEY} fffd0002aa`, "extension-overrun", 31],
    ["have half a prefix", `${FIXED} ${KEY} 0012000800000000aabbccdd`, "multi-prefix-length", 31],
    ["have no P flag", `${FIXED} ${KEY} 00120000`, "multi-prefix-length", 31],
    [
      "have two Multi-Prefix extensions",
      `${FIXED} ${KEY} 0012000400000000 0012000400000000`,
      "multi-prefix-twice",
      37,
    ],
  ])("that %s are refused", (_, hex, code, offset) => {
    expect(errorOf(hex)).toEqual({ code, offset });
  });

  test("that don't fit their fields are not encoded", () => {
    const valid = parameters(octets(`${FIXED} ${KEY}`));
    const wrong = [
      { ...valid, modifier: new Uint8Array(15) },
      { ...valid, collisionCount: 256 },
      { ...valid, extensions: [{ name: "Unknown", type: 0x12, data: new Uint8Array(4) } as const] },
    ];
    for (const parametersOfOurs of wrong) {
      expect(() => encodeParameters(parametersOfOurs)).toThrow(RangeError);
    }
  });
});

describe("the P flag", () => {
  test("is the first bit of the extension, as the vectors have it", () => {
    expect(multiPrefixOf(parameters(octets(member("H12").pds)))?.hasPublicKey).toBe(true);
    expect(multiPrefixOf(parameters(octets(member("H04").pds)))?.hasPublicKey).toBe(false);
  });

  test("says whether there is a public key; a CGA without the extension has one", () => {
    const [cga] = VECTORS.cgas;
    expect(hasPublicKey(parameters(octets(cga?.pds ?? "")))).toBe(true);
    expect(hasPublicKey(parameters(octets(member("H12").pds)))).toBe(true);
    expect(hasPublicKey(parameters(octets(member("H04").pds)))).toBe(false);
  });
});
