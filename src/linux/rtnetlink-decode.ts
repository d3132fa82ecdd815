import { ADDRESS_LENGTH, type Address, addressFromBytes } from "../wire/address.ts";
import { AF_INET6 } from "./libc.ts";
import {
  type Attributes,
  align4,
  attributeText,
  attributeU8,
  attributeU32,
  decodeAttributes,
  NetlinkFormatError,
  type NetlinkMessage,
  requireLength,
  viewOf,
} from "./netlink.ts";
import {
  type AddressLabel,
  type AddressScope,
  ANY_PREFIX,
  type InterfaceAddress,
  type Link,
  type Neighbor,
  type Prefix,
  type Route,
  type RouteType,
  type Rule,
  type RuleAction,
} from "./rtnetlink.ts";
import * as rt from "./rtnetlink-constants.ts";

const AF_UNSPEC = 0;
const RTNEXTHOP_LENGTH = 8;

/** In the order of RTN_UNSPEC, RTN_UNICAST, RTN_LOCAL, …; IPv6 has no broadcast. */
const ROUTE_TYPES: readonly RouteType[] = [
  "other",
  "unicast",
  "local",
  "other",
  "anycast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
];

/** By FR_ACT_*. */
const RULE_ACTIONS: ReadonlyMap<number, RuleAction> = new Map([
  [1, "lookup"],
  [2, "goto"],
  [3, "nop"],
  [6, "blackhole"],
  [7, "unreachable"],
  [8, "prohibit"],
]);

/**
 * Reads RTM_NEWLINK and RTM_DELLINK. `undefined` for messages about a link that do not describe
 * it whole: a bridge's about its ports (another family), wireless events (no MTU).
 */
export function decodeLink({ body }: NetlinkMessage): Link | undefined {
  requireLength(body, rt.IFINFOMSG_LENGTH);
  if (body[0] !== AF_UNSPEC) return undefined;
  const attributes = decodeAttributes(body, rt.IFINFOMSG_LENGTH);
  const name = attributes.get(rt.IFLA_IFNAME);
  const mtu = u32(attributes, rt.IFLA_MTU);
  if (name === undefined || mtu === undefined) return undefined;
  const flags = viewOf(body).getUint32(8, true);
  return {
    index: viewOf(body).getInt32(4, true),
    name: attributeText(name),
    up: (flags & rt.IFF_UP) !== 0,
    carrier: (flags & rt.IFF_LOWER_UP) !== 0,
    running: (flags & rt.IFF_RUNNING) !== 0,
    loopback: (flags & rt.IFF_LOOPBACK) !== 0,
    ethernet: viewOf(body).getUint16(2, true) === rt.ARPHRD_ETHER,
    mtu,
    master: u32(attributes, rt.IFLA_MASTER),
    kind: decodeKind(attributes.get(rt.IFLA_LINKINFO)),
    alias: text(attributes, rt.IFLA_IFALIAS),
    group: u32(attributes, rt.IFLA_GROUP) ?? 0,
  };
}

/** Reads RTM_NEWADDR and RTM_DELADDR. `undefined` for other families than IPv6. */
export function decodeAddress({ body }: NetlinkMessage): InterfaceAddress | undefined {
  requireLength(body, rt.IFADDRMSG_LENGTH);
  if (body[0] !== AF_INET6) return undefined;
  const attributes = decodeAttributes(body, rt.IFADDRMSG_LENGTH);
  // On point-to-point links IFA_ADDRESS is the peer's.
  const address = addressOf(attributes, rt.IFA_LOCAL) ?? addressOf(attributes, rt.IFA_ADDRESS);
  if (address === undefined) throw new NetlinkFormatError("the kernel left out an address");
  const flags = u32(attributes, rt.IFA_FLAGS) ?? body[2] ?? 0;
  const protocol = attributes.get(rt.IFA_PROTO);
  return {
    address,
    prefixLength: body[1] ?? 0,
    link: viewOf(body).getUint32(4, true),
    scope: decodeScope(body[3] ?? 0),
    tentative: (flags & rt.IFA_F_TENTATIVE) !== 0,
    optimistic: (flags & rt.IFA_F_OPTIMISTIC) !== 0,
    dadFailed: (flags & rt.IFA_F_DADFAILED) !== 0,
    noDad: (flags & rt.IFA_F_NODAD) !== 0,
    deprecated: (flags & rt.IFA_F_DEPRECATED) !== 0,
    temporary: (flags & rt.IFA_F_TEMPORARY) !== 0,
    permanent: (flags & rt.IFA_F_PERMANENT) !== 0,
    ...decodeLifetimes(attributes.get(rt.IFA_CACHEINFO)),
    protocol: protocol === undefined ? undefined : attributeU8(protocol),
  };
}

