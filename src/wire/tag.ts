import type { Brand } from "./brand.ts";

/** A Shim6 context tag: 47 bits, 0 .. 2^47 - 1 (RFC 5533 section 4.1). */
export type ContextTag = Brand<number, "ContextTag">;

const TAG_LIMIT = 2 ** 47;

/** @throws RangeError when `value` is not an integer of 47 bits. */
export function contextTag(value: number): ContextTag {
  if (!Number.isSafeInteger(value) || value < 0 || value >= TAG_LIMIT) {
    throw new RangeError(`context tag out of range: ${value}`);
  }
  return value as ContextTag;
}

/** The tag as 12 lower-case hexadecimal digits, as every output of l3shim shows it. */
export function formatTag(tag: ContextTag): string {
  return tag.toString(16).padStart(12, "0");
}

/** The tag that 1 to 12 hexadecimal digits name; `undefined` when they name none. */
export function parseTag(text: string): ContextTag | undefined {
  if (!/^[0-9a-f]{1,12}$/i.test(text)) return undefined;
  const value = Number.parseInt(text, 16);
  return value < TAG_LIMIT ? (value as ContextTag) : undefined;
}
