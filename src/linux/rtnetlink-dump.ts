import type { NetlinkSocket } from "./netlink-socket.ts";
import { NetworkTable } from "./network-table.ts";
import * as rt from "./rtnetlink-constants.ts";
import { encodeDumpBody } from "./rtnetlink-encode.ts";

const AF_UNSPEC = 0;

/** Reads all links and all IPv6 addresses, routes and rules. @throws SystemError */
export function dumpNetwork(socket: NetlinkSocket): NetworkTable {
  const table = new NetworkTable();
  const requests = [
    { type: rt.RTM_GETLINK, body: encodeDumpBody(rt.IFINFOMSG_LENGTH, AF_UNSPEC), what: "links" },
    { type: rt.RTM_GETADDR, body: encodeDumpBody(rt.IFADDRMSG_LENGTH), what: "addresses" },
    { type: rt.RTM_GETROUTE, body: encodeDumpBody(rt.RTMSG_LENGTH), what: "routes" },
    { type: rt.RTM_GETRULE, body: encodeDumpBody(rt.FIB_RULE_HDR_LENGTH), what: "rules" },
  ];
  for (const { type, body, what } of requests) {
    for (const message of socket.dump(type, body, `read the host's ${what}`)) table.apply(message);
  }
  return table;
}
