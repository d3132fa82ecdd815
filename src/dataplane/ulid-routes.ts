import { type AddressPair, isEncapsulated } from "../core/output.ts";
import type { RouteEditor } from "../linux/route-editor.ts";
import type { Egress, RouteLookup } from "../linux/route-lookup.ts";
import { L3SHIM_ROUTE_PROTOCOL, type Route } from "../linux/rtnetlink.ts";
import type { RouteEdit, RuleEdit } from "../linux/rtnetlink-encode.ts";
import { SystemError } from "../linux/system-error.ts";
import { MINIMUM_MTU, UDP_HEADER_LENGTH } from "../wire/ipv6.ts";
import { PAYLOAD_HEADER_LENGTH } from "../wire/payload-header.ts";

/** Our table. Nothing else is in it. */
const ULID_TABLE = 1_399_999;
/** Whether routes and rules of that table are those of ULID pairs. */
export function isUlidTable(table: number): boolean {
  return table === ULID_TABLE;
}

/** Before the rules by which each locator leaves by its own uplink: a ULID is a locator too. */
const ULID_RULE_PRIORITY = 14_000;

/**
 * The bit of the packet mark that tells control messages and rewritten packets. They go by
 * their locators, also where these are the ULID pair of some mapped context.
 */
export const LOCATOR_MARK = 0x0800_0000;

const HOST_LENGTH = 128;

/**
 * Seconds that a route outlives a daemon that was killed, where its packets are then rewritten by
 * nobody: after that plain IPv6 goes by the ULID's own uplink again.
 */
const ROUTE_LIFETIME = 15;
const RENEWAL_INTERVAL_MS = 5_000;
const GONE = ["ESRCH", "ENOENT"];

type UlidRouteEditor = Pick<
  RouteEditor,
  "addRule" | "deleteRule" | "replaceRoute" | "renewRoute" | "deleteRoute" | "read" | "close"
>;

/**
 * A route for each mapped ULID pair, by the uplink that its locators use, with 8 octets less of
 * MTU: the ULP makes its packets smaller, and finds a route for its ULID even where the uplink
 * that the ULID came from has lost its own.
 */
export class UlidRoutes {
  readonly #editor: UlidRouteEditor;
  readonly #lookup: Pick<RouteLookup, "find" | "close">;
  readonly #outlive: boolean;
  readonly #routes = new Map<string, RouteEdit>();
  #renewal: NodeJS.Timeout | undefined;
  /** The rule that leads to the table is at this priority or at the next. */
  #priority = ULID_RULE_PRIORITY;

  /** @param outlive the routes stay though the process be killed: packets go on without it */
  constructor(
    editor: UlidRouteEditor,
    lookup: Pick<RouteLookup, "find" | "close">,
    outlive = false,
  ) {
    this.#editor = editor;
    this.#lookup = lookup;
    this.#outlive = outlive;
  }

