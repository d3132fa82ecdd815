/** The security parameter: three bits, the leftmost of the interface identifier (RFC 3972 section 2). */
export type Sec = 0 | 1 | 2;

/** What a Sec value means. */
export interface SecEntry {
  /** Its name in the registry. */
  readonly name: string;
  /** How many leftmost bits of Hash2 must be zero. */
  readonly zeroBits: number;
}

/**
 * The CGA SEC registry (RFC 4982 section 6). Sec names the hash function too; all that are
 * assigned name SHA-1. RFC 3972's reading of Sec 3 to 7 went with RFC 4982: those values wait
 * for other functions, so that taking them for SHA-1 would be guessing.
 */
const SEC_REGISTRY: Readonly<Record<Sec, SecEntry>> = {
  0: { name: "SHA-1_0hash2bits", zeroBits: 0 },
  1: { name: "SHA-1_16hash2bits", zeroBits: 16 },
  2: { name: "SHA-1_32hash2bits", zeroBits: 32 },
};

export function secEntry(sec: Sec): SecEntry {
  return SEC_REGISTRY[sec];
}

/** Whether the registry assigns this value of 0 .. 7. */
export function isAssignedSec(value: number): value is Sec {
  return Object.hasOwn(SEC_REGISTRY, value);
}

/** How many modifiers are tried until one fits, on average: 2^(16*Sec). */
export function expectedAttempts(sec: Sec): number {
  return 2 ** secEntry(sec).zeroBits;
}
