import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { LocalLocator } from "../../src/core/config.ts";
import { Host, type HostConfig } from "../../src/daemon/host/host.ts";
import type { HostNetwork } from "../../src/daemon/host/network.ts";
import { UlidFile } from "../../src/daemon/host/ulid-file.ts";
import { IdentityFiles } from "../../src/daemon/identity/identity-files.ts";
import { proofOf, proofWarnings } from "../../src/daemon/identity/proof.ts";
import { provableMethod } from "../../src/identity/prove-locators.ts";
import { prefixOf } from "../../src/identity/subnet-prefix.ts";
import type { InterfaceAddress } from "../../src/linux/rtnetlink.ts";
import type { Address } from "../../src/wire/address.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { sha1 } from "../identity/support/crypto.ts";
import {
  address,
  addressOn,
  defaultRoute,
  FakeEntries,
  FakeMonitor,
  identitySystem,
  linkOf,
  PLAIN_UPLINK,
  VirtualClock,
} from "./fakes.ts";

const CONFIG: HostConfig = {
  uplinks: [],
  temporaryLocators: false,
  security: "verified",
  hostIdentity: { addresses: true, sec: 0, keyBits: 1024, prefixes: [] },
};
const HBA = 1;
const CGA = 2;
const L3SHIM = 140;

/** Uplinks 1, 2 … with an address of the router's making each; and the loopback interface. */
function networkWith(...prefixes: readonly string[]): HostNetwork {
  return {
    links: [linkOf(9, { name: "lo", loopback: true }), ...prefixes.map((_, i) => linkOf(i + 1))],
    addresses: prefixes.map((prefix, i) => addressOn(i + 1, `${prefix}a`)),
    routes: prefixes.map((_, i) => defaultRoute(i + 1)),
  };
}

const ONE = networkWith("2001:db8:1::");
const TWO = networkWith("2001:db8:1::", "2001:db8:2::");
const THREE = networkWith("2001:db8:1::", "2001:db8:2::", "2001:db8:3::");

let directory: string;
let clock: VirtualClock;
let own: FakeEntries;
let monitor: FakeMonitor;
let host: Host;
let chosen: Address[][];
let warnings: string[];
let files: IdentityFiles;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "l3shim-own-"));
  files = new IdentityFiles(directory);
  own = new FakeEntries();
  host = createHost(TWO);
});

afterEach(() => rmSync(directory, { recursive: true }));

/** What another start on the same host finds: the same files, and what the kernel kept. */
function createHost(network: HostNetwork, config: Partial<HostConfig> = {}): Host {
  clock = new VirtualClock();
  monitor = new FakeMonitor(network);
  [chosen, warnings] = [[], []];
  const identity = identitySystem(directory, clock);
  const system = { monitor, own, ulidFile: new UlidFile(directory, "boot-1"), identity };
  return new Host({ ...CONFIG, ...config }, system, {
    looked: () => undefined,
    locatorsChanged: () => undefined,
    addressesChosen: (addresses) => chosen.push([...addresses]),
    repairPlane: () => 0,
    routerLost: () => undefined,
    warning: (error) => warnings.push(error.message),
    failed: (error) => warnings.push(`failed: ${error.message}`),
  });
}

/** Lets the prefixes settle, and the set be made. @param sets made since the host was created */
async function untilMade(sets = 1): Promise<readonly Address[]> {
  clock.advance(1_000);
  await vi.waitUntil(() => chosen.length >= sets);
  return chosen.at(-1) ?? [];
}

/** The network as the kernel reports it once it has what it was asked for. */
function withOwn(
  network: HostNetwork,
  changes: (address: Address) => Partial<InterfaceAddress> = () => ({}),
): HostNetwork {
  const ours = [...own.addressList].map(([text, state]) =>
    addressOn(Number(/link (\d)/.exec(state)?.[1]), text, {
      protocol: L3SHIM,
      deprecated: state.endsWith("deprecated"),
      ...changes(text),
    }),
  );
  return { ...network, addresses: [...network.addresses, ...ours] };
}

function reportedBack(network: HostNetwork): void {
  monitor.change(withOwn(network));
}

function locatorOf(text: Address | undefined): LocalLocator {
  const locator = host.locators.find((candidate) => candidate.address === text);
  if (locator === undefined) throw new Error(`no locator ${text}`);
  return locator;
}

function methodFor(ulid: Address | undefined, other: Address | undefined): number | undefined {
  const { prover } = locatorOf(ulid);
  if (prover === undefined || other === undefined) throw new Error("no proof");
  return provableMethod(sha1, prover, other);
}

/** Deprecated or preferred, by address. */
function states(): Record<string, string> {
  const word = (state: string) => state.split(", ")[1] ?? "";
  return Object.fromEntries([...own.addressList].map(([text, state]) => [text, word(state)]));
}

