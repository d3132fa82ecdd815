import type { AddressLabel, InterfaceAddress, Link, Route } from "../../linux/rtnetlink.ts";
import type { Address } from "../../wire/address.ts";

/** The host's links, addresses and routes at one moment. */
export interface HostNetwork {
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
}

export interface NetworkObserver {
  /** After every change. */
  changed(): void;
  /** The kernel has found this neighbor dead. @param link interface index */
  unreachable(link: number, neighbor: Address): void;
  /** Once, when the network can be followed no longer. */
  failed(error: Error): void;
}

/** Follows the host's network. */
export interface NetworkMonitor {
  /** As of the last change. */
  readonly network: HostNetwork;
  start(observer: NetworkObserver): void;
  close(): void;
}

/** A policy rule of ours: packets from a locator look into a table. */
export interface SourceRule {
  readonly priority: number;
  readonly from: Address;
  readonly table: number;
  /** Pass over the table's default routes (suppress_prefixlength 0). */
  readonly skipDefaultRoutes: boolean;
}

/** A default route of ours. */
export interface SourceRoute {
  readonly table: number;
  /** Interface index. */
  readonly link: number;
  readonly gateway: Address;
}

/** An address of our making on an interface. */
export interface OwnAddress {
  readonly address: Address;
  /** Interface index. */
  readonly link: number;
  /** Nothing new chooses it. */
  readonly deprecated: boolean;
}

/** What of the host's tables is ours at one moment. */
export interface OwnState {
  readonly rules: readonly SourceRule[];
  readonly routes: readonly SourceRoute[];
  /** /128 addresses on the loopback interface, deprecated so that nothing new chooses them. */
  readonly ulids: readonly Address[];
}

/**
 * What the shim puts into the host's tables, marked as its own (route protocol 140), and of
 * the rest only packets that can't leave. To add what is there and to remove what is not there is no failure. Every
 * method has taken effect when it returns, and throws SystemError.
 */
export interface OwnEntries {
  read(): OwnState;
  /** All addresses of the host, others' too, with their lifetimes as they are now. */
  readAddresses(): readonly InterfaceAddress[];
  addRule(rule: SourceRule): void;
  removeRule(rule: SourceRule): void;
  addRoute(route: SourceRoute): void;
  removeRoute(route: SourceRoute): void;
  /** False when the address stands there already and is not ours. */
  addUlid(ulid: Address): boolean;
  removeUlid(ulid: Address): void;
  /** Adds it, with duplicate address detection and without a route, or deprecates it or not. */
  setAddress(address: OwnAddress): void;
  removeAddress(address: OwnAddress): void;
  /** The policy table for source addresses, others' entries too (RFC 6724 section 2.1). */
  readLabels(): AddressLabel[];
  addLabel(label: AddressLabel): void;
  removeLabel(label: AddressLabel): void;
  /** Drops the packets that wait for the link-layer address of a neighbor on a link. */
  dropWaiting(link: number, neighbor: Address): void;
  close(): void;
}
