import { prefixOf, type SubnetPrefix } from "../../identity/subnet-prefix.ts";
import type { InterfaceAddress } from "../../linux/rtnetlink.ts";
import type { DaemonConfig } from "../config/config.ts";
import type { HostNetwork } from "../host/network.ts";
import { isGlobalUnicast, type Uplink } from "../host/uplinks.ts";

/** A prefix in which the host may have an address of its own making. */
export interface OnLinkPrefix {
  readonly prefix: SubnetPrefix;
  /** Interface index. */
  readonly link: number;
  /** All addresses in it are: it is on its way out. */
  readonly deprecated: boolean;
}

/**
 * The 64-bit prefixes of the uplinks, a prefix on two of them once. They are those of addresses
 * that something else gave to the host (a router's advertisement, an administrator) with a
 * length of 64: there an interface identifier is the host's to choose. Where a network gives
 * single addresses (/128, as DHCPv6 does) it isn't.
 * @param isOurs addresses that we made say nothing
 */
export function onLinkPrefixes(
  uplinks: readonly Uplink[],
  { addresses }: HostNetwork,
  config: Pick<DaemonConfig, "uplinks">,
  isOurs: (address: InterfaceAddress) => boolean,
): OnLinkPrefix[] {
  const found = new Map<SubnetPrefix, OnLinkPrefix>();
  const add = (prefix: SubnetPrefix, link: number, deprecated: boolean) => {
    const before = found.get(prefix);
    if (before !== undefined && (before.link !== link || deprecated)) return;
    found.set(prefix, { prefix, link, deprecated });
  };
  for (const { interface: name, link } of uplinks) {
    const configured = config.uplinks.find((uplink) => uplink.interface === name)?.prefix;
    if (configured !== undefined) {
      add(configured, link, false);
      continue;
    }
    for (const address of addresses) {
      if (address.link !== link || address.prefixLength !== 64) continue;
      if (!isGlobalUnicast(address) || isOurs(address)) continue;
      add(prefixOf(address.address), link, address.deprecated);
    }
  }
  return [...found.values()];
}