/**
 * Reads RTM_NEWROUTE and RTM_DELROUTE: one route for each next hop. None for other families and
 * for what the kernel only remembers of a path (RTM_F_CLONED).
 */
export function decodeRoutes({ body }: NetlinkMessage): Route[] {
  requireLength(body, rt.RTMSG_LENGTH);
  const flags = viewOf(body).getUint32(8, true);
  if (body[0] !== AF_INET6 || (flags & rt.RTM_F_CLONED) !== 0) return [];
  const attributes = decodeAttributes(body, rt.RTMSG_LENGTH);
  const route = {
    destination: prefix(attributes, rt.RTA_DST, body[1] ?? 0),
    source: prefix(attributes, rt.RTA_SRC, body[2] ?? 0),
    gateway: addressOf(attributes, rt.RTA_GATEWAY),
    link: u32(attributes, rt.RTA_OIF) ?? 0,
    table: u32(attributes, rt.RTA_TABLE) ?? body[4] ?? 0,
    metric: u32(attributes, rt.RTA_PRIORITY) ?? 0,
    protocol: body[5] ?? 0,
    type: ROUTE_TYPES[body[7] ?? 0] ?? "other",
    mtu: decodeMtu(attributes.get(rt.RTA_METRICS)),
    preferredSource: addressOf(attributes, rt.RTA_PREFSRC),
  };
  const multipath = attributes.get(rt.RTA_MULTIPATH);
  if (multipath === undefined) return [route];
  return decodeNextHops(multipath).map((nextHop) => ({ ...route, ...nextHop }));
}

/** Reads RTM_NEWRULE and RTM_DELRULE. `undefined` for other families than IPv6. */
export function decodeRule({ body }: NetlinkMessage): Rule | undefined {
  requireLength(body, rt.FIB_RULE_HDR_LENGTH);
  if (body[0] !== AF_INET6) return undefined;
  const attributes = decodeAttributes(body, rt.FIB_RULE_HDR_LENGTH);
  const protocol = attributes.get(rt.FRA_PROTOCOL);
  const suppress = u32(attributes, rt.FRA_SUPPRESS_PREFIXLEN);
  return {
    priority: u32(attributes, rt.FRA_PRIORITY) ?? 0,
    from: prefix(attributes, rt.FRA_SRC, body[2] ?? 0),
    to: prefix(attributes, rt.FRA_DST, body[1] ?? 0),
    action: RULE_ACTIONS.get(body[7] ?? 0) ?? "nop",
    table: u32(attributes, rt.FRA_TABLE) ?? body[4] ?? 0,
    // The kernel reports -1 for "suppresses nothing".
    suppressPrefixLength: suppress === 0xffff_ffff ? undefined : suppress,
    protocol: protocol === undefined ? 0 : attributeU8(protocol),
    mark: u32(attributes, rt.FRA_FWMARK),
    inputInterface: text(attributes, rt.FRA_IIFNAME),
    outputInterface: text(attributes, rt.FRA_OIFNAME),
  };
}

/**
 * Reads RTM_NEWADDRLABEL. `undefined` for labels that hold on one interface only: none of ours
 * is like that.
 */