function tail(addresses: readonly Address[]) {
  return addresses.map((text) => prefixOf(text));
}

describe("an address set for the uplinks", () => {
  test("has an address for each /64, whose owners prove each other by HBA", async () => {
    host.start();
    expect(own.addressList.size).toBe(0);
    const set = await untilMade();
    expect(tail(set)).toEqual(["2001:db8:1::", "2001:db8:2::"]);
    expect([...own.addressList.values()]).toEqual(["on link 1, preferred", "on link 2, preferred"]);
    reportedBack(TWO);
    expect(methodFor(set[0], set[1])).toBe(HBA);
    expect(methodFor(set[1], set[0])).toBe(HBA);
    expect(host.locators).toHaveLength(4);
    expect(proofOf(locatorOf(set[0]).address, host.locators)).toBe("hba");
    expect(proofOf(address("2001:db8:1::a"), host.locators)).toBeNull();
  });

  test.each([
    ["unverified", { security: "unverified" }],
    ["switched off", { hostIdentity: { ...CONFIG.hostIdentity, addresses: false } }],
  ] as const)("is not made where locators are %s", (_case, config) => {
    host = createHost(TWO, config);
    host.start();
    expect(clock.timers.size).toBe(0);
    expect(() => statSync(join(directory, "identity"))).toThrow("ENOENT");
  });

  test.each([
    ["unique local", addressOn(1, "fd00:1::a")],
    [
      "a single address of 128 bits, as DHCPv6 gives",
      addressOn(1, "2001:db8:1::a", { prefixLength: 128 }),
    ],
    ["deprecated", addressOn(1, "2001:db8:1::a", { deprecated: true })],
  ])("is not made for %s", (_case, only) => {
    host = createHost({ ...ONE, addresses: [only] });
    host.start();
    expect(clock.timers.size).toBe(0);
  });

  test("waits until the prefixes have settled", async () => {
    host = createHost(ONE);
    host.start();
    clock.advance(900);
    monitor.change(TWO);
    clock.advance(900);
    expect(chosen).toEqual([]);
    expect(tail(await untilMade())).toEqual(["2001:db8:1::", "2001:db8:2::"]);
  });

  test("takes the configured prefix of an uplink, and reserves those of ISPs to come", async () => {
    const uplink = {
      interface: "eth1",
      ...PLAIN_UPLINK,
      prefix: prefixOf(address("2001:db8:11::")),
    };
    const prefixes = [prefixOf(address("2001:db8:33::"))];
    host = createHost(TWO, {
      uplinks: [uplink],
      hostIdentity: { ...CONFIG.hostIdentity, prefixes },
    });
    host.start();
    const set = await untilMade();
    expect(tail(set)).toEqual(["2001:db8:11::", "2001:db8:2::", "2001:db8:33::"]);
    expect([...own.addressList.keys()]).toEqual(set.slice(0, 2));
  });
});

describe("after a restart", () => {
  test("the same prefixes get the same addresses, at once", async () => {
    host.start();
    const set = await untilMade();
    reportedBack(TWO);
    host.stop();
    expect([own.addressList.size, own.labelList.length]).toEqual([0, 1]);
    host = createHost(TWO);
    host.start();
    expect([...own.addressList.keys()]).toEqual(set);
    reportedBack(TWO);
    expect(methodFor(set[1], set[0])).toBe(HBA);
  });

  test("what a crash left is taken over without a change", async () => {
    host.start();
    await untilMade();
    reportedBack(TWO);
    own.log.length = 0;
    host = createHost(withOwn(TWO));
    host.start();
    expect(own.log.filter((change) => /address|label/.test(change))).toEqual([]);
  });

  test("what a crash left goes when it is not needed any more", async () => {
    host.start();
    await untilMade();
    reportedBack(TWO);
    host = createHost(withOwn(TWO), { security: "unverified" });
    host.start();
    expect(own.addressList.size).toBe(0);
    expect(own.labelList).toHaveLength(1);
  });

  test("where the kernel does not mark them, addresses of a stored set are known as ours", async () => {
    host.start();
    const set = await untilMade();
    own.log.length = 0;
    host = createHost(withOwn(TWO, () => ({ protocol: undefined })));
    host.start();
    expect(own.log.filter((change) => change.includes("address"))).toEqual([]);
    host.stop();
    expect(own.log).toEqual(
      expect.arrayContaining(set.map((text, i) => `remove address ${text} on link ${i + 1}`)),
    );
  });

  test("a set that has the prefix serves while another uplink is away", async () => {
    host.start();
    const set = await untilMade();
    host.stop();
    host = createHost(ONE);
    host.start();
    expect([...own.addressList.keys()]).toEqual([set[0]]);
  });
});

