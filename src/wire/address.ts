import type { Brand } from "./brand.ts";

/**
 * An IPv6 address in the canonical text of RFC 5952, without zone: equal addresses are equal
 * strings, so that it serves as a key. Make one with {@link addressFromBytes} or
 * {@link parseAddress}.
 */
export type Address = Brand<string, "Address">;

export const ADDRESS_LENGTH = 16;

/**
 * Reads 16 octets.
 * @throws RangeError when `bytes` ends before `offset + 16`.
 */
export function addressFromBytes(bytes: Uint8Array, offset = 0): Address {
  if (offset < 0 || offset + ADDRESS_LENGTH > bytes.length) {
    throw new RangeError(`an address needs 16 octets at ${offset} of ${bytes.length}`);
  }
  const groups: number[] = [];
  for (let i = offset; i < offset + ADDRESS_LENGTH; i += 2) {
    groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  }
  return formatGroups(groups) as Address;
}

/** Writes 16 octets at `offset` of `target`. */
export function writeAddress(address: Address, target: Uint8Array, offset = 0): void {
  const groups = parseGroups(address);
  if (groups === undefined) throw new TypeError(`not an IPv6 address: ${address}`);
  for (const [i, group] of groups.entries()) {
    target[offset + 2 * i] = group >> 8;
    target[offset + 2 * i + 1] = group & 0xff;
  }
}

export function addressToBytes(address: Address): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_LENGTH);
  writeAddress(address, bytes);
  return bytes;
}

/** The address that a text of RFC 4291 section 2.2 names; `undefined` when it names none. */
export function parseAddress(text: string): Address | undefined {
  const groups = parseGroups(text);
  return groups === undefined ? undefined : (formatGroups(groups) as Address);
}

/** ff00::/8. */
export function isMulticast(address: Address): boolean {
  return address.length >= 4 && address.startsWith("ff") && address.indexOf(":") === 4;
}

/** ::. */
export function isUnspecified(address: Address): boolean {
  return address === "::";
}

/** fe80::/10. */
export function isLinkLocal(address: Address): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address);
}

/** RFC 5952 section 4: no leading zeros, lower case, the first longest run of zeros as "::". */
function formatGroups(groups: readonly number[]): string {
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}

function parseGroups(text: string): number[] | undefined {
  const halves = expandEmbeddedIpv4(text)?.split("::");
  if (halves === undefined || halves.length > 2) return undefined;
  const [head, tail] = halves.map(parseHexGroups);
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 8 ? head : undefined;
  if (tail === undefined || head.length + tail.length > 7) return undefined;
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function parseHexGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  if (!parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return undefined;
  return parts.map((part) => Number.parseInt(part, 16));
}

/** No leading zeros: some readers take those for octal. */
const DOTTED_TAIL = /^(.*:)(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

/** Turns the last 32 bits in dotted decimal (RFC 4291 section 2.2, form 3) into two groups. */
function expandEmbeddedIpv4(text: string): string | undefined {
  if (!text.includes(".")) return text;
  const match = DOTTED_TAIL.exec(text);
  if (match === null) return undefined;
  const octets = match.slice(2).map(Number);
  if (octets.some((octet) => octet > 255)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  return `${match[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
