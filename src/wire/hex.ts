/** Lower-case hexadecimal digits, two for each octet. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/**
 * The octets that hexadecimal digits name, of either case; white space, colons and a leading
 * "0x" don't count. `undefined` for anything else, and for an odd number of digits or none.
 */
export function fromHex(text: string): Uint8Array | undefined {
  const digits = text.replace(/^\s*0x/i, "").replace(/[\s:]/g, "");
  if (!/^([0-9a-f]{2})+$/i.test(digits)) return undefined;
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}