describe("a prefix that comes in mid-session", () => {
  test("gets a new set for new sessions, which the old set's key signs for", async () => {
    host.start();
    const before = await untilMade();
    reportedBack(TWO);
    monitor.change(withOwn(THREE));
    const after = await untilMade(2);
    expect(tail(after)).toEqual(["2001:db8:1::", "2001:db8:2::", "2001:db8:3::"]);
    reportedBack(THREE);
    expect(states()).toEqual({
      ...Object.fromEntries(before.map((text) => [text, "deprecated"])),
      ...Object.fromEntries(after.map((text) => [text, "preferred"])),
    });
    expect(locatorOf(before[0]).operational).toBe(true);
    expect(methodFor(before[0], before[1])).toBe(HBA);
    expect(methodFor(before[0], after[2])).toBe(CGA);
  });

  test("a prefix that goes takes its addresses along, and gets the same when it comes back", async () => {
    host.start();
    const [first, second] = await untilMade();
    reportedBack(TWO);
    const gone = { ...TWO, addresses: TWO.addresses.slice(0, 1) };
    monitor.change(withOwn(gone));
    expect([...own.addressList.keys()]).toEqual([first]);
    monitor.change(withOwn(TWO));
    expect([...own.addressList.keys()]).toEqual([first, second]);
    expect(chosen).toHaveLength(1);
  });

  test("a prefix that is deprecated deprecates our address, which stays", async () => {
    host.start();
    const [first, second] = await untilMade();
    reportedBack(TWO);
    const [one, two] = TWO.addresses;
    if (one === undefined || two === undefined) throw new Error("two addresses");
    monitor.change(withOwn({ ...TWO, addresses: [one, { ...two, deprecated: true }] }));
    expect(states()).toEqual({ [String(first)]: "preferred", [String(second)]: "deprecated" });
  });

  test("former sets go when there are too many, but for those that sessions need", async () => {
    host.start();
    const [needed] = await untilMade();
    if (needed === undefined) throw new Error("no address");
    host.hold(contextTag(1), needed);
    const numbers = [3, 4, 5, 6, 7];
    for (const [round, number] of numbers.entries()) {
      const prefixes = [1, 2, ...numbers.slice(0, round + 1)].map((n) => `2001:db8:${n}::`);
      monitor.change(withOwn(networkWith(...prefixes)));
      await untilMade(round + 2);
      expect(number).toBe(round + 3);
    }
    const inFirst = [...own.addressList.keys()].filter((text) => text.startsWith("2001:db8:1:"));
    // The current one, three former ones, and the one that a context holds.
    expect(inFirst).toHaveLength(5);
    expect(inFirst).toContain(needed);
  });

  test("a former set stays over a restart while sessions that go on need it", async () => {
    host.start();
    const [needed] = await untilMade();
    if (needed === undefined) throw new Error("no address");
    host.hold(contextTag(1), needed);
    const three = networkWith("2001:db8:1::", "2001:db8:2::", "2001:db8:3::");
    monitor.change(withOwn(three));
    await untilMade(2);
    reportedBack(three);
    host.release();
    own.log.length = 0;
    host = createHost(withOwn(three));
    host.start([needed]);
    expect(own.log.filter((change) => /address|label/.test(change))).toEqual([]);
    expect(states()[needed]).toBe("deprecated");
    expect(locatorOf(needed).prover).toBeDefined();
  });

  test("a flush takes addresses and labels away, whatever the configuration is by then", async () => {
    host.start();
    await untilMade();
    reportedBack(TWO);
    expect(own.labelList.length).toBeGreaterThan(1);
    createHost(withOwn(TWO), { security: "unverified" }).flush();
    expect(own.addressList.size).toBe(0);
    expect(own.labelList).toHaveLength(1);
  });
});

describe("preference for new sessions (RFC 6724 section 5 rule 6)", () => {
  test("each address has the label of ordinary destinations, its neighbors in the /64 another", async () => {
    host.start();
    const [first, second] = await untilMade();
    expect(own.labelList).toHaveLength(1);
    reportedBack(TWO);
    expect(own.log.filter((change) => change.includes("label"))).toEqual([
      `add label 1 of ${second}/128`,
      `add label 1 of ${first}/128`,
      "add label 1400140 of 2001:db8:2::/64",
      "add label 1400140 of 2001:db8:1::/64",
    ]);
    own.log.length = 0;
    reportedBack(TWO);
    expect(own.log).toEqual([]);
    host.stop();
    expect(own.labelList).toHaveLength(1);
    expect(own.log[0]).toBe("remove label 1400140 of 2001:db8:2::/64");
  });

  test("a kernel that refuses labels is reported once", async () => {
    own.refuse = (change) => change.includes("label");
    host.start();
    await untilMade();
    reportedBack(TWO);
    reportedBack(TWO);
    expect(warnings).toHaveLength(1);
  });
});

