import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LocalLocator } from "../../src/core/config.ts";
import { Host, type HostConfig } from "../../src/daemon/host/host.ts";
import type { HostNetwork } from "../../src/daemon/host/network.ts";
import { UlidFile } from "../../src/daemon/host/ulid-file.ts";

import type { Address } from "../../src/wire/address.ts";
import { contextTag } from "../../src/wire/tag.ts";
import {
  address,
  addressOn,
  FakeEntries,
  FakeMonitor,
  identitySystem,
  linkOf as link,
  PLAIN_UPLINK,
  defaultRoute as route,
  VirtualClock,
} from "./fakes.ts";

const NO_CONFIG: HostConfig = {
  uplinks: [],
  temporaryLocators: false,
  security: "unverified",
  hostIdentity: { addresses: true, sec: 0, keyBits: 1024, prefixes: [] },
};

/** Two uplinks: eth1 with 2001:db8:1::a, eth2 with 2001:db8:2::a; and the loopback interface. */
function twoUplinks(changes: Partial<HostNetwork> = {}): HostNetwork {
  return {
    links: [link(9, { name: "lo", loopback: true }), link(1), link(2)],
    addresses: [addressOn(1, "2001:db8:1::a"), addressOn(2, "2001:db8:2::a")],
    routes: [route(1), route(2)],
    ...changes,
  };
}

const TAG_1 = contextTag(1);
const TAG_2 = contextTag(2);
const ULID = address("2001:db8:1::a");

let directory: string;
let monitor: FakeMonitor;
let own: FakeEntries;
let clock: VirtualClock;
let lost: Address[][];
let seen: LocalLocator[][];
let warnings: string[];
let repairPlane: () => number;
let host: Host;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "l3shim-host-"));
  monitor = new FakeMonitor(twoUplinks());
  own = new FakeEntries();
  clock = new VirtualClock();
  repairPlane = () => 0;
  host = createHost();
});

afterEach(() => rmSync(directory, { recursive: true }));

function createHost(config = NO_CONFIG): Host {
  seen = [];
  lost = [];
  warnings = [];
  return new Host(
    config,
    {
      monitor,
      own,
      ulidFile: new UlidFile(directory, "boot-1"),
      identity: identitySystem(directory, clock),
    },
    {
      looked: () => undefined,
      repairPlane: () => repairPlane(),
      routerLost: (locators) => lost.push([...locators]),
      addressesChosen: () => undefined,
      locatorsChanged: (locators) => seen.push([...locators]),
      warning: (error) => warnings.push(error.message),
      failed: (error) => warnings.push(`failed: ${error.message}`),
    },
  );
}

test("each locator leaves by its own uplink, specific routes first", () => {
  host.start();
  expect(own.log).toEqual([
    "add route table 1400001 via fe80::1",
    "add route table 1400002 via fe80::2",
    "add rule 14010 from 2001:db8:1::a table 254",
    "add rule 14020 from 2001:db8:1::a table 1400001",
    "add rule 14010 from 2001:db8:2::a table 254",
    "add rule 14020 from 2001:db8:2::a table 1400002",
  ]);
});

test("an uplink that goes down takes its rules and its route along, and only those", () => {
  host.start();
  own.log.length = 0;
  monitor.change(twoUplinks({ links: [link(1, { carrier: false }), link(2)] }));
  expect(own.log).toEqual([
    "remove rule 14010 from 2001:db8:1::a table 254",
    "remove rule 14020 from 2001:db8:1::a table 1400001",
    "remove route table 1400001 via fe80::1",
  ]);
  monitor.change(twoUplinks());
  expect(own.ruleList).toHaveLength(4);
  expect(own.routeList).toHaveLength(2);
});

test("a route that the kernel flushed is set again at the next change", () => {
  host.start();
  own.routeList.length = 0;
  clock.advance(100);
  monitor.change(twoUplinks());
  expect(own.routeList).toHaveLength(2);
});

