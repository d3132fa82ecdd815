import { isUlidTable } from "../../dataplane/ulid-routes.ts";
import { type NeighborObserver, NeighborWatch } from "../../linux/neighbor-watch.ts";
import type { NetworkChange } from "../../linux/network-table.ts";
import { RouteEditor } from "../../linux/route-editor.ts";
import { RouteMonitor } from "../../linux/route-monitor.ts";
import {
  type AddressLabel,
  ANY_PREFIX,
  type InterfaceAddress,
  isDefaultRoute,
  L3SHIM_ROUTE_PROTOCOL,
  type Route,
  type Rule,
} from "../../linux/rtnetlink.ts";
import { SystemError } from "../../linux/system-error.ts";
import type { Address } from "../../wire/address.ts";
import type {
  HostNetwork,
  NetworkMonitor,
  NetworkObserver,
  OwnAddress,
  OwnEntries,
  OwnState,
  SourceRoute,
  SourceRule,
} from "./network.ts";
import { FIRST_TABLE, SPECIFIC_ROUTES_PRIORITY, UPLINK_PRIORITY } from "./source-routing.ts";

/** LOOPBACK_IFINDEX: the same in every network namespace. */
const LOOPBACK = 1;

/** As that of addresses from router advertisements: the interface identifier has 64 bits. */
const OWN_PREFIX_LENGTH = 64;

/** Follows the network of the namespace that the process is in. */
export class KernelMonitor implements NetworkMonitor {
  #monitor: RouteMonitor | undefined;
  #neighbors: NeighborWatch | undefined;

  get network(): HostNetwork {
    return this.#monitor?.table ?? { links: [], addresses: [], routes: [] };
  }

  start(observer: NetworkObserver): void {
    const failed = (error: Error): void => observer.failed(error);
    this.#monitor = new RouteMonitor({
      changed: (changes) => {
        const rules = this.#monitor?.table.rules ?? [];
        if (changes.some((change) => concernsUs(change, rules))) observer.changed();
      },
      failed,
    });
    const unreachable: NeighborObserver["unreachable"] = (link, neighbor) =>
      observer.unreachable(link, neighbor);
    this.#neighbors = new NeighborWatch({ unreachable, failed });
  }

  close(): void {
    this.#monitor?.close();
    this.#neighbors?.close();
  }
}

/**
 * A router's table changes all the time: only its default routes and what is ours count.
 * @param rules those that stand after the change
 */
function concernsUs(change: NetworkChange, rules: readonly Rule[]): boolean {
  switch (change.kind) {
    case "route":
      return (
        isDefaultRoute(change.route) || isOwnRoute(change.route) || isLost(change.route, change)
      );
    case "rule":
      return isOwnRule(change.rule) || (isLost(change.rule, change) && !rules.some(leadsToUlids));
    default:
      return true;
  }
}

/**
 * The data plane's own entries come and go with every switch, and a rule in the place of the one
 * that goes comes first; whether one is missing, the plane knows.
 */
function isLost({ table }: { readonly table: number }, { change }: NetworkChange): boolean {
  return change === "removed" && isUlidTable(table);
}

function leadsToUlids({ table }: Rule): boolean {
  return isUlidTable(table);
}

function isOwnRoute(route: Route): boolean {
  return route.protocol === L3SHIM_ROUTE_PROTOCOL && route.table >= FIRST_TABLE;
}

/** The data plane has rules with the same mark and another priority. */
function isOwnRule(rule: Rule): boolean {
  return (
    rule.protocol === L3SHIM_ROUTE_PROTOCOL &&
    (rule.priority === SPECIFIC_ROUTES_PRIORITY || rule.priority === UPLINK_PRIORITY)
  );
}

/** Our entries in the tables of the namespace that the process is in. */
export class KernelEntries implements OwnEntries {
  readonly #editor = new RouteEditor();