describe("duplicate address detection", () => {
  function collide(taken: Address | undefined): void {
    monitor.change(
      withOwn(TWO, (text) => (text === taken ? { tentative: true, dadFailed: true } : {})),
    );
  }

  test("a taken address changes the whole set, which is kept with its collision count", async () => {
    host.start();
    const [first, second] = await untilMade();
    collide(second);
    const next = chosen[1];
    expect(chosen).toHaveLength(2);
    expect(next).not.toContain(first);
    // The one that is not taken may serve a session already.
    expect(Object.keys(states())).toEqual([first, ...(next ?? [])]);
    reportedBack(TWO);
    expect(methodFor(next?.[0], next?.[1])).toBe(HBA);
    host.stop();
    host = createHost(TWO);
    host.start();
    expect(chosen).toEqual([next]);
  });

  test("after three collisions it gives up with a warning; the next start has another set", async () => {
    host.start();
    await untilMade();
    for (let i = 0; i < 3; i++) collide(chosen.at(-1)?.[0]);
    expect(chosen).toHaveLength(3);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/three sets in a row taken.*restart l3shim/);
    reportedBack(TWO);
    clock.advance(200);
    expect(clock.timers.size).toBe(0);
    expect([...own.addressList.values()].every((state) => state.endsWith("deprecated"))).toBe(true);
    host.stop();
    const before = chosen.flat();
    host = createHost(TWO);
    host.start();
    for (const text of await untilMade()) expect(before).not.toContain(text);
  });
});

describe("the identity on disk", () => {
  test("belongs to its owner alone", async () => {
    host.start();
    await untilMade();
    const mode = (name: string) => statSync(join(directory, "identity", name)).mode & 0o777;
    expect([mode("."), mode("key.pem"), mode("sets.json")]).toEqual([0o700, 0o600, 0o600]);
  });

  test.each([
    ["key.pem", 0o640],
    ["sets.json", 0o604],
    [".", 0o701],
  ])("%s is refused with mode %i, with a remedy", async (name, mode) => {
    host.start();
    await untilMade();
    chmodSync(join(directory, "identity", name), mode);
    expect(() => createHost(TWO).start()).toThrow(
      /is open to others than user \d+ .*remove .*identity to get new ones/,
    );
  });

  test.each([
    ["key.pem", "no key"],
    ["sets.json", '{"schemaVersion":1,"se'],
    [
      "sets.json",
      '{"schemaVersion":1,"sets":[{"sec":1,"prefixes":[],"modifier":"","collisionCount":0}]}',
    ],
  ])("%s is refused when it is damaged: %s", async (name, text) => {
    host.start();
    await untilMade();
    writeFileSync(join(directory, "identity", name), text);
    expect(() => createHost(TWO).start()).toThrow(/identity\/\S+ is damaged: .*restore it/);
  });

  test("the key never changes, whatever sets come", async () => {
    host.start();
    await untilMade();
    const key = readFileSync(join(directory, "identity", "key.pem"), "utf8");
    monitor.change(withOwn(THREE));
    await untilMade(2);
    expect(readFileSync(join(directory, "identity", "key.pem"), "utf8")).toBe(key);
    expect(files.readSets()).toHaveLength(2);
  });

  test("that cannot be written is told with a remedy", () => {
    writeFileSync(join(directory, "file"), "");
    const broken = new IdentityFiles(join(directory, "file"));
    expect(() => broken.writeSets([])).toThrow(/cannot write .*sets.json: .*--state-dir/);
  });

  test("a directory that cannot be written is a warning, and nothing is made", async () => {
    host.start();
    writeFileSync(join(directory, "identity"), "in the way");
    clock.advance(1_000);
    await vi.waitUntil(() => warnings.length > 0);
    expect(warnings[0]).toMatch(/identity is open to others/);
    expect(own.addressList.size).toBe(0);
  });
});

describe("what a user is told", () => {
  const plain = { address: address("2001:db8:9::a"), preference: 0, operational: true };

  test("only a host without any address that works and proves others has a warning", async () => {
    expect(proofWarnings("verified", [plain]).map(({ code }) => code)).toEqual([
      "no-verified-locators",
    ]);
    expect(proofWarnings("unverified", [plain])).toEqual([]);
    host.start();
    await untilMade();
    reportedBack(TWO);
    expect(proofWarnings("verified", host.locators)).toEqual([]);
  });

  test("an address in a network without one of ours is proven by the key's signature", async () => {
    host.start();
    await untilMade();
    reportedBack(TWO);
    expect(proofOf(plain.address, [...host.locators, plain])).toBe("cga");
  });
});
