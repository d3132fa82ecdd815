import type { Address } from "../wire/address.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "./netlink.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import type { NetworkTable } from "./network-table.ts";
import type { AddressLabel, InterfaceAddress, Prefix } from "./rtnetlink.ts";
import * as rt from "./rtnetlink-constants.ts";
import { decodeAddress, decodeAddressLabel } from "./rtnetlink-decode.ts";
import { dumpNetwork } from "./rtnetlink-dump.ts";
import {
  type AddressEdit,
  encodeAddress,
  encodeAddressKey,
  encodeAddressLabel,
  encodeDumpBody,
  encodeLinkKey,
  encodeLinkMtu,
  encodeLinkState,
  encodeNeighborKey,
  encodeRoute,
  encodeRule,
  encodeVethPair,
  encodeVethSettings,
  type RouteEdit,
  type RuleEdit,
  type VethPairEdit,
} from "./rtnetlink-encode.ts";
import { SystemError } from "./system-error.ts";

/**
 * Changes links, addresses, routes and rules of the network namespace it was made in. All that it adds
 * is marked with L3SHIM_ROUTE_PROTOCOL; of routes and rules it deletes only what is so marked.
 * Each method has taken effect when it returns, and throws SystemError: EPERM without
 * CAP_NET_ADMIN, and the codes that are named with it.
 */
export class RouteEditor {
  readonly #socket = new NetlinkSocket(rt.NETLINK_ROUTE);