export function decodeAddressLabel({ body }: NetlinkMessage): AddressLabel | undefined {
  requireLength(body, rt.IFADDRLBLMSG_LENGTH);
  if (body[0] !== AF_INET6 || viewOf(body).getUint32(4, true) !== 0) return undefined;
  const attributes = decodeAttributes(body, rt.IFADDRLBLMSG_LENGTH);
  const label = u32(attributes, rt.IFAL_LABEL);
  if (label === undefined) throw new NetlinkFormatError("the kernel left out a label");
  return { prefix: prefix(attributes, rt.IFAL_ADDRESS, body[2] ?? 0), label };
}

/** Reads RTM_NEWNEIGH. `undefined` for other families than IPv6. */
export function decodeNeighbor({ body }: NetlinkMessage): Neighbor | undefined {
  requireLength(body, rt.NDMSG_LENGTH);
  if (body[0] !== AF_INET6) return undefined;
  const address = addressOf(decodeAttributes(body, rt.NDMSG_LENGTH), rt.NDA_DST);
  if (address === undefined) return undefined;
  const view = viewOf(body);
  const failed = (view.getUint16(8, true) & rt.NUD_FAILED) !== 0;
  return { link: view.getInt32(4, true), address, failed };
}

function decodeKind(linkInfo: Uint8Array | undefined): string | undefined {
  return linkInfo && text(decodeAttributes(linkInfo), rt.IFLA_INFO_KIND);
}

function decodeScope(scope: number): AddressScope {
  if (scope === rt.RT_SCOPE_UNIVERSE) return "global";
  if (scope === rt.RT_SCOPE_SITE) return "site";
  if (scope === rt.RT_SCOPE_LINK) return "link";
  return scope === rt.RT_SCOPE_HOST ? "host" : "nowhere";
}

/** struct ifa_cacheinfo starts with the preferred and the valid lifetime. */
function decodeLifetimes(
  cacheInfo: Uint8Array | undefined,
): Pick<InterfaceAddress, "preferredLifetime" | "validLifetime"> {
  if (cacheInfo === undefined) return { preferredLifetime: undefined, validLifetime: undefined };
  requireLength(cacheInfo, 8);
  const finite = (seconds: number) => (seconds === rt.INFINITE_LIFETIME ? undefined : seconds);
  const view = viewOf(cacheInfo);
  return {
    preferredLifetime: finite(view.getUint32(0, true)),
    validLifetime: finite(view.getUint32(4, true)),
  };
}

function decodeMtu(metrics: Uint8Array | undefined): number | undefined {
  return metrics && u32(decodeAttributes(metrics), rt.RTAX_MTU);
}

/** A list of `struct rtnexthop`, each followed by its own attributes. */
function decodeNextHops(multipath: Uint8Array): Pick<Route, "gateway" | "link">[] {
  const nextHops: Pick<Route, "gateway" | "link">[] = [];
  for (let at = 0; at + RTNEXTHOP_LENGTH <= multipath.length; ) {
    const length = viewOf(multipath).getUint16(at, true);
    if (length < RTNEXTHOP_LENGTH || at + length > multipath.length) {
      throw new NetlinkFormatError(`next hop length ${length} at ${at} is wrong`);
    }
    const attributes = decodeAttributes(multipath.subarray(at + RTNEXTHOP_LENGTH, at + length));
    nextHops.push({
      gateway: addressOf(attributes, rt.RTA_GATEWAY),
      link: viewOf(multipath).getInt32(at + 4, true),
    });
    at += align4(length);
  }
  return nextHops;
}

function prefix(attributes: Attributes, type: number, length: number): Prefix {
  const address = addressOf(attributes, type);
  return address === undefined ? ANY_PREFIX : { address, length };
}

function addressOf(attributes: Attributes, type: number): Address | undefined {
  const value = attributes.get(type);
  if (value === undefined) return undefined;
  requireLength(value, ADDRESS_LENGTH);
  return addressFromBytes(value);
}

function u32(attributes: Attributes, type: number): number | undefined {
  const value = attributes.get(type);
  return value && attributeU32(value);
}

function text(attributes: Attributes, type: number): string | undefined {
  const value = attributes.get(type);
  return value && attributeText(value);
}
