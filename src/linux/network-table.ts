import type { NetlinkMessage } from "./netlink.ts";
import { NLM_F_REPLACE } from "./netlink.ts";
import type { InterfaceAddress, Link, Prefix, Route, Rule } from "./rtnetlink.ts";
import * as rt from "./rtnetlink-constants.ts";
import { decodeAddress, decodeLink, decodeRoutes, decodeRule } from "./rtnetlink-decode.ts";

/** One thing that changed; "removed" carries what was there last. */
export type NetworkChange = { readonly change: "added" | "changed" | "removed" } & (
  | { readonly kind: "link"; readonly link: Link }
  | { readonly kind: "address"; readonly address: InterfaceAddress }
  | { readonly kind: "route"; readonly route: Route }
  | { readonly kind: "rule"; readonly rule: Rule }
);

/** What a message did to the table; "resync": nothing, for it alone does not say enough. */
export type Applied = readonly NetworkChange[] | "resync";

/** The kernel's links and IPv6 addresses, routes and rules, as its messages describe them. */
export class NetworkTable {
  readonly #links = new Map<string, Link>();
  readonly #addresses = new Map<string, InterfaceAddress>();
  readonly #routes = new Map<string, Route>();
  // The kernel refuses a second equal rule of anyone who asks with NLM_F_EXCL, as all do.
  readonly #rules = new Map<string, Rule>();

