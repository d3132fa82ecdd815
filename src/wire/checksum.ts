/**
 * One's complement sum of 16-bit words (RFC 1071) of `bytes[start .. end)`, folded to 16 bits.
 * An odd last octet counts as the high half of a word. `initial` is an earlier folded sum over
 * an even number of octets.
 */
export function onesComplementSum(
  bytes: Uint8Array,
  start: number,
  end: number,
  initial = 0,
): number {
  let sum = initial;
  const lastPair = end - 1;
  for (let i = start; i < lastPair; i += 2) {
    sum += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
  }
  if ((end - start) % 2 === 1) sum += (bytes[lastPair] as number) << 8;
  return foldSum(sum);
}

/**
 * The Shim6 checksum of a header of `length` octets whose checksum field is zero: no
 * pseudo-header, so that a locator can change without it (RFC 5533 section 5.3).
 */
export function shim6Checksum(header: Uint8Array, length: number): number {
  return ~onesComplementSum(header, 0, length) & 0xffff;
}

/** Whether the checksum that stands in a Shim6 header of `length` octets is right. */
export function isShim6ChecksumValid(header: Uint8Array, length: number): boolean {
  return onesComplementSum(header, 0, length) === 0xffff;
}

/** Right for sums below 2^32: up to 128 KiB. */
function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}
