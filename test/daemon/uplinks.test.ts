import { expect, test } from "vitest";
import type { HostNetwork } from "../../src/daemon/host/network.ts";
import { findUplinks, localLocators, uplinkWarnings } from "../../src/daemon/host/uplinks.ts";
import {
  address,
  addressOn,
  linkOf as link,
  PLAIN_UPLINK,
  defaultRoute as route,
} from "./fakes.ts";

const NO_CONFIG = { uplinks: [], temporaryLocators: false };

/** Two uplinks: eth1 with 2001:db8:1::a, eth2 with 2001:db8:2::a; and the loopback interface. */
function twoUplinks(changes: Partial<HostNetwork> = {}): HostNetwork {
  return {
    links: [link(9, { name: "lo", loopback: true }), link(1), link(2)],
    addresses: [addressOn(1, "2001:db8:1::a"), addressOn(2, "2001:db8:2::a")],
    routes: [route(1), route(2)],
    ...changes,
  };
}

function locatorsOf(network: HostNetwork, config: Parameters<typeof findUplinks>[1] = NO_CONFIG) {
  return localLocators(findUplinks(network, config)).map(
    ({ address: text, operational }) => `${text}${operational ? "" : " down"}`,
  );
}

test("each interface with a default route is an uplink and gives its locators", () => {
  expect(findUplinks(twoUplinks(), NO_CONFIG)).toMatchObject([
    { interface: "eth1", gateway: "fe80::1", preference: 40, problem: undefined },
    { interface: "eth2", gateway: "fe80::2", preference: 40, problem: undefined },
  ]);
  expect(locatorsOf(twoUplinks())).toEqual(["2001:db8:1::a", "2001:db8:2::a"]);
});

test("an interface without default route is none, unless the configuration names it", () => {
  const network = twoUplinks({ routes: [route(1)] });
  expect(locatorsOf(network)).toEqual(["2001:db8:1::a"]);
  const uplink = { ...PLAIN_UPLINK, interface: "eth2", priority: 7, weight: 30, transient: true };
  const named = findUplinks(network, { ...NO_CONFIG, uplinks: [uplink] });
  expect(localLocators(named)).toEqual([
    { address: "2001:db8:1::a", preference: 40, weight: 0, transient: false, operational: true },
    { address: "2001:db8:2::a", preference: 7, weight: 30, transient: true, operational: true },
  ]);
});

test("the configured gateway goes before the default route's, else the best metric counts", () => {
  const network = twoUplinks({ routes: [{ ...route(2), link: 1 }, route(1, { metric: 100 })] });
  expect(findUplinks(network, NO_CONFIG)[0]?.gateway).toBe("fe80::1");
  const gateway = address("fe80::99");
  const uplink = { ...PLAIN_UPLINK, interface: "eth1", gateway };
  expect(findUplinks(network, { ...NO_CONFIG, uplinks: [uplink] })[0]?.gateway).toBe("fe80::99");
});

test("backups come after all others, metered uplinks after them, whatever the priorities", () => {
  const uplink = (name: string, changes: object) => ({
    ...{ ...PLAIN_UPLINK, interface: name },
    ...changes,
  });
  const network = twoUplinks({ links: [1, 2, 3, 4].map((index) => link(index)) });
  const found = findUplinks(network, {
    ...NO_CONFIG,
    uplinks: [
      uplink("eth1", { priority: 79 }),
      uplink("eth2", { backup: true, priority: 0 }),
      uplink("eth3", { backup: true, priority: 79 }),
      uplink("eth4", { metered: true, backup: true, priority: 0 }),
    ],
  });
  expect(found.map(({ role, preference }) => [role, preference])).toEqual([
    ["ordinary", 79],
    ["backup", 80],
    ["backup", 159],
    ["metered", 160],
  ]);
});

test("an excluded interface is no uplink", () => {
  const uplink = { ...PLAIN_UPLINK, interface: "eth1", exclude: true };
  expect(locatorsOf(twoUplinks(), { ...NO_CONFIG, uplinks: [uplink] })).toEqual(["2001:db8:2::a"]);
});