  get links(): Link[] {
    return [...this.#links.values()];
  }

  get addresses(): InterfaceAddress[] {
    return [...this.#addresses.values()];
  }

  get routes(): Route[] {
    return [...this.#routes.values()];
  }

  get rules(): Rule[] {
    return [...this.#rules.values()];
  }

  /** Takes in a message of a dump or a notification. Others than RTM_NEW* and RTM_DEL* are nothing. */
  apply(message: NetlinkMessage): Applied {
    switch (message.type) {
      case rt.RTM_NEWLINK:
        return this.#addLink(message);
      case rt.RTM_DELLINK:
        return this.#removeLink(message);
      case rt.RTM_NEWADDR:
      case rt.RTM_DELADDR:
        return this.#applyAddress(message);
      case rt.RTM_NEWROUTE:
        return this.#addRoutes(message);
      case rt.RTM_DELROUTE:
        return decodeRoutes(message).flatMap((route) => this.#removeRoute(routeKey(route)));
      case rt.RTM_NEWRULE:
      case rt.RTM_DELRULE:
        return this.#applyRule(message);
      default:
        return [];
    }
  }

  /** What changed from `before` to this table. */
  changesSince(before: NetworkTable): NetworkChange[] {
    return [
      ...difference(before.#links, this.#links, linkChange),
      ...difference(before.#addresses, this.#addresses, addressChange),
      ...difference(before.#routes, this.#routes, routeChange),
      ...difference(before.#rules, this.#rules, ruleChange),
    ];
  }

  #addLink(message: NetlinkMessage): NetworkChange[] {
    const link = decodeLink(message);
    return link === undefined ? [] : put(this.#links, String(link.index), link, linkChange);
  }

  /** The link's addresses and routes have gone with it, whether or not that is announced. */
  #removeLink(message: NetlinkMessage): NetworkChange[] {
    const link = decodeLink(message);
    if (link === undefined) return [];
    const addresses = [...this.#addresses].filter(([, address]) => address.link === link.index);
    const routes = [...this.#routes].filter(([, route]) => route.link === link.index);
    return [
      ...addresses.flatMap(([key]) => take(this.#addresses, key, addressChange)),
      ...routes.flatMap(([key]) => this.#removeRoute(key)),
      ...take(this.#links, String(link.index), linkChange),
    ];
  }

  #applyAddress(message: NetlinkMessage): NetworkChange[] {
    const address = decodeAddress(message);
    if (address === undefined) return [];
    const key = `${address.link} ${address.address}/${address.prefixLength}`;
    return message.type === rt.RTM_NEWADDR
      ? put(this.#addresses, key, address, addressChange)
      : take(this.#addresses, key, addressChange);
  }

  /**
   * A replacement names only the new route. It is clear which one went if there was one; among
   * several with the same metric (RFC 4191: routers of equal preference) only the kernel knows.
   */
  #addRoutes(message: NetlinkMessage): Applied {
    const routes = decodeRoutes(message);
    const [first] = routes;
    if (first === undefined) return [];
    const keys = new Set(routes.map(routeKey));
    const replaces = (message.flags & NLM_F_REPLACE) !== 0;
    const replaced = replaces
      ? [...this.#routes].filter(([, route]) => replaceable(route, first))
      : [];
    if (replaced.length > 1) return "resync";
    return [
      ...replaced.flatMap(([key]) => (keys.has(key) ? [] : this.#removeRoute(key))),
      ...routes.flatMap((route) => put(this.#routes, routeKey(route), route, routeChange)),
    ];
  }

  #removeRoute(key: string): NetworkChange[] {
    return take(this.#routes, key, routeChange);
  }

  #applyRule(message: NetlinkMessage): NetworkChange[] {
    const rule = decodeRule(message);
    if (rule === undefined) return [];
    const key = JSON.stringify(rule);
    return message.type === rt.RTM_NEWRULE
      ? put(this.#rules, key, rule, ruleChange)
      : take(this.#rules, key, ruleChange);
  }
}

type Describe<Value> = (change: NetworkChange["change"], value: Value) => NetworkChange;

const linkChange: Describe<Link> = (change, link) => ({ kind: "link", change, link });
const addressChange: Describe<InterfaceAddress> = (change, address) => ({
  kind: "address",
  change,
  address,
});
const routeChange: Describe<Route> = (change, route) => ({ kind: "route", change, route });
const ruleChange: Describe<Rule> = (change, rule) => ({ kind: "rule", change, rule });

function put<Value extends object>(
  table: Map<string, Value>,
  key: string,
  value: Value,
  describe: Describe<Value>,
): NetworkChange[] {
  const before = table.get(key);
  table.set(key, value);
  if (before === undefined) return [describe("added", value)];
  return same(before, value) ? [] : [describe("changed", value)];
}

function take<Value>(
  table: Map<string, Value>,
  key: string,
  describe: Describe<Value>,
): NetworkChange[] {
  const before = table.get(key);
  if (before === undefined) return [];
  table.delete(key);
  return [describe("removed", before)];
}

function difference<Value extends object>(
  before: ReadonlyMap<string, Value>,
  after: ReadonlyMap<string, Value>,
  describe: Describe<Value>,
): NetworkChange[] {
  const changes: NetworkChange[] = [];
  for (const [key, value] of before) {
    if (!after.has(key)) changes.push(describe("removed", value));
  }
  for (const [key, value] of after) {
    const old = before.get(key);
    if (old === undefined) changes.push(describe("added", value));
    else if (!same(old, value)) changes.push(describe("changed", value));
  }
  return changes;
}

/** Lifetimes run down all the time; that is no change. The flag "deprecated" is one. */
function same(a: object, b: object): boolean {
  return toComparable(a) === toComparable(b);
}

function toComparable(value: object): string {
  return JSON.stringify({ ...value, preferredLifetime: undefined, validLifetime: undefined });
}

function routeKey(route: Route): string {
  const { destination, source, table, metric, gateway, link, type } = route;
  return [prefixText(destination), prefixText(source), table, metric, gateway, link, type].join(
    " ",
  );
}

/** A route is replaced by one to the same destination, from the same source, of the same metric. */
function replaceable(a: Route, b: Route): boolean {
  return (
    a.table === b.table &&
    a.metric === b.metric &&
    prefixText(a.destination) === prefixText(b.destination) &&
    prefixText(a.source) === prefixText(b.source)
  );
}

function prefixText(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`;
}