describe("what others take away", () => {
  const takeAway = () => {
    own.ruleList.length = 0;
    own.routeList.length = 0;
    own.ulidList.length = 0;
    monitor.change(twoUplinks());
  };
  const codes = () => host.warnings().map(({ code }) => code);

  beforeEach(() => {
    host.start();
    host.hold(TAG_1, ULID);
    clock.advance(1_000);
  });

  test("comes back at once, and is counted", () => {
    takeAway();
    expect([own.ruleList.length, own.routeList.length, own.ulidList]).toEqual([4, 2, [ULID]]);
    expect(host.repaired).toBe(7);
    expect(codes()).toEqual([]);
  });

  test("comes back a moment later when that has just been done", () => {
    takeAway();
    takeAway();
    expect(own.ruleList).toHaveLength(0);
    clock.advance(100);
    expect([own.ruleList.length, own.routeList.length, own.ulidList]).toEqual([4, 2, [ULID]]);
  });

  test("comes back the later the more of the processor that took", () => {
    repairPlane = () => {
      clock.work(20);
      return 0;
    };
    takeAway();
    takeAway();
    clock.advance(399);
    expect(own.ruleList).toHaveLength(0);
    clock.advance(1);
    expect(own.ruleList).toHaveLength(4);
  });

  test("may have sent packets to a link without carrier: they do not wait there", () => {
    const links = [link(1, { carrier: false }), link(2)];
    monitor.change(twoUplinks({ links }));
    clock.advance(1_000);
    monitor.change(twoUplinks({ links }));
    expect(own.log.filter((change) => change.startsWith("drop"))).toEqual([]);
    clock.advance(1_000);
    own.ruleList.length = 0;
    monitor.change(twoUplinks({ links }));
    expect(own.log.slice(-3)).toEqual([
      "add rule 14010 from 2001:db8:2::a table 254",
      "add rule 14020 from 2001:db8:2::a table 1400002",
      "drop what waits for fe80::1 on link 1",
    ]);
  });

  test("comes back for ever without a fight: so often at most, and with a warning, once", () => {
    for (let i = 0; i < 6_000; i++) {
      takeAway();
      clock.advance(10);
    }
    const rounds = host.repaired / 7;
    expect(rounds).toBeGreaterThan(200);
    expect(rounds).toBeLessThan(250);
    expect(codes()).toEqual(["rules-contested"]);
    expect(warnings).toEqual([expect.stringContaining("ManageForeignRoutingPolicyRules=no")]);
    clock.advance(60_000);
    expect(codes()).toEqual([]);
  });

  test("does not count where the uplinks have changed", () => {
    monitor.change(twoUplinks({ routes: [route(1)] }));
    clock.advance(1_000);
    expect(own.ruleList).toHaveLength(2);
    expect(host.repaired).toBe(0);
  });

  test("is not asked for while the host ends", () => {
    takeAway();
    takeAway();
    host.stop();
    clock.advance(1_000);
    expect(own.ruleList).toEqual([]);
  });
});

test("what a crashed run left is adopted where it fits, and else removed; nothing is doubled", () => {
  host.start();
  own.ruleList.push(...own.read().rules);
  own.ruleList.push({
    priority: 14_020,
    from: address("2001:db8:9::9"),
    table: 1_400_009,
    skipDefaultRoutes: false,
  });
  own.ulidList.push(address("2001:db8:9::9"));
  own.log.length = 0;
  host = createHost();
  host.start();
  expect(own.ruleList).toHaveLength(4);
  expect(own.routeList).toHaveLength(2);
  expect(own.ulidList).toEqual([]);
  expect(own.log.filter((change) => change.startsWith("add"))).toEqual([]);
});

test("a rule that the kernel refuses is reported, the others are set", () => {
  own.refuse = (change) => change === "add rule 14020 from 2001:db8:1::a table 1400001";
  host.start();
  expect(warnings).toHaveLength(1);
  expect(own.ruleList).toHaveLength(3);
});

