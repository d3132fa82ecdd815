import { MAIN_TABLE } from "../../linux/rtnetlink.ts";
import type { OwnEntries, OwnState, SourceRoute, SourceRule } from "./network.ts";
import type { Uplink } from "./uplinks.ts";

/**
 * Each locator leaves by its own uplink and next hop (RFC 8028 section 3), whatever the main
 * table's best default route is: an ISP drops what comes from another ISP's addresses.
 *
 * Two rules a locator: whatever the main table knows better than by a default route (the link
 * itself, a VPN, containers) goes that way; the rest goes to the table of the uplink.
 */
export const SPECIFIC_ROUTES_PRIORITY = 14_010;
export const UPLINK_PRIORITY = 14_020;
/** An uplink's table is this number plus its interface index. */
export const FIRST_TABLE = 1_400_000;

type Entries = Pick<OwnState, "rules" | "routes">;

const NOTHING: Entries = { rules: [], routes: [] };

/** Puts the rules and routes of all uplinks into the host's tables, and takes them out again. */
export class SourceRouting {
  readonly #own: OwnEntries;
  #wanted: Entries | undefined;
  readonly #warn: (error: Error) => void;

  /** @param warn gets what the kernel refused; the rest is set all the same */
  constructor(own: OwnEntries, warn: (error: Error) => void) {
    this.#own = own;
    this.#warn = warn;
  }

  /**
   * Makes the tables hold what `uplinks` needs and nothing more of ours, whatever a run before left.
   * @returns false when the same was wanted before, and nothing was looked at: see {@link repair}
   */
  apply(uplinks: readonly Uplink[]): boolean {
    const wanted = { rules: uplinks.flatMap(rulesOf), routes: uplinks.flatMap(routesOf) };
    if (this.#wanted !== undefined && sameEntries(wanted, this.#wanted)) return false;
    this.#wanted = wanted;
    this.repair(this.#own.read());
    return true;
  }

  /**
   * The same once more, after others changed the tables, or the kernel, which flushes the routes of
   * a link that goes down.
   * @param present what of the tables is ours now
   * @returns how many rules and routes were added or removed
   */
  repair(present: Entries): number {
    const own = this.#own;
    const wanted = this.#wanted ?? NOTHING;
    const rules = compare(present.rules, wanted.rules, ruleKey);
    const routes = compare(present.routes, wanted.routes, routeKey);
    // No rule ever leads to a table that is not filled yet, or not any more.
    const changes = [
      this.#each(rules.surplus, (rule) => own.removeRule(rule)),
      this.#each(routes.surplus, (route) => own.removeRoute(route)),
      this.#each(routes.missing, (route) => own.addRoute(route)),
      this.#each(rules.missing, (rule) => own.addRule(rule)),
    ];
    return changes.reduce((sum, count) => sum + count, 0);
  }

  /** Removes every rule and route of ours. */
  clear(): void {
    this.#wanted = NOTHING;
    this.repair(this.#own.read());
  }

  #each<Entry>(entries: readonly Entry[], change: (entry: Entry) => void): number {
    let changed = 0;
    for (const entry of entries) {
      try {
        change(entry);
        changed += 1;
      } catch (error) {
        this.#warn(error as Error);
      }
    }
    return changed;
  }
}

function tableOf(uplink: Uplink): number {
  return FIRST_TABLE + uplink.link;
}

/** An uplink without gateway or link needs no rules: the main table decides as before. */
function rulesOf(uplink: Uplink): SourceRule[] {
  if (routesOf(uplink).length === 0) return [];
  return uplink.locators
    .filter((locator) => locator.operational)
    .flatMap(({ address: from }) => [
      { priority: SPECIFIC_ROUTES_PRIORITY, from, table: MAIN_TABLE, skipDefaultRoutes: true },
      { priority: UPLINK_PRIORITY, from, table: tableOf(uplink), skipDefaultRoutes: false },
    ]);
}

function routesOf(uplink: Uplink): SourceRoute[] {
  const { gateway, link } = uplink;
  const usable = gateway !== undefined && uplink.locators.some((locator) => locator.operational);
  return usable ? [{ table: tableOf(uplink), link, gateway }] : [];
}

function ruleKey(rule: SourceRule): string {
  return `${rule.priority} ${rule.from} ${rule.table} ${rule.skipDefaultRoutes}`;
}

function routeKey(route: SourceRoute): string {
  return `${route.table} ${route.link} ${route.gateway}`;
}

function sameEntries(a: Entries, b: Entries): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What is there and should not be, doubled entries among it, and what should be and is not. */
function compare<Entry>(
  present: readonly Entry[],
  wanted: readonly Entry[],
  key: (entry: Entry) => string,
): { surplus: Entry[]; missing: Entry[] } {
  const open = new Map(wanted.map((entry) => [key(entry), entry]));
  const surplus = present.filter((entry) => !open.delete(key(entry)));
  return { surplus, missing: [...open.values()] };
}