  read(): OwnState {
    const { addresses, routes, rules } = this.#editor.read();
    return {
      rules: rules.filter(isOwnRule).map((rule) => ({
        priority: rule.priority,
        from: rule.from.address,
        table: rule.table,
        skipDefaultRoutes: rule.suppressPrefixLength === 0,
      })),
      routes: routes
        .filter(isOwnRoute)
        .flatMap(({ table, link, gateway }) =>
          gateway === undefined ? [] : { table, link, gateway },
        ),
      ulids: addresses
        .filter(({ link, protocol }) => link === LOOPBACK && protocol === L3SHIM_ROUTE_PROTOCOL)
        .map(({ address }) => address),
    };
  }

  readAddresses(): readonly InterfaceAddress[] {
    return this.#editor.readAddresses();
  }

  addRule(rule: SourceRule): void {
    unless("EEXIST", () => this.#editor.addRule(ruleEdit(rule)));
  }

  removeRule(rule: SourceRule): void {
    unless("ENOENT", () => this.#editor.deleteRule(ruleEdit(rule)));
  }

  addRoute(route: SourceRoute): void {
    this.#editor.replaceRoute({ destination: ANY_PREFIX, ...route });
  }

  removeRoute(route: SourceRoute): void {
    unless("ESRCH", () => this.#editor.deleteRoute({ destination: ANY_PREFIX, ...route }));
  }

  addUlid(ulid: Address): boolean {
    const edit = {
      address: ulid,
      prefixLength: 128,
      link: LOOPBACK,
      noDad: true,
      noPrefixRoute: true,
      preferredLifetime: 0,
      validLifetime: undefined,
    };
    if (unless("EEXIST", () => this.#editor.addAddress(edit))) return true;
    return this.#find(ulid)?.protocol === L3SHIM_ROUTE_PROTOCOL;
  }

  removeUlid(ulid: Address): void {
    const found = this.#find(ulid);
    if (found === undefined || !found.deprecated) return;
    if ((found.protocol ?? L3SHIM_ROUTE_PROTOCOL) !== L3SHIM_ROUTE_PROTOCOL) return;
    unless("EADDRNOTAVAIL", () => this.#editor.deleteAddress(found));
  }

  setAddress({ address, link, deprecated }: OwnAddress): void {
    this.#editor.replaceAddress({
      address,
      link,
      prefixLength: OWN_PREFIX_LENGTH,
      noDad: false,
      // On-link or not is for the router to say.
      noPrefixRoute: true,
      preferredLifetime: deprecated ? 0 : undefined,
      validLifetime: undefined,
    });
  }

  removeAddress({ address, link }: OwnAddress): void {
    const key = { address, link, prefixLength: OWN_PREFIX_LENGTH };
    // The address may have gone with its interface.
    unless("ENODEV", () => unless("EADDRNOTAVAIL", () => this.#editor.deleteAddress(key)));
  }

  readLabels(): AddressLabel[] {
    return this.#editor.readLabels();
  }

  addLabel(label: AddressLabel): void {
    unless("EEXIST", () => this.#editor.addLabel(label));
  }

  removeLabel(label: AddressLabel): void {
    unless("ESRCH", () => this.#editor.deleteLabel(label));
  }

  dropWaiting(link: number, neighbor: Address): void {
    unless("ENOENT", () => this.#editor.deleteNeighbor(link, neighbor));
  }

  close(): void {
    this.#editor.close();
  }

  #find(ulid: Address): InterfaceAddress | undefined {
    return this.#editor
      .read()
      .addresses.find(
        ({ link, address, prefixLength }) =>
          link === LOOPBACK && address === ulid && prefixLength === 128,
      );
  }
}

function ruleEdit({ priority, from, table, skipDefaultRoutes }: SourceRule) {
  const rule = { priority, from: { address: from, length: 128 }, table };
  return skipDefaultRoutes ? { ...rule, suppressPrefixLength: 0 } : rule;
}

/** True when `change` was made, false when the kernel answered `code`: it was not needed. */
function unless(code: string, change: () => void): boolean {
  try {
    change();
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === code) return false;
    throw error;
  }
}
