import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeControl, encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage } from "../../src/wire/message.ts";
import { decodePayloadHeader } from "../../src/wire/payload-header.ts";
import * as arbitrary from "./support/arbitraries.ts";

/** Encodes, unless the options are more than Hdr Ext Len can say. */
function encodeIfItFits(message: ControlMessage): Uint8Array {
  try {
    return encodeControl(message);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    fc.pre(false);
    throw error;
  }
}

const encoded = arbitrary.message.map(encodeIfItFits);

describe("the codec", () => {
  test("gives back every message that it encoded", () => {
    fc.assert(
      fc.property(arbitrary.message, (message) => {
        const bytes = encodeIfItFits(message);
        const decoded = decodeControl(bytes);
        expect(decoded.ok && decoded.value.message).toEqual(message);
        expect(decoded.ok && decoded.value.checksum.valid).toBe(true);
        expect(decoded.ok && decoded.value.length).toBe(bytes.length);
        expect(bytes.length % 8).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  test("encodes what it decoded from arbitrary octets to something that means the same", () => {
    fc.assert(
      fc.property(arbitrary.mutated(encoded), (bytes) => {
        const decoded = decodeControl(bytes);
        fc.pre(decoded.ok);
        if (!decoded.ok) return;
        const again = decodeControl(encodeControl(decoded.value.message));
        expect(again.ok && again.value.message).toEqual(decoded.value.message);
        expect(again.ok && again.value.optionOffsets).toEqual(decoded.value.optionOffsets);
      }),
      { numRuns: 2000 },
    );
  });

  test("never throws, and points within the octets or to their end", () => {
    const header = fc.tuple(fc.constantFrom(1, 2, 3, 4, 5, 6, 64, 65, 66, 67, 68, 99), fc.nat(255));
    const shaped = fc.tuple(arbitrary.bytes(2000, 16), header).map(([bytes, [type, length]]) => {
      bytes.set([59, Math.min(length, bytes.length / 8 - 1), type, 0]);
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(arbitrary.bytes(2000), shaped, arbitrary.mutated(encoded)), (bytes) => {
        const decoded = decodeControl(bytes);
        const header = decodePayloadHeader(bytes);
        for (const result of [decoded, header]) {
          if (result.ok) continue;
          expect(result.error.offset).toBeGreaterThanOrEqual(0);
          expect(result.error.offset).toBeLessThanOrEqual(bytes.length);
          expect(result.error.message).not.toBe("");
        }
        for (const offset of decoded.ok ? decoded.value.optionOffsets : []) {
          expect(offset + 8).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: 5000 },
    );
  });

  test("reads nothing behind the end of the header", () => {
    fc.assert(
      fc.property(arbitrary.mutated(encoded), arbitrary.bytes(40), (bytes, behind) => {
        const decoded = decodeControl(bytes);
        fc.pre(decoded.ok);
        expect(decodeControl(Uint8Array.of(...bytes, ...behind))).toEqual(decoded);
      }),
    );
  });
});
