import { shim6Checksum } from "../../src/wire/checksum.ts";

/** A whole number from 0 to `limit` - 1. */
export type Dice = (limit: number) => number;

/** Fast numbers for fuzzers, the same ones for the same seed: mulberry32. */
export function dice(seed: number): Dice {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

export function noise(roll: Dice): Uint8Array {
  return Uint8Array.from({ length: roll(120) }, () => roll(256));
}

/** Flips or cuts; half of the time the checksum is made good again. */
export function mutate(seed: Uint8Array, roll: Dice): Uint8Array {
  const bytes = Uint8Array.from(seed);
  for (let i = roll(4); i > 0; i--) bytes[roll(bytes.length)] = roll(256);
  const packet = roll(6) === 0 ? bytes.subarray(0, roll(bytes.length)) : bytes;
  const covered = 8 * ((packet[1] ?? 0) + 1);
  if (roll(2) === 0 && packet.length >= 8 && covered <= packet.length) {
    packet.set([0, 0], 4);
    const checksum = shim6Checksum(packet, covered);
    packet.set([checksum >> 8, checksum & 0xff], 4);
  }
  return packet;
}
