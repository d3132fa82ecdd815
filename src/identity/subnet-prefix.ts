import { type Address, addressFromBytes, addressToBytes, parseAddress } from "../wire/address.ts";
import type { Brand } from "../wire/brand.ts";

/**
 * The leftmost 64 bits of an address, in the text of the address whose interface identifier is
 * zero ("2001:db8:a:1::"): equal prefixes are equal strings.
 */
export type SubnetPrefix = Brand<string, "SubnetPrefix">;

export const PREFIX_LENGTH = 8;
export const INTERFACE_IDENTIFIER_LENGTH = 8;

export function prefixOf(address: Address): SubnetPrefix {
  return prefixFromBytes(addressToBytes(address));
}

/**
 * Reads 8 octets.
 * @throws RangeError when `bytes` ends before `offset + 8`.
 */
export function prefixFromBytes(bytes: Uint8Array, offset = 0): SubnetPrefix {
  if (offset < 0 || offset + PREFIX_LENGTH > bytes.length) {
    throw new RangeError(`a prefix needs 8 octets at ${offset} of ${bytes.length}`);
  }
  const octets = new Uint8Array(PREFIX_LENGTH + INTERFACE_IDENTIFIER_LENGTH);
  octets.set(bytes.subarray(offset, offset + PREFIX_LENGTH));
  return addressFromBytes(octets) as string as SubnetPrefix;
}

export function prefixToBytes(prefix: SubnetPrefix): Uint8Array {
  return addressToBytes(prefix as string as Address).subarray(0, PREFIX_LENGTH);
}

/** "2001:db8:a:1::" or "2001:db8:a:1::/64"; `undefined` where bits beyond the 64th are set. */
export function parsePrefix(text: string): SubnetPrefix | undefined {
  const address = parseAddress(text.replace(/\/64$/, ""));
  if (address === undefined || interfaceIdentifierOf(address).some((octet) => octet !== 0)) {
    return undefined;
  }
  return prefixOf(address);
}

export function interfaceIdentifierOf(address: Address): Uint8Array {
  return addressToBytes(address).subarray(PREFIX_LENGTH);
}

/** @param interfaceIdentifier 8 octets */
export function addressIn(prefix: SubnetPrefix, interfaceIdentifier: Uint8Array): Address {
  const octets = addressToBytes(prefix as string as Address);
  octets.set(interfaceIdentifier, PREFIX_LENGTH);
  return addressFromBytes(octets);
}