test.each([
  ["link-local", addressOn(1, "fe80::a", { scope: "link" }), false],
  ["unique local", addressOn(1, "fd00::a"), false],
  ["deprecated", addressOn(1, "2001:db8:1::b", { deprecated: true }), false],
  ["temporary", addressOn(1, "2001:db8:1::b", { temporary: true }), false],
  ["ordinary", addressOn(1, "2001:db8:1::b"), true],
])("whether a locator is offered: %s", (_kind, candidate, offered) => {
  const network = twoUplinks({ addresses: [candidate] });
  expect(locatorsOf(network)).toEqual(offered ? [candidate.address] : []);
});

test("temporary addresses are offered when asked for", () => {
  const temporary = addressOn(1, "2001:db8:1::b", { temporary: true });
  const network = twoUplinks({ addresses: [temporary] });
  expect(locatorsOf(network, { ...NO_CONFIG, temporaryLocators: true })).toEqual(["2001:db8:1::b"]);
});

test.each([
  ["no carrier", { links: [link(1, { carrier: false }), link(2)] }],
  ["the interface is down", { links: [link(1, { up: false, carrier: false }), link(2)] }],
  ["no default route", { routes: [route(2)] }],
])("an uplink with a problem stays one, and its locators are down: %s", (problem, changes) => {
  const before = findUplinks(twoUplinks(), NO_CONFIG);
  const [eth1, eth2] = findUplinks(twoUplinks(changes), NO_CONFIG, before);
  expect(eth1).toMatchObject({ problem, locators: [{ operational: false, problem }] });
  expect(eth2?.problem).toBeUndefined();
});

test("a tentative or duplicate address is not operational, and says why", () => {
  const addresses = [
    addressOn(1, "2001:db8:1::a", { tentative: true }),
    addressOn(1, "2001:db8:1::b", { tentative: true, dadFailed: true }),
  ];
  const [uplink] = findUplinks(twoUplinks({ addresses }), NO_CONFIG);
  expect(uplink?.locators.map((locator) => locator.problem)).toEqual([
    "duplicate address detection is not finished",
    "another host on the link has this address",
  ]);
});

test("an address that becomes deprecated while it is offered stays, as the last to be tried", () => {
  const before = findUplinks(twoUplinks(), NO_CONFIG);
  const addresses = [addressOn(1, "2001:db8:1::a", { deprecated: true })];
  const after = findUplinks(twoUplinks({ addresses }), NO_CONFIG, before);
  expect(localLocators(after)).toMatchObject([
    { address: "2001:db8:1::a", preference: 255, operational: true },
  ]);
});

test("an interface that is removed and plugged in again is an uplink anew, under its new index", () => {
  const before = findUplinks(twoUplinks(), NO_CONFIG);
  const without = twoUplinks({
    links: [link(2)],
    addresses: [addressOn(2, "2001:db8:2::a")],
    routes: [route(2)],
  });
  const meanwhile = findUplinks(without, NO_CONFIG, before);
  expect(meanwhile.map((uplink) => uplink.interface)).toEqual(["eth2"]);
  const again = twoUplinks({
    links: [link(2), link(5, { name: "eth1" })],
    addresses: [addressOn(2, "2001:db8:2::a"), addressOn(5, "2001:db8:1::a")],
    routes: [route(2), route(5)],
  });
  expect(findUplinks(again, NO_CONFIG, meanwhile)).toMatchObject([
    { interface: "eth2", link: 2 },
    { interface: "eth1", link: 5, gateway: "fe80::5", problem: undefined },
  ]);
});

test("an address on two uplinks is one locator, operational if one of them is", () => {
  const network = twoUplinks({
    links: [link(1, { carrier: false }), link(2)],
    addresses: [addressOn(1, "2001:db8:1::a"), addressOn(2, "2001:db8:1::a")],
  });
  expect(locatorsOf(network)).toEqual(["2001:db8:1::a"]);
});

test("warnings tell of uplinks that are down, and of a host without a second way", () => {
  const codes = (network: HostNetwork) =>
    uplinkWarnings(findUplinks(network, NO_CONFIG, findUplinks(twoUplinks(), NO_CONFIG))).map(
      (warning) => warning.code,
    );
  expect(codes(twoUplinks())).toEqual([]);
  expect(codes(twoUplinks({ routes: [route(1)] }))).toEqual(["uplink-down", "one-uplink"]);
  expect(codes(twoUplinks({ routes: [] }))).toEqual(["uplink-down", "uplink-down", "no-uplink"]);
});
