import { type Address, addressFromBytes, addressToBytes } from "../wire/address.ts";
import { AF_INET6 } from "./libc.ts";
import {
  attributeU32,
  BodyWriter,
  decodeAck,
  decodeAttributes,
  type NetlinkMessage,
  NLMSG_ERROR,
  viewOf,
} from "./netlink.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import * as rt from "./rtnetlink-constants.ts";
import { SystemError } from "./system-error.ts";

const ADDRESS_BITS = 128;
const EIO = 5;

/** From linux/if_link.h and ipv6.h: the IPv6 settings of a link, one 32-bit number each. */
const IFLA_INET6_CONF = 2;
const DEVCONF_MTU6 = 2;

/** How the kernel would send a packet now. */
export interface Egress {
  /** Interface index. */
  readonly link: number;
  /** `undefined` where the destination is on the link. */
  readonly gateway: Address | undefined;
  /** Octets: the path's MTU as far as the kernel knows it, else the interface's for IPv6. */
  readonly mtu: number;
}

/** Asks the kernel for routes, in the network namespace it was made in. */
export class RouteLookup {
  readonly #socket = new NetlinkSocket(rt.NETLINK_ROUTE);

  /**
   * The way of a packet from `source` to `destination`, policy rules applied.
   * @param mark the packet's
   * @throws SystemError ENETUNREACH and others of its kind without a route
   */
  find(source: Address, destination: Address, mark = 0): Egress {
    const attempt = `find the route from ${source} to ${destination}`;
    const answer = this.#ask(rt.RTM_GETROUTE, encodeQuery(source, destination, mark), attempt);
    const attributes = decodeAttributes(answer.body, rt.RTMSG_LENGTH);
    const link = attributes.get(rt.RTA_OIF);
    if (link === undefined) throw new SystemError(attempt, "netlink", EIO, "it has no interface");
    const gateway = attributes.get(rt.RTA_GATEWAY);
    const metrics = attributes.get(rt.RTA_METRICS);
    const mtu = metrics && decodeAttributes(metrics).get(rt.RTAX_MTU);
    return {
      link: attributeU32(link),
      gateway: gateway && addressFromBytes(gateway),
      mtu: mtu === undefined ? this.#linkMtu(attributeU32(link)) : attributeU32(mtu),
    };
  }

  /** Safe to call twice. */
  close(): void {
    this.#socket.close();
  }

  /** A router's advertisement may set the MTU for IPv6 below the link's own. */
  #linkMtu(link: number): number {
    const attempt = `read the MTU of link ${link}`;
    const header = new Uint8Array(rt.IFINFOMSG_LENGTH);
    viewOf(header).setInt32(4, link, true);
    const answer = this.#ask(rt.RTM_GETLINK, header, attempt);
    const attributes = decodeAttributes(answer.body, rt.IFINFOMSG_LENGTH);
    const families = attributes.get(rt.IFLA_AF_SPEC);
    const inet6 = families && decodeAttributes(families).get(AF_INET6);
    const settings = inet6 && decodeAttributes(inet6).get(IFLA_INET6_CONF);
    const own = attributes.get(rt.IFLA_MTU);
    if (settings !== undefined) return viewOf(settings).getUint32(4 * DEVCONF_MTU6, true);
    if (own === undefined) throw new SystemError(attempt, "netlink", EIO, "the kernel named none");
    return attributeU32(own);
  }

  #ask(type: number, body: Uint8Array, attempt: string): NetlinkMessage {
    const sequence = this.#socket.send(type, 0, body, attempt);
    const messages = this.#socket.receive(attempt);
    const answer =
      messages === undefined || messages === "overrun"
        ? undefined
        : messages.find((message) => message.sequence === sequence);
    if (answer === undefined) {
      throw new SystemError(attempt, "recv", EIO, "the kernel gave no answer");
    }
    if (answer.type !== NLMSG_ERROR) return answer;
    const { errno, text } = decodeAck(answer);
    throw new SystemError(attempt, "netlink", errno, text);
  }
}

function encodeQuery(source: Address, destination: Address, mark: number): Uint8Array {
  const header = new Uint8Array(rt.RTMSG_LENGTH);
  header[0] = AF_INET6;
  header[1] = ADDRESS_BITS;
  header[2] = ADDRESS_BITS;
  return new BodyWriter(header)
    .bytes(rt.RTA_DST, addressToBytes(destination))
    .bytes(rt.RTA_SRC, addressToBytes(source))
    .u32(rt.RTA_MARK, mark)
    .finish();
}