  /** Removes what an earlier run left, and leads to the table. @throws SystemError */
  open(): void {
    this.#removeAll();
    this.#editor.addRule(rule(this.#priority));
    if (this.#outlive) return;
    this.#renewal = setInterval(() => this.#renewAll(), RENEWAL_INTERVAL_MS).unref();
  }

  /**
   * The way of rewritten packets. A UDP header is no part of its MTU.
   * @throws SystemError e.g. ENETUNREACH when there is no route between the locators
   */
  find(locators: AddressPair): Egress {
    const egress = this.#lookup.find(locators.local, locators.peer, LOCATOR_MARK);
    return { ...egress, mtu: egress.mtu - udpLength(locators) };
  }

  /** Leads the ULID pair's packets by the way of its locators. @throws SystemError */
  set(ulids: AddressPair, { link, gateway, mtu }: Egress): void {
    const route: RouteEdit = {
      destination: { address: ulids.peer, length: HOST_LENGTH },
      source: { address: ulids.local, length: HOST_LENGTH },
      ...(gateway === undefined ? {} : { gateway }),
      link,
      table: ULID_TABLE,
      mtu: Math.max(MINIMUM_MTU, mtu - PAYLOAD_HEADER_LENGTH),
      ...(this.#outlive ? {} : { lifetime: ROUTE_LIFETIME }),
    };
    this.#editor.replaceRoute(route);
    this.#routes.set(routeKey(ulids), route);
    this.#renewSocketRoutes();
  }

  /** Removes the pair's route; without one there is nothing to do. @throws SystemError */
  clear(ulids: AddressPair): void {
    const route = this.#routes.get(routeKey(ulids));
    if (route === undefined) return;
    this.#routes.delete(routeKey(ulids));
    // The kernel removes routes itself when their link goes down.
    ignoreIf(isGone, () => this.#editor.deleteRoute(route));
    this.#renewSocketRoutes();
  }

  /**
   * Puts back what others took away. A route whose link is down comes back with the link.
   * @returns how much that was
   * @throws SystemError
   */
  repair(): number {
    const { rules, routes } = this.#editor.read();
    const present = new Set(routes.filter(isOwn).map((route) => routeKey(ulidsOf(route))));
    const lost = [...this.#routes].filter(([key]) => !present.has(key));
    let repaired = 0;
    for (const [, route] of lost) {
      ignoreIf(isSystemError, () => {
        this.#editor.replaceRoute(route);
        repaired += 1;
      });
    }
    if (rules.some(isOwn)) return repaired;
    this.#editor.addRule(rule(this.#priority));
    return repaired + 1;
  }

  /**
   * In place of {@link open}, with the routes that an earlier run left: those of `pairs` stay as
   * they are.
   * @throws SystemError
   */
  takeOver(pairs: readonly AddressPair[]): void {
    const kept = new Set(pairs.map(routeKey));
    const { rules, routes } = this.#editor.read();
    const priorities = rules.filter(isOwn).map(({ priority }) => priority);
    for (const route of routes.filter(isOwn)) {
      const ulids = ulidsOf(route);
      if (kept.has(routeKey(ulids))) this.#routes.set(routeKey(ulids), routeEdit(route));
      else ignoreIf(isGone, () => this.#editor.deleteRoute(routeEdit(route)));
    }
    this.#priority = priorities[0] ?? this.#priority;
    if (priorities.length === 0) this.#editor.addRule(rule(this.#priority));
    for (const surplus of priorities.slice(1)) {
      ignoreIf(isGone, () => this.#editor.deleteRule(rule(surplus)));
    }
  }

  /** Leaves rule and routes where they are. */
  release(): void {
    clearInterval(this.#renewal);
    this.#editor.close();
    this.#lookup.close();
  }

  /** @throws SystemError */
  close(): void {
    clearInterval(this.#renewal);
    this.#removeAll();
    this.#editor.close();
    this.#lookup.close();
  }

  /**
   * A route whose link is down cannot be renewed, and comes back when the link does. Until then
   * the plane answers what is too big.
   */
  #renewAll(): void {
    for (const route of this.#routes.values()) {
      ignoreIf(isSystemError, () => this.#editor.renewRoute(route));
    }
  }

  /**
   * Sockets keep the route that they once found, and a change in another table than its own
   * does not make them look again. A new rule does.
   */
  #renewSocketRoutes(): void {
    const before = this.#priority;
    const now = before === ULID_RULE_PRIORITY ? before + 1 : ULID_RULE_PRIORITY;
    this.#editor.addRule(rule(now));
    this.#priority = now;
    ignoreIf(isGone, () => this.#editor.deleteRule(rule(before)));
  }

  #removeAll(): void {
    const { rules, routes } = this.#editor.read();
    for (const { priority } of rules.filter(isOwn)) {
      ignoreIf(isGone, () => this.#editor.deleteRule(rule(priority)));
    }
    for (const route of routes.filter(isOwn)) {
      ignoreIf(isGone, () => this.#editor.deleteRoute(routeEdit(route)));
    }
    this.#routes.clear();
  }
}

function isOwn({ table, protocol }: { table: number; protocol: number | undefined }): boolean {
  return table === ULID_TABLE && protocol === L3SHIM_ROUTE_PROTOCOL;
}

function ulidsOf({ source, destination }: Pick<Route, "source" | "destination">): AddressPair {
  return { local: source.address, peer: destination.address };
}

function routeEdit({ destination, source, link, table, metric }: Route): RouteEdit {
  return { destination, source, link, table, metric };
}

function rule(priority: number): RuleEdit {
  return { priority, table: ULID_TABLE, withoutMark: LOCATOR_MARK };
}

function routeKey({ local, peer }: AddressPair): string {
  return `${local} ${peer}`;
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof SystemError;
}

function isGone(error: unknown): boolean {
  return isSystemError(error) && GONE.includes(error.code);
}

function ignoreIf(condition: (error: unknown) => boolean, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!condition(error)) throw error;
  }
}

/** Octets of the UDP header that payload has between the locators. */
export function udpLength(locators: AddressPair): number {
  return isEncapsulated(locators) ? UDP_HEADER_LENGTH : 0;
}