test("locators are told when they change, and only then", () => {
  host.start();
  monitor.change(twoUplinks());
  expect(seen).toHaveLength(1);
  monitor.change(twoUplinks({ addresses: [addressOn(2, "2001:db8:2::a")] }));
  expect(seen[1]?.map((locator) => locator.address)).toEqual(["2001:db8:2::a"]);
});

describe("an address with an end", () => {
  const mortal = (validLifetime: number) => addressOn(1, "2001:db8:1::a", { validLifetime });
  const report = (validLifetime: number) => {
    own.lifetimes = [mortal(validLifetime), addressOn(2, "2001:db8:2::a")];
    monitor.change(twoUplinks({ addresses: own.lifetimes }));
  };
  const works = () => host.locators.map(({ operational }) => operational);

  beforeEach(() => {
    host.start();
    report(120);
    clock.advance(100);
  });

  test("is given up before it, so that peers are told while it still works", () => {
    own.lifetimes = [mortal(20), addressOn(2, "2001:db8:2::a")];
    clock.advance(99_000);
    expect(works()).toEqual([true, true]);
    clock.advance(1_000);
    expect(works()).toEqual([false, true]);
    expect(host.uplinks[0]?.locators[0]?.problem).toBe("its lifetime ends");
    expect(own.ruleList.map(({ from }) => from)).not.toContain(ULID);
  });

  test("that a router prolongs goes on, though nothing tells of that", () => {
    own.lifetimes = [mortal(600), addressOn(2, "2001:db8:2::a")];
    clock.advance(100_000);
    expect(works()).toEqual([true, true]);
    own.lifetimes = [mortal(20), addressOn(2, "2001:db8:2::a")];
    clock.advance(580_000);
    expect(works()).toEqual([false, true]);
  });

  test("comes back when it is prolonged in the last moment", () => {
    report(5);
    expect(works()).toEqual([false, true]);
    report(600);
    expect(works()).toEqual([true, true]);
  });

  test("is not looked at any more when the host has ended", () => {
    host.stop();
    expect(clock.timers.size).toBe(0);
  });
});

test("a router that does not answer is a hint about the locators that leave by it, another neighbor none", () => {
  host.start();
  monitor.observer?.unreachable(2, address("fe80::2"));
  monitor.observer?.unreachable(2, address("fe80::1"));
  monitor.observer?.unreachable(1, address("fe80::2"));
  expect(lost).toEqual([[address("2001:db8:2::a")]]);
});

test.each([
  ["without carrier", { carrier: false }, [route(1), route(2)]],
  ["that is down, whose routes are gone", { up: false }, [route(2)]],
])(
  "packets that wait on a link %s are dropped, others are left to the kernel",
  (_, state, routes) => {
    host.start();
    own.log.length = 0;
    host.dropStranded();
    expect(own.log).toEqual([]);
    monitor.change(twoUplinks({ links: [link(1, state), link(2)], routes }));
    own.log.length = 0;
    host.dropStranded();
    expect(own.log).toEqual(["drop what waits for fe80::1 on link 1"]);
  },
);

test("a context's ULID stands on the loopback interface until its last context goes", () => {
  host.start();
  host.hold(TAG_1, ULID);
  host.hold(TAG_2, ULID);
  expect(own.ulidList).toEqual([ULID]);
  host.letGo(TAG_1);
  expect(own.ulidList).toEqual([ULID]);
  host.letGo(TAG_2);
  expect(own.ulidList).toEqual([]);
});

test("a ULID in use whose address is deleted stays listed as it was, not operational", () => {
  const uplink = { ...PLAIN_UPLINK, interface: "eth1", priority: 9, weight: 40, transient: true };
  host = createHost({ ...NO_CONFIG, uplinks: [uplink] });
  host.start();
  host.hold(TAG_1, ULID);
  monitor.change(twoUplinks({ addresses: [addressOn(2, "2001:db8:2::a")] }));
  expect(host.locators).toEqual([
    { address: "2001:db8:2::a", preference: 40, weight: 0, transient: false, operational: true },
    { address: ULID, preference: 9, weight: 40, transient: true, operational: false },
  ]);
  host.letGo(TAG_1);
  expect(host.locators.map((locator) => locator.address)).toEqual(["2001:db8:2::a"]);
});

