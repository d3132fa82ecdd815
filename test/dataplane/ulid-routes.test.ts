import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UlidRoutes } from "../../src/dataplane/ulid-routes.ts";
import { ANY_PREFIX, type Route, type Rule } from "../../src/linux/rtnetlink.ts";
import type { RouteEdit, RuleEdit } from "../../src/linux/rtnetlink-encode.ts";
import { SystemError } from "../../src/linux/system-error.ts";
import { address, LOCATORS, ULIDS } from "./nfqueue/support/fakes.ts";

const TABLE = 1_399_999;
const ENOENT = 2;
const ESRCH = 3;
const ENETDOWN = 100;
const ENETUNREACH = 101;
const GATEWAY = address("fe80::1");

/** The kernel's tables, as far as these routes need them. */
class FakeKernel {
  rules: RuleEdit[] = [];
  routes: RouteEdit[] = [];
  foreign: { rules: Rule[]; routes: Route[] } = { rules: [], routes: [] };
  renewed: RouteEdit[] = [];
  linkDown = false;
  mtu = 1500;
  noRoute = false;

  find(): { link: number; gateway: typeof GATEWAY; mtu: number } {
    if (this.noRoute) throw new SystemError("find the route", "netlink", ENETUNREACH);
    return { link: 3, gateway: GATEWAY, mtu: this.mtu };
  }

  addRule(edit: RuleEdit): void {
    this.rules.push(edit);
  }

  deleteRule({ priority }: RuleEdit): void {
    const index = this.rules.findIndex((rule) => rule.priority === priority);
    if (index < 0) throw new SystemError("delete rule", "netlink", ENOENT);
    this.rules.splice(index, 1);
  }

  replaceRoute(edit: RouteEdit): void {
    if (this.linkDown) throw new SystemError("set", "netlink", ENETDOWN);
    this.routes = this.routes.filter((route) => !sameRoute(route, edit));
    this.routes.push(edit);
  }

  renewRoute(edit: RouteEdit): void {
    if (this.linkDown) throw new SystemError("renew", "netlink", ENETDOWN);
    this.renewed.push(edit);
  }

  deleteRoute(edit: RouteEdit): void {
    const index = this.routes.findIndex((route) => sameRoute(route, edit));
    if (index < 0) throw new SystemError("delete route", "netlink", ESRCH);
    this.routes.splice(index, 1);
  }

  read() {
    const rules = this.rules.map(ruleOf).concat(this.foreign.rules);
    const routes = this.routes.map((route) => routeOf(route)).concat(this.foreign.routes);
    return { links: [], addresses: [], rules, routes };
  }

  close(): void {
    this.closed += 1;
  }

  closed = 0;
}

function sameRoute(a: RouteEdit, b: RouteEdit): boolean {
  return a.destination.address === b.destination.address && a.table === b.table;
}

function ruleOf({ priority, table }: RuleEdit): Rule {
  return {
    ...{ priority, table, from: ANY_PREFIX, to: ANY_PREFIX, action: "lookup", protocol: 140 },
    ...{ suppressPrefixLength: undefined, mark: undefined },
    ...{ inputInterface: undefined, outputInterface: undefined },
  };
}

function routeOf({ destination, source, link, table }: RouteEdit): Route {
  return {
    ...{ destination, source: source ?? ANY_PREFIX, link, table, metric: 1024, protocol: 140 },
    ...{ gateway: GATEWAY, type: "unicast", mtu: undefined, preferredSource: undefined },
  };
}

