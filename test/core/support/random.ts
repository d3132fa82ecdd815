import { createHmac } from "node:crypto";
import type { KeyedHash, RandomSource } from "../../../src/core/config.ts";

/** A seeded source of octets (xorshift32): good enough for tests, useless for secrets. */
export function seededRandom(seed: number): RandomSource {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return (length) =>
    Uint8Array.from({ length }, () => {
      state ^= state << 13;
      state >>>= 0;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
      return state & 0xff;
    });
}

export const hmac: KeyedHash = (key, data) => createHmac("sha256", key).update(data).digest();