test("an address that the administrator put on the loopback interface is left alone", () => {
  own.foreignUlids.add(ULID);
  host.start();
  host.hold(TAG_1, ULID);
  host.letGo(TAG_1);
  expect(own.log.filter((change) => change.includes("ulid"))).toEqual([]);
});

test("a stop leaves nothing behind", () => {
  host.start();
  host.hold(TAG_1, ULID);
  host.stop();
  host.stop();
  expect([own.ruleList, own.routeList, own.ulidList, own.closed]).toEqual([[], [], [], true]);
});

test("after a crash the ULIDs on record are removed though the kernel cannot mark them", () => {
  host.start();
  host.hold(TAG_1, ULID);
  own.marksUlids = false;
  createHost().start();
  expect(own.ulidList).toEqual([]);
  expect(new UlidFile(directory, "boot-1").read()).toEqual([]);
});

test("ULIDs of contexts that go on never vanish; those of the others go when that is known", () => {
  const other = address("2001:db8:9::9");
  for (const marks of [true, false]) {
    own.marksUlids = marks;
    host = createHost();
    host.start();
    host.hold(TAG_1, ULID);
    host.hold(TAG_2, other);
    own.log.length = 0;
    monitor.network = twoUplinks({ addresses: [addressOn(2, "2001:db8:2::a")] });
    host = createHost();
    host.start([ULID, other]);
    expect(host.locators.map((locator) => locator.address)).toEqual(["2001:db8:2::a", ULID, other]);
    host.hold(TAG_1, ULID);
    expect(own.log.filter((change) => change.includes("ulid"))).toEqual([]);
    host.settle();
    expect(own.log.filter((change) => change.includes("ulid"))).toEqual([`remove ulid ${other}`]);
    expect(seen.at(-1)?.map((locator) => locator.address)).toEqual(["2001:db8:2::a", ULID]);
    expect(new UlidFile(directory, "boot-1").read()).toEqual([ULID]);
    host.stop();
    expect(own.ulidList).toEqual([]);
  }
});

test("a handover takes nothing away", () => {
  host.start();
  host.hold(TAG_1, ULID);
  const before = [[...own.ruleList], [...own.routeList], [...own.ulidList]];
  host.release();
  host.release();
  expect([own.ruleList, own.routeList, own.ulidList]).toEqual(before);
  expect(own.closed).toBe(true);
});

test("a flush takes away what runs before have left, and adds nothing", () => {
  host.start();
  host.hold(TAG_1, ULID);
  own.log.length = 0;
  createHost().flush();
  expect([own.ruleList, own.routeList, own.ulidList, own.closed]).toEqual([[], [], [], true]);
  expect(own.log.filter((change) => change.startsWith("add"))).toEqual([]);
  expect(new UlidFile(directory, "boot-1").read()).toEqual([]);
  expect(warnings).toEqual([]);
});

test("a ULID is on record before it stands", () => {
  host.start();
  own.refuse = (change) => {
    expect(new UlidFile(directory, "boot-1").read()).toEqual([ULID]);
    return change === "never";
  };
  host.hold(TAG_1, ULID);
  expect(own.ulidList).toEqual([ULID]);
});

test("a record of an earlier boot, or one cut off, counts for nothing", () => {
  const file = new UlidFile(directory, "boot-1");
  file.write([ULID]);
  expect(file.read()).toEqual([ULID]);
  expect(new UlidFile(directory, "boot-2").read()).toEqual([]);
  writeFileSync(join(directory, "ulids.json"), '{"schemaVersion":1,"boo');
  expect(file.read()).toEqual([]);
  expect(readdirSync(directory)).toEqual(["ulids.json"]);
});

test("a state directory that cannot be written fails the start with a remedy", () => {
  writeFileSync(join(directory, "file"), "");
  const broken = new UlidFile(join(directory, "file", "state"), "boot-1");
  expect(() => broken.write([])).toThrow(/cannot write the state directory .*--state-dir/);
});
