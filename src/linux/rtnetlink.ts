import type { Address } from "../wire/address.ts";

/** What the kernel's network tables hold, as far as IPv6 and the shim are concerned. */

/** The protocol number that marks routes, rules and addresses as ours, like Shim6's own (140). */
export const L3SHIM_ROUTE_PROTOCOL = 140;

/**
 * What marks links as ours: the alias, for people; the group, with the same number as above, from
 * the moment on that the kernel makes the link.
 */
export const L3SHIM_LINK_ALIAS = "l3shim";
export const L3SHIM_LINK_GROUP = 140;

/** RT_TABLE_MAIN. */
export const MAIN_TABLE = 254;

export interface Link {
  /** Positive; unique within the network namespace. */
  readonly index: number;
  readonly name: string;
  /** Switched on by the administrator (IFF_UP). */
  readonly up: boolean;
  /** The lower layer works: cable plugged in, peer up (IFF_LOWER_UP). */
  readonly carrier: boolean;
  /** Ready to pass packets, e.g. associated (IFF_RUNNING). */
  readonly running: boolean;
  readonly loopback: boolean;
  /** Its packets have Ethernet headers (ARPHRD_ETHER); else none, as with PPP or a TUN device. */
  readonly ethernet: boolean;
  /** Octets. */
  readonly mtu: number;
  /** Index of the bridge, bond or VRF that the link belongs to. */
  readonly master: number | undefined;
  /** The driver's kind, e.g. "veth", "vlan"; `undefined` for hardware. */
  readonly kind: string | undefined;
  /** What somebody wrote down about it (IFLA_IFALIAS). */
  readonly alias: string | undefined;
  /** A number for settings of many links at once; 0 where nobody set one. */
  readonly group: number;
}

/** Whether it was made by this daemon or an earlier one. */
export function isOurLink(link: Link): boolean {
  const isMarked = link.alias === L3SHIM_LINK_ALIAS || link.group === L3SHIM_LINK_GROUP;
  return isMarked && link.kind === "veth";
}

export type AddressScope = "global" | "site" | "link" | "host" | "nowhere";

/** An IPv6 address of an interface (RFC 4862). */
export interface InterfaceAddress {
  readonly address: Address;
  readonly prefixLength: number;
  /** Interface index. */
  readonly link: number;
  readonly scope: AddressScope;
  /** Duplicate address detection goes on; not usable yet, unless optimistic. */
  readonly tentative: boolean;
  readonly optimistic: boolean;
  readonly dadFailed: boolean;
  /** Duplicate address detection is not done for it. */
  readonly noDad: boolean;
  /** The preferred lifetime is over. */
  readonly deprecated: boolean;
  /** A temporary address (RFC 8981). */
  readonly temporary: boolean;
  /** Not from a router advertisement. */
  readonly permanent: boolean;
  /** Seconds left when the kernel reported it; `undefined` for ever. */
  readonly preferredLifetime: number | undefined;
  readonly validLifetime: number | undefined;
  /** IFA_PROTO: who set it; `undefined` before Linux 5.18 and where nobody said. */
  readonly protocol: number | undefined;
}

/** What the kernel knows of another host on a link. */
export interface Neighbor {
  /** Interface index. */
  readonly link: number;
  readonly address: Address;
  /** It did not answer (NUD_FAILED). */
  readonly failed: boolean;
}

/** Length 0 stands for every address. */
export interface Prefix {
  readonly address: Address;
  /** 0 to 128. */
  readonly length: number;
}

export const ANY_PREFIX: Prefix = { address: "::" as Address, length: 0 };

/** A label of the policy table for source addresses (RFC 6724 section 2.1), on any interface. */
export interface AddressLabel {
  readonly prefix: Prefix;
  readonly label: number;
}

export type RouteType =
  | "unicast"
  | "local"
  | "anycast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "throw"
  | "other";

/** An IPv6 route with one next hop; a route with several is reported as several. */
export interface Route {
  readonly destination: Prefix;
  /** Only for packets from these addresses (RTA_SRC). */
  readonly source: Prefix;
  /** `undefined` where the destination is on the link. */
  readonly gateway: Address | undefined;
  /** Interface index, 0 for none. */
  readonly link: number;
  readonly table: number;
  /** Lower is better. */
  readonly metric: number;
  /** Who set it, e.g. 2 kernel, 3 boot, 4 static, 9 router advertisement. */
  readonly protocol: number;
  readonly type: RouteType;
  /** Octets; `undefined` for the interface's. */
  readonly mtu: number | undefined;
  /** The source address that the route suggests (RTA_PREFSRC). */
  readonly preferredSource: Address | undefined;
}

export function isDefaultRoute(route: Route): boolean {
  return route.destination.length === 0 && route.source.length === 0 && route.type === "unicast";
}

export type RuleAction = "lookup" | "goto" | "nop" | "blackhole" | "unreachable" | "prohibit";

/** An IPv6 policy rule. */
export interface Rule {
  /** Lower is looked at first. */
  readonly priority: number;
  readonly from: Prefix;
  readonly to: Prefix;
  readonly action: RuleAction;
  /** What "lookup" looks into; 0 for other actions. */
  readonly table: number;
  /** Passes over the table's routes with prefixes this short or shorter. */
  readonly suppressPrefixLength: number | undefined;
  /** Who set it. */
  readonly protocol: number;
  /** `undefined` for every mark. */
  readonly mark: number | undefined;
  readonly inputInterface: string | undefined;
  readonly outputInterface: string | undefined;
}
