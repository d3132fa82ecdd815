import fc from "fast-check";
import * as arbitrary from "./arbitraries.ts";

/** An extension header, or what stands at the end of the chain. */
export interface Part {
  readonly protocol: number;
  /** All octets of it; the first is set to the protocol of the next part. */
  readonly octets: Uint8Array;
}

/** An extension header of `8 * (units + 1)` octets, filled with `fill`. */
export function extension(protocol: number, units: number, fill = 0): Part {
  const octets = new Uint8Array(8 * (units + 1)).fill(fill);
  octets[1] = units;
  return { protocol, octets };
}

/** @param offset of the fragment in units of 8 octets */
export function fragment(offset: number, more: boolean): Part {
  const word = (offset << 3) | (more ? 1 : 0);
  return { protocol: 44, octets: Uint8Array.of(0, 0, word >> 8, word & 0xff, 1, 2, 3, 4) };
}

/** AH counts in units of 4 octets, less 2 (RFC 4302 section 2.2). */
export function authentication(units: number): Part {
  const octets = new Uint8Array(4 * (units + 2));
  octets[1] = units;
  return { protocol: 51, octets };
}

export function upperLayer(protocol: number, octets: Uint8Array): Part {
  return { protocol, octets };
}

/** The IPv6 packet that has these parts behind its header; all but the last are extensions. */
export function ipv6(source: Uint8Array, destination: Uint8Array, parts: readonly Part[]) {
  const bodies = parts.map(({ octets }, i) => {
    const copy = Uint8Array.from(octets);
    const next = parts[i + 1];
    if (next !== undefined) copy[0] = next.protocol;
    return copy;
  });
  const length = bodies.reduce((sum, body) => sum + body.length, 0);
  const first = parts[0]?.protocol ?? 59;
  const header = [0x60, 0, 0, 0, length >> 8, length & 0xff, first, 64];
  return Uint8Array.from([header, source, destination, ...bodies].flatMap((part) => [...part]));
}

export const octets16 = arbitrary.bytes(16, 16);

/** Packets with any extension headers, fragments among them, and any upper layer. */
export const packet: fc.Arbitrary<Uint8Array> = fc
  .record({
    source: octets16,
    destination: octets16,
    extensions: fc.array(
      fc.oneof(
        fc
          .tuple(fc.constantFrom(0, 43, 60), fc.nat(5), fc.nat(255))
          .map(([protocol, units, fill]) => extension(protocol, units, fill)),
        fc.tuple(fc.nat(100), fc.boolean()).map(([offset, more]) => fragment(offset, more)),
        fc.nat(4).map((units) => authentication(2 * units)),
      ),
      { maxLength: 5 },
    ),
    protocol: fc.constantFrom(6, 17, 50, 58, 59, 132),
    body: arbitrary.bytes(1400),
  })
  .map(({ source, destination, extensions, protocol, body }) =>
    ipv6(source, destination, [...extensions, upperLayer(protocol, body)]),
  );
