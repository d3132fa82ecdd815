import { expect, test } from "vitest";
import { RouteLookup } from "../../src/linux/route-lookup.ts";
import { parseAddress } from "../../src/wire/address.ts";
import { type TestNamespace, withVethPair } from "./support/namespaces.ts";

const FAR = "2001:db8:9::1";

function address(text: string) {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return parsed;
}

async function withLookup(
  use: (namespace: TestNamespace, lookup: RouteLookup, link: number) => Promise<void>,
): Promise<void> {
  await withVethPair(async (left) => {
    const [eth0] = JSON.parse(await left.run("ip", "-j", "link", "show", "eth0")) as {
      ifindex: number;
    }[];
    const lookup = left.enter(() => new RouteLookup());
    try {
      await use(left, lookup, eth0?.ifindex ?? 0);
    } finally {
      lookup.close();
    }
  });
}

const SOURCE = address("2001:db8::1");
const NEIGHBOUR = address("2001:db8::2");

test("on the link there is no gateway, and the MTU is the interface's for IPv6", async () => {
  await withLookup(async (namespace, lookup, link) => {
    expect(lookup.find(SOURCE, NEIGHBOUR)).toEqual({ link, gateway: undefined, mtu: 1500 });
    await namespace.run("sysctl", "-qw", "net.ipv6.conf.eth0.mtu=1440");
    expect(lookup.find(SOURCE, NEIGHBOUR).mtu).toBe(1440);
  });
});

test("a route's own MTU and gateway count", async () => {
  await withLookup(async (namespace, lookup, link) => {
    await namespace.ip6(`route add ${FAR} via ${NEIGHBOUR} dev eth0 mtu 1300`);
    const egress = { link, gateway: NEIGHBOUR, mtu: 1300 };
    expect(lookup.find(SOURCE, address(FAR))).toEqual(egress);
  });
});

test("policy rules decide by source and by mark", async () => {
  await withLookup(async (namespace, lookup) => {
    await namespace.ip6(`route add ${FAR} via 2001:db8::3 dev eth0`);
    await namespace.ip6(`route add ${FAR} via 2001:db8::4 dev eth0 table 77`);
    await namespace.ip6(`route add ${FAR} via 2001:db8::5 dev eth0 table 78`);
    await namespace.ip6("address add 2001:db8::9/64 dev eth0 nodad");
    await namespace.ip6("rule add pref 10 fwmark 0x8/0x8 lookup 78");
    await namespace.ip6("rule add pref 11 from 2001:db8::9 lookup 77");
    const gateways = [
      lookup.find(SOURCE, address(FAR)),
      lookup.find(address("2001:db8::9"), address(FAR)),
      lookup.find(address("2001:db8::9"), address(FAR), 0x8),
    ].map(({ gateway }) => gateway);
    expect(gateways).toEqual(["2001:db8::3", "2001:db8::4", "2001:db8::5"]);
  });
});

test("without a route it says so", async () => {
  await withLookup((_namespace, lookup) => {
    expect(() => lookup.find(SOURCE, address(FAR))).toThrow(/2001:db8:9::1.*ENETUNREACH/);
    return Promise.resolve();
  });
});
