import { type Address, addressToBytes } from "../wire/address.ts";
import { AF_INET6 } from "./libc.ts";
import { BodyWriter, viewOf } from "./netlink.ts";
import {
  type AddressLabel,
  type InterfaceAddress,
  L3SHIM_LINK_ALIAS,
  L3SHIM_LINK_GROUP,
  L3SHIM_ROUTE_PROTOCOL,
  type Prefix,
} from "./rtnetlink.ts";
import * as rt from "./rtnetlink-constants.ts";

const RTN_UNICAST = 1;
const FR_ACT_TO_TBL = 1;

/** An address to put on an interface, marked as ours. */
export interface AddressEdit
  extends Pick<InterfaceAddress, "address" | "prefixLength" | "link" | "noDad"> {
  /** Seconds, `undefined` for ever. 0 deprecates the address: nothing new chooses it. */
  readonly preferredLifetime: number | undefined;
  /** Seconds, `undefined` for ever. */
  readonly validLifetime: number | undefined;
  /** Do not add a route to the prefix along with it. */
  readonly noPrefixRoute: boolean;
}

/** A unicast route, marked as ours. */
export interface RouteEdit {
  readonly destination: Prefix;
  /** Only for packets from these addresses. */
  readonly source?: Prefix;
  readonly gateway?: Address;
  /** Interface index. */
  readonly link: number;
  readonly table: number;
  /** The kernel takes 1024 when it is left out. */
  readonly metric?: number;
  /** Octets; the interface's when it is left out. */
  readonly mtu?: number;
  /** Seconds until the kernel removes it; for ever when it is left out. */
  readonly lifetime?: number;
}

/** A rule "look into this table", marked as ours. */
export interface RuleEdit {
  readonly priority: number;
  /** All packets when it is left out. */
  readonly from?: Prefix;
  readonly table: number;
  /** Passes over the table's routes with prefixes this short or shorter: 0 for default routes. */
  readonly suppressPrefixLength?: number;
  /** Only for packets whose mark lacks these bits; nothing else may then be named. */
  readonly withoutMark?: number;
}

/** Two links, each the other's cable; marked as ours. */
export interface VethPairEdit {
  readonly name: string;
  readonly peerName: string;
  /** Octets. */
  readonly mtu: number;
  readonly peerMtu: number;
  /** Neither end asks for neighbors' link-layer addresses. */
  readonly noArp: boolean;
  /** "none": the kernel gives neither end any address. "eui64": a link-local one, as usual. */
  readonly addressGeneration: "none" | "eui64";
}

/** An RTM_GET* body for a dump of one family. @param length octets of the family's header */
export function encodeDumpBody(length: number, family = AF_INET6): Uint8Array {
  const header = new Uint8Array(length);
  header[0] = family;
  return header;
}

export function encodeLinkState(index: number, up: boolean): Uint8Array {
  const header = new Uint8Array(rt.IFINFOMSG_LENGTH);
  const view = viewOf(header);
  view.setInt32(4, index, true);
  view.setUint32(8, up ? rt.IFF_UP : 0, true);
  view.setUint32(12, rt.IFF_UP, true);
  return header;
}

export function encodeVethPair(edit: VethPairEdit): Uint8Array {
  const peer = vethEnd(edit.peerName, edit.peerMtu, edit.noArp);
  const data = new BodyWriter(EMPTY).nested(rt.VETH_INFO_PEER, peer);
  const info = new BodyWriter(EMPTY).text(rt.IFLA_INFO_KIND, "veth");
  return vethEnd(edit.name, edit.mtu, edit.noArp)
    .nested(rt.IFLA_LINKINFO, info.nested(rt.IFLA_INFO_DATA, data))
    .finish();
}

/** What the kernel does not take when it makes a link. */
export function encodeVethSettings(
  name: string,
  { addressGeneration }: Pick<VethPairEdit, "addressGeneration">,
): Uint8Array {
  const mode = addressGeneration === "none" ? rt.IN6_ADDR_GEN_MODE_NONE : 0;
  const inet6 = new BodyWriter(EMPTY).u8(rt.IFLA_INET6_ADDR_GEN_MODE, mode);
  return new BodyWriter(new Uint8Array(rt.IFINFOMSG_LENGTH))
    .text(rt.IFLA_IFNAME, name)
    .text(rt.IFLA_IFALIAS, L3SHIM_LINK_ALIAS)
    .nested(rt.IFLA_AF_SPEC, new BodyWriter(EMPTY).nested(AF_INET6, inet6))
    .finish();
}

/** @param index interface index, or the interface's name */
export function encodeLinkKey(index: number | string): Uint8Array {
  const header = new Uint8Array(rt.IFINFOMSG_LENGTH);
  if (typeof index === "string") {
    return new BodyWriter(header).text(rt.IFLA_IFNAME, index).finish();
  }
  viewOf(header).setInt32(4, index, true);
  return header;
}

export function encodeLinkMtu(index: number, mtu: number): Uint8Array {
  return new BodyWriter(encodeLinkKey(index)).u32(rt.IFLA_MTU, mtu).finish();
}