describe("the routes of ULID pairs", () => {
  let kernel: FakeKernel;
  let routes: UlidRoutes;

  beforeEach(() => {
    vi.useFakeTimers();
    kernel = new FakeKernel();
    routes = new UlidRoutes(kernel, kernel);
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  /** The path's MTU in octets. */
  function setRoute(): number {
    const egress = routes.find(LOCATORS);
    routes.set(ULIDS, egress);
    return egress.mtu;
  }

  const expected = {
    destination: { address: ULIDS.peer, length: 128 },
    source: { address: ULIDS.local, length: 128 },
    gateway: GATEWAY,
    link: 3,
    table: TABLE,
    mtu: 1492,
    lifetime: 15,
  };

  test("a mapped pair goes by its locators' way with 8 octets less", () => {
    routes.open();
    expect(setRoute()).toBe(1500);
    expect(kernel.routes).toEqual([expected]);
  });

  test("a path in UDP carries 8 octets less", () => {
    routes.open();
    const egress = routes.find({ ...LOCATORS, encapsulated: true });
    expect(egress.mtu).toBe(1492);
    routes.set(ULIDS, egress);
    expect(kernel.routes).toEqual([{ ...expected, mtu: 1484 }]);
  });

  test("the ULP is never told less than 1280 octets", () => {
    kernel.mtu = 1284;
    routes.open();
    expect(setRoute()).toBe(1284);
    expect(kernel.routes[0]?.mtu).toBe(1280);
  });

  test("each change brings a new rule, so that sockets look again, and one rule stays", () => {
    routes.open();
    const rule = { table: TABLE, withoutMark: 0x0800_0000 };
    expect(kernel.rules).toEqual([{ ...rule, priority: 14_000 }]);
    setRoute();
    expect(kernel.rules).toEqual([{ ...rule, priority: 14_001 }]);
    routes.clear(ULIDS);
    expect(kernel.rules).toEqual([{ ...rule, priority: 14_000 }]);
    expect(kernel.routes).toEqual([]);
  });

  test("without a way between the locators nothing changes", () => {
    kernel.noRoute = true;
    routes.open();
    expect(setRoute).toThrow(SystemError);
    expect(kernel.routes).toEqual([]);
  });

  test("routes are renewed before they expire, as long as the link is up", () => {
    routes.open();
    setRoute();
    vi.advanceTimersByTime(14_000);
    expect(kernel.renewed).toEqual([expected, expected]);
    kernel.linkDown = true;
    vi.advanceTimersByTime(5_000);
    kernel.linkDown = false;
    vi.advanceTimersByTime(5_000);
    expect(kernel.renewed).toHaveLength(3);
  });

  test("a route that the kernel has removed meanwhile is no error", () => {
    routes.open();
    setRoute();
    kernel.routes = [];
    routes.clear(ULIDS);
    routes.clear(ULIDS);
    routes.close();
    expect(kernel.rules).toEqual([]);
  });

  test("what others take away comes back, but for what has no link", () => {
    routes.open();
    setRoute();
    expect(routes.repair()).toBe(0);
    kernel.rules = [];
    kernel.routes = [];
    expect(routes.repair()).toBe(2);
    expect(kernel.rules).toEqual([{ table: TABLE, withoutMark: 0x0800_0000, priority: 14_001 }]);
    expect(kernel.routes).toEqual([expected]);
    kernel.routes = [];
    kernel.linkDown = true;
    expect(routes.repair()).toBe(0);
    kernel.linkDown = false;
    expect(routes.repair()).toBe(1);
  });

  test("leftovers of an earlier run go, others' entries stay", () => {
    const theirs = { ...ruleOf({ priority: 5, table: TABLE }), protocol: 2 };
    kernel.foreign = { rules: [theirs, ruleOf({ priority: 7, table: 254 })], routes: [] };
    kernel.rules = [
      { priority: 14_001, table: TABLE },
      { priority: 14_000, table: TABLE },
    ];
    kernel.routes = [expected];
    routes.open();
    expect(kernel.rules.map(({ priority }) => priority)).toEqual([14_000]);
    expect(kernel.routes).toEqual([]);
  });

  test("closing removes all, ends the renewals and closes the sockets", () => {
    routes.open();
    setRoute();
    routes.close();
    vi.advanceTimersByTime(60_000);
    expect(kernel).toMatchObject({ rules: [], routes: [], renewed: [], closed: 2 });
  });
});
