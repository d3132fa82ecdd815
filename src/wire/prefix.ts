import { type Address, addressToBytes, parseAddress } from "./address.ts";

/** All addresses that begin with the first `length` bits of `address`. */
export interface AddressPrefix {
  readonly address: Address;
  /** 0 .. 128. */
  readonly length: number;
}

/**
 * The prefix that a text of RFC 4291 section 2.3 names, such as "2001:db8::/32", or an address
 * alone for itself; `undefined` when it names none, or has bits beyond its length.
 */
export function parseAddressPrefix(text: string): AddressPrefix | undefined {
  const [, addressText = "", lengthText = "128"] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(addressText);
  const length = Number(lengthText);
  if (address === undefined || length > 128) return undefined;
  const isZeroBeyond = addressToBytes(address).every(
    (octet, i) => (octet & ~octetMask(length, i)) === 0,
  );
  return isZeroBeyond ? { address, length } : undefined;
}

export function prefixContains(
  { address: prefix, length }: AddressPrefix,
  address: Address,
): boolean {
  const first = addressToBytes(prefix);
  return addressToBytes(address).every(
    (octet, i) => (octet & octetMask(length, i)) === (first[i] ?? 0),
  );
}

/** Which bits of octet `index` a prefix of this length has. */
function octetMask(length: number, index: number): number {
  const bits = Math.min(Math.max(length - 8 * index, 0), 8);
  return (0xff << (8 - bits)) & 0xff;
}