export function encodeAddress(edit: AddressEdit): Uint8Array {
  const flags =
    (edit.noDad ? rt.IFA_F_NODAD : 0) | (edit.noPrefixRoute ? rt.IFA_F_NOPREFIXROUTE : 0);
  const cacheInfo = new Uint8Array(16);
  const lifetimes = viewOf(cacheInfo);
  lifetimes.setUint32(0, edit.preferredLifetime ?? rt.INFINITE_LIFETIME, true);
  lifetimes.setUint32(4, edit.validLifetime ?? rt.INFINITE_LIFETIME, true);
  return addressBody(edit)
    .u32(rt.IFA_FLAGS, flags)
    .bytes(rt.IFA_CACHEINFO, cacheInfo)
    .u8(rt.IFA_PROTO, L3SHIM_ROUTE_PROTOCOL)
    .finish();
}

export function encodeAddressKey(
  key: Pick<InterfaceAddress, "address" | "prefixLength" | "link">,
): Uint8Array {
  return addressBody(key).finish();
}

/** @param link interface index */
export function encodeNeighborKey(link: number, neighbor: Address): Uint8Array {
  const header = new Uint8Array(rt.NDMSG_LENGTH);
  header[0] = AF_INET6;
  viewOf(header).setInt32(4, link, true);
  return new BodyWriter(header).bytes(rt.NDA_DST, addressToBytes(neighbor)).finish();
}

export function encodeRoute(route: RouteEdit): Uint8Array {
  const header = new Uint8Array(rt.RTMSG_LENGTH);
  header[0] = AF_INET6;
  header[1] = route.destination.length;
  header[2] = route.source?.length ?? 0;
  header[5] = L3SHIM_ROUTE_PROTOCOL;
  header[6] = rt.RT_SCOPE_UNIVERSE;
  header[7] = RTN_UNICAST;
  // Gateways of ours are neighbors: the kernel need not find a route to them, which others may undo.
  if (route.gateway) viewOf(header).setUint32(8, rt.RTNH_F_ONLINK, true);
  const body = new BodyWriter(header)
    .bytes(rt.RTA_DST, addressToBytes(route.destination.address))
    .u32(rt.RTA_TABLE, route.table)
    .u32(rt.RTA_OIF, route.link);
  if (route.source) body.bytes(rt.RTA_SRC, addressToBytes(route.source.address));
  if (route.gateway) body.bytes(rt.RTA_GATEWAY, addressToBytes(route.gateway));
  if (route.metric !== undefined) body.u32(rt.RTA_PRIORITY, route.metric);
  if (route.lifetime !== undefined) body.u32(rt.RTA_EXPIRES, route.lifetime);
  if (route.mtu !== undefined) {
    body.nested(rt.RTA_METRICS, new BodyWriter(EMPTY).u32(rt.RTAX_MTU, route.mtu));
  }
  return body.finish();
}

export function encodeRule(rule: RuleEdit): Uint8Array {
  const header = new Uint8Array(rt.FIB_RULE_HDR_LENGTH);
  header[0] = AF_INET6;
  header[2] = rule.from?.length ?? 0;
  header[7] = FR_ACT_TO_TBL;
  const body = new BodyWriter(header)
    .u32(rt.FRA_PRIORITY, rule.priority)
    .u32(rt.FRA_TABLE, rule.table)
    .u8(rt.FRA_PROTOCOL, L3SHIM_ROUTE_PROTOCOL);
  if (rule.from) body.bytes(rt.FRA_SRC, addressToBytes(rule.from.address));
  if (rule.suppressPrefixLength !== undefined) {
    body.u32(rt.FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefixLength);
  }
  if (rule.withoutMark !== undefined) {
    viewOf(header).setUint32(8, rt.FIB_RULE_INVERT, true);
    body.u32(rt.FRA_FWMARK, rule.withoutMark).u32(rt.FRA_FWMASK, rule.withoutMark);
  }
  return body.finish();
}

export function encodeAddressLabel({ prefix, label }: AddressLabel): Uint8Array {
  const header = new Uint8Array(rt.IFADDRLBLMSG_LENGTH);
  header[0] = AF_INET6;
  header[2] = prefix.length;
  return new BodyWriter(header)
    .bytes(rt.IFAL_ADDRESS, addressToBytes(prefix.address))
    .u32(rt.IFAL_LABEL, label)
    .finish();
}

const EMPTY = new Uint8Array(0);

function vethEnd(name: string, mtu: number, noArp: boolean): BodyWriter {
  const header = new Uint8Array(rt.IFINFOMSG_LENGTH);
  viewOf(header).setUint32(8, noArp ? rt.IFF_NOARP : 0, true);
  viewOf(header).setUint32(12, rt.IFF_NOARP, true);
  return new BodyWriter(header)
    .text(rt.IFLA_IFNAME, name)
    .u32(rt.IFLA_MTU, mtu)
    .u32(rt.IFLA_GROUP, L3SHIM_LINK_GROUP);
}

function addressBody(key: Pick<InterfaceAddress, "address" | "prefixLength" | "link">): BodyWriter {
  const header = new Uint8Array(rt.IFADDRMSG_LENGTH);
  header[0] = AF_INET6;
  header[1] = key.prefixLength;
  viewOf(header).setUint32(4, key.link, true);
  return new BodyWriter(header).bytes(rt.IFA_LOCAL, addressToBytes(key.address));
}
