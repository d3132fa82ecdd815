import type { InterfaceAddress } from "../../linux/rtnetlink.ts";
import { addressToBytes } from "../../wire/address.ts";

/** 2000::/3 and fc00::/7: whose packets the shim counts and carries. */
export function isForShim({ address }: Pick<InterfaceAddress, "address">): boolean {
  const [octet = 0] = addressToBytes(address);
  return (octet & 0xe0) === 0x20 || (octet & 0xfe) === 0xfc;
}