  /** The tables as they are now. */
  read(): Pick<NetworkTable, "links" | "addresses" | "routes" | "rules"> {
    return dumpNetwork(this.#socket);
  }

  /** The addresses, with their lifetimes as they are now. */
  readAddresses(): InterfaceAddress[] {
    const body = encodeDumpBody(rt.IFADDRMSG_LENGTH);
    return this.#socket
      .dump(rt.RTM_GETADDR, body, "read the host's addresses")
      .flatMap((message) => decodeAddress(message) ?? []);
  }

  /** @throws SystemError EEXIST when the interface has this address */
  addAddress(edit: AddressEdit): void {
    this.#change(rt.RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, encodeAddress(edit), [
      "add address",
      addressText(edit),
    ]);
  }

  /** Adds the address, or gives the one that is there these flags and lifetimes. */
  replaceAddress(edit: AddressEdit): void {
    this.#change(rt.RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, encodeAddress(edit), [
      "set address",
      addressText(edit),
    ]);
  }

  /** @throws SystemError EADDRNOTAVAIL when there is no such address */
  deleteAddress(key: Pick<InterfaceAddress, "address" | "prefixLength" | "link">): void {
    this.#change(rt.RTM_DELADDR, 0, encodeAddressKey(key), ["delete address", addressText(key)]);
  }

  /** Adds the route, in place of one with the same destination, source, table and metric. */
  replaceRoute(edit: RouteEdit): void {
    this.#change(rt.RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, encodeRoute(edit), [
      "set route",
      routeText(edit),
    ]);
  }

  /**
   * Starts the route's lifetime anew and leaves what the kernel has learnt with it, such as path
   * MTUs; adds the route when it is gone.
   */
  renewRoute(edit: RouteEdit): void {
    try {
      this.#change(rt.RTM_NEWROUTE, NLM_F_CREATE, encodeRoute(edit), ["renew", routeText(edit)]);
    } catch (error) {
      // The kernel's way to say that the route was there and has its new lifetime.
      if (!(error instanceof SystemError && error.code === "EEXIST")) throw error;
    }
  }

  /** @throws SystemError ESRCH when there is no such route of ours */
  deleteRoute(edit: RouteEdit): void {
    this.#change(rt.RTM_DELROUTE, 0, encodeRoute(edit), ["delete route", routeText(edit)]);
  }

  /** @throws SystemError EEXIST when there is such a rule */
  addRule(edit: RuleEdit): void {
    this.#change(rt.RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, encodeRule(edit), [
      "add rule",
      ruleText(edit),
    ]);
  }

  /** @throws SystemError ENOENT when there is no such rule of ours */
  deleteRule(edit: RuleEdit): void {
    this.#change(rt.RTM_DELRULE, 0, encodeRule(edit), ["delete rule", ruleText(edit)]);
  }

  /** The policy table for source addresses, but for labels of single interfaces. */
  readLabels(): AddressLabel[] {
    const body = encodeDumpBody(rt.IFADDRLBLMSG_LENGTH);
    return this.#socket
      .dump(rt.RTM_GETADDRLABEL, body, "read the host's address labels")
      .flatMap((message) => decodeAddressLabel(message) ?? []);
  }

  /** @throws SystemError EEXIST when the prefix has a label */
  addLabel(label: AddressLabel): void {
    const attempt = ["add label", String(label.label), "of", prefixText(label.prefix)];
    this.#change(
      rt.RTM_NEWADDRLABEL,
      NLM_F_CREATE | NLM_F_EXCL,
      encodeAddressLabel(label),
      attempt,
    );
  }

  /** @throws SystemError ESRCH when the prefix has no label */
  deleteLabel(label: AddressLabel): void {
    const attempt = ["delete label", String(label.label), "of", prefixText(label.prefix)];
    this.#change(rt.RTM_DELADDRLABEL, 0, encodeAddressLabel(label), attempt);
  }

  /** @throws SystemError ENODEV when there is no such link */
  setLinkUp(index: number, up: boolean): void {
    const attempt = ["switch", up ? "on" : "off", "link", String(index)];
    this.#change(rt.RTM_NEWLINK, 0, encodeLinkState(index, up), attempt);
  }

  /** @throws SystemError ENODEV when there is no such link, EINVAL when it cannot have this MTU */
  setLinkMtu(index: number, mtu: number): void {
    const attempt = ["set the MTU of link", String(index), "to", String(mtu)];
    this.#change(rt.RTM_NEWLINK, 0, encodeLinkMtu(index, mtu), attempt);
  }

  /**
   * Adds two links that are each other's cable, marked as ours and switched off.
   * @throws SystemError EEXIST when there is a link of either name
   */
  addVethPair(edit: VethPairEdit): void {
    const attempt = ["add veth pair", edit.name, edit.peerName];
    this.#change(rt.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, encodeVethPair(edit), attempt);
    try {
      for (const name of [edit.name, edit.peerName]) {
        this.#change(rt.RTM_NEWLINK, 0, encodeVethSettings(name, edit), attempt);
      }
    } catch (error) {
      this.#change(rt.RTM_DELLINK, 0, encodeLinkKey(edit.name), ["delete link", edit.name]);
      throw error;
    }
  }

  /**
   * Deletes a link, and of a veth pair both.
   * @throws SystemError ENODEV when there is no such link, EOPNOTSUPP when it is hardware
   */
  deleteLink(index: number): void {
    this.#change(rt.RTM_DELLINK, 0, encodeLinkKey(index), ["delete link", String(index)]);
  }

  /**
   * Forgets a neighbor and drops what waits for its link-layer address.
   * @param link interface index
   * @throws SystemError ENOENT when it is not known, ENODEV when there is no such link
   */
  deleteNeighbor(link: number, neighbor: Address): void {
    const attempt = ["delete neighbor", `${neighbor} on link ${link}`];
    this.#change(rt.RTM_DELNEIGH, 0, encodeNeighborKey(link, neighbor), attempt);
  }

  /** Safe to call twice. */
  close(): void {
    this.#socket.close();
  }

  #change(type: number, flags: number, body: Uint8Array, attempt: readonly string[]): void {
    this.#socket.request(type, flags, body, attempt.join(" "));
  }
}

function addressText(key: Pick<InterfaceAddress, "address" | "prefixLength" | "link">): string {
  return `${key.address}/${key.prefixLength} on link ${key.link}`;
}

function routeText(edit: RouteEdit): string {
  const from = edit.source ? ` from ${prefixText(edit.source)}` : "";
  const via = edit.gateway ? ` via ${edit.gateway}` : "";
  return `${prefixText(edit.destination)}${from}${via} on link ${edit.link} in table ${edit.table}`;
}

function ruleText(edit: RuleEdit): string {
  const from = edit.from ? prefixText(edit.from) : "all";
  return `${edit.priority} from ${from} lookup ${edit.table}`;
}

function prefixText(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`;
}
