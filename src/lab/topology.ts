import type { Address } from "../wire/address.ts";
import { parseAddress } from "../wire/address.ts";

/**
 * What a lab network looks like, as data. Every ISP is one router, a core router joins the ISPs,
 * and each uplink is a veth pair between a host and its ISP's router:
 *
 *     host A ──isp1──┐                 ┌──isp1── host B
 *            ──isp2─┐└─[isp1]─┐       ┌┘
 *                   └──[isp2]─[core]  …
 */
export interface Topology {
  readonly isps: readonly string[];
  readonly hosts: readonly HostSpec[];
}

export interface HostSpec {
  /** Lower-case letters and digits, at most 8: it becomes part of interface names. */
  readonly name: string;
  /** The first one is the preferred one: its address is the host's ULID. */
  readonly uplinks: readonly UplinkSpec[];
  /**
   * Nothing is configured on it: its addresses and routers are those that its ISPs' routers
   * advertise. Of its uplinks' addresses only the network counts.
   */
  readonly autoconfigured?: boolean;
}

export interface UplinkSpec {
  readonly isp: string;
  readonly address: Address;
}

/** The three hosts of the paper's figure 8: A is A and a, B is B and b, C is C alone. */
export const PAPER_TOPOLOGY: Topology = {
  isps: ["isp1", "isp2"],
  hosts: [
    {
      name: "a",
      uplinks: [
        { isp: "isp1", address: literal("2001:db8:1:a::1") },
        { isp: "isp2", address: literal("2001:db8:2:a::1") },
      ],
    },
    {
      name: "b",
      uplinks: [
        { isp: "isp1", address: literal("2001:db8:1:b::1") },
        { isp: "isp2", address: literal("2001:db8:2:b::1") },
      ],
    },
    { name: "c", uplinks: [{ isp: "isp2", address: literal("2001:db8:2:c::1") }] },
  ],
};

/** A home with two ISPs, and a server with two others; nothing is configured on either. */
export const HOME_TOPOLOGY: Topology = {
  isps: ["isp1", "isp2", "isp3", "isp4"],
  hosts: [
    {
      name: "a",
      autoconfigured: true,
      uplinks: [
        { isp: "isp1", address: literal("2001:db8:1:a::1") },
        { isp: "isp2", address: literal("2001:db8:2:a::1") },
      ],
    },
    {
      name: "b",
      autoconfigured: true,
      uplinks: [
        { isp: "isp3", address: literal("2001:db8:3:b::1") },
        { isp: "isp4", address: literal("2001:db8:4:b::1") },
      ],
    },
  ],
};

export const CORE = "core";

/** Octets; what every link carries unless a test says otherwise. */
export const LINK_MTU = 1500;

/** @throws TypeError when `text` is no IPv6 address. */
export function literal(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new TypeError(`not an IPv6 address: ${text}`);
  return address;
}

/** The /64 that the uplink's ISP gave to this host. */
export function uplinkPrefix(uplink: UplinkSpec): string {
  return `${networkPart(uplink.address)}::/64`;
}

/** The ISP router's address on the uplink: the host's default router. */
export function uplinkRouter(uplink: UplinkSpec): Address {
  return literal(`${networkPart(uplink.address)}::fe`);
}

/** The link between the core and the ISP that stands at `index` of the topology. */
export function coreLink(index: number): { core: Address; isp: Address } {
  const network = `2001:db8:fff0:${(index + 1).toString(16)}`;
  return { core: literal(`${network}::1`), isp: literal(`${network}::2`) };
}

/** @throws RangeError when the topology has no host of this name. */
export function hostSpec(topology: Topology, name: string): HostSpec {
  const host = topology.hosts.find((candidate) => candidate.name === name);
  if (host === undefined) throw new RangeError(`the topology has no host "${name}"`);
  return host;
}

/** @throws RangeError when the host has no uplink to this ISP. */
export function uplinkSpec(host: HostSpec, isp: string): UplinkSpec {
  const uplink = host.uplinks.find((candidate) => candidate.isp === isp);
  if (uplink === undefined) throw new RangeError(`host "${host.name}" has no uplink to "${isp}"`);
  return uplink;
}

/** The first four groups of the address, each written out, without trailing colon. */
function networkPart(address: Address): string {
  const [head = "", tail] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  if (tail === undefined) return before.slice(0, 4).join(":");
  const after = tail === "" ? [] : tail.split(":");
  const zeros = new Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
