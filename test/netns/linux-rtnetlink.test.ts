import { describe, expect, test } from "vitest";
import type { NetworkChange } from "../../src/linux/network-table.ts";
import { RouteEditor } from "../../src/linux/route-editor.ts";
import { RouteMonitor } from "../../src/linux/route-monitor.ts";
import {
  type InterfaceAddress,
  isDefaultRoute,
  L3SHIM_ROUTE_PROTOCOL,
  type Link,
  type Prefix,
  type Route,
} from "../../src/linux/rtnetlink.ts";
import { SystemError } from "../../src/linux/system-error.ts";
import { type Address, parseAddress } from "../../src/wire/address.ts";
import { type TestNamespace, until, withVethPair } from "./support/namespaces.ts";

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

function prefix(text: string): Prefix {
  const [base = "", length] = text.split("/");
  return { address: address(base), length: Number(length) };
}

/** A monitor in a namespace and all that it told. */
interface Watched {
  readonly monitor: RouteMonitor;
  readonly changes: NetworkChange[];
  link(): Link | undefined;
  address(text: string): InterfaceAddress | undefined;
  route(destination: string): Route | undefined;
}

async function withMonitor(
  namespace: TestNamespace,
  use: (watched: Watched) => Promise<void> | void,
): Promise<void> {
  const changes: NetworkChange[] = [];
  const monitor = namespace.enter(
    () =>
      new RouteMonitor({
        changed: (some) => changes.push(...some),
        failed: (error) => {
          throw error;
        },
      }),
  );
  try {
    await use({
      monitor,
      changes,
      link: () => monitor.table.links.find(({ name }) => name === "eth0"),
      address: (text) => monitor.table.addresses.find((each) => each.address === text),
      route: (text) =>
        monitor.table.routes.find(
          ({ destination }) => `${destination.address}/${destination.length}` === text,
        ),
    });
  } finally {
    monitor.close();
  }
}

type Tables = ReturnType<RouteEditor["read"]>;

function withEditor(
  namespace: TestNamespace,
  use: (editor: RouteEditor, eth0: number) => void,
): void {
  const editor = namespace.enter(() => new RouteEditor());
  try {
    const eth0 = editor.read().links.find(({ name }) => name === "eth0")?.index ?? 0;
    use(editor, eth0);
  } finally {
    editor.close();
  }
}

describe("the monitor of links, addresses, routes and rules", () => {
  test("it knows what was there before it started", async () => {
    await withVethPair(async (left) => {
      await left.ip6("route add default via 2001:db8::2 metric 77");
      await withMonitor(left, ({ monitor, link, address: find }) => {
        expect(link()).toMatchObject({ up: true, carrier: true, running: true, kind: "veth" });
        expect(monitor.table.links.find(({ loopback }) => loopback)?.name).toBe("lo");
        expect(find("2001:db8::1")).toMatchObject({
          prefixLength: 64,
          link: link()?.index,
          scope: "global",
          noDad: true,
          permanent: true,
          tentative: false,
          preferredLifetime: undefined,
        });
        const [defaultRoute] = monitor.table.routes.filter(isDefaultRoute);
        expect(defaultRoute).toMatchObject({ gateway: "2001:db8::2", metric: 77, table: 254 });
        expect(monitor.table.rules).toContainEqual(
          expect.objectContaining({ priority: 32766, action: "lookup", table: 254 }),
        );
      });
    });
  });

  test("an address is seen to come tentative, to get ready, to be deprecated and to go", async () => {
    await withVethPair(async (left) => {
      await withMonitor(left, async ({ changes, address: find }) => {
        await left.ip6("address add 2001:db8::5/64 dev eth0");
        await until("duplicate address detection", () => find("2001:db8::5")?.tentative === false);
        await left.ip6("address change 2001:db8::5/64 dev eth0 preferred_lft 0");
        await until("deprecation", () => find("2001:db8::5")?.deprecated === true);
        await left.ip6("address delete 2001:db8::5/64 dev eth0");
        await until("removal", () => find("2001:db8::5") === undefined);
        const told = changes.flatMap((change) =>
          change.kind === "address" && change.address.address === "2001:db8::5"
            ? [`${change.change} ${change.address.tentative}`]
            : [],
        );
        expect(told).toEqual(["added true", "changed false", "changed false", "removed false"]);
      });
    });
  });

  test("a failed duplicate address detection is seen", async () => {
    await withVethPair(async (left) => {
      await withMonitor(left, async ({ address: find }) => {
        await left.ip6("address add 2001:db8::2/64 dev eth0");
        await until("the duplicate", () => find("2001:db8::2")?.dadFailed === true);
      });
    });
  });

  test("a link that is switched off goes down with its addresses and routes", async () => {
    await withVethPair(async (left) => {
      await withMonitor(left, async ({ link, address: find, route }) => {
        expect(route("2001:db8::/64")).toBeDefined();
        await left.link("set eth0 down");
        await until("link down", () => link()?.up === false && link()?.carrier === false);
        await until("no address", () => find("2001:db8::1") === undefined);
        await until("no route", () => route("2001:db8::/64") === undefined);
      });
    });
  });

  test("a carrier that is lost at the other end is seen, while the address stays", async () => {
    await withVethPair(async (left, right) => {
      await withMonitor(left, async ({ link, address: find }) => {
        await right.link("set eth0 down");
        await until("no carrier", () => link()?.carrier === false);
        expect(link()?.up).toBe(true);
        expect(find("2001:db8::1")).toBeDefined();
        await right.link("set eth0 up");
        await until("carrier", () => link()?.carrier === true);
      });
    });
  });

  test("a removed link is gone with all that was on it", async () => {
    await withVethPair(async (left) => {
      await withMonitor(left, async ({ monitor, link }) => {
        const index = link()?.index;
        await left.link("delete eth0");
        await until("removal", () => link() === undefined);
        expect(monitor.table.addresses.filter((each) => each.link === index)).toEqual([]);
        expect(monitor.table.routes.filter((each) => each.link === index)).toEqual([]);
      });
    });
  });

  test("routes are seen to be added, replaced and deleted", async () => {
    await withVethPair(async (left) => {
      await withMonitor(left, async ({ changes, route }) => {
        await left.ip6("route add 2001:db8:9::/48 via 2001:db8::2 mtu 1400");
        await until("the route", () => route("2001:db8:9::/48")?.mtu === 1400);
        changes.length = 0;
        await left.ip6("route replace 2001:db8:9::/48 via 2001:db8::3");
        await until("the other", () => route("2001:db8:9::/48")?.gateway === "2001:db8::3");
        await left.ip6("route delete 2001:db8:9::/48");
        await until("removal", () => route("2001:db8:9::/48") === undefined);
        const told = changes.flatMap((change) =>
          change.kind === "route" ? [`${change.change} ${change.route.gateway}`] : [],
        );
        expect(told).toEqual(["removed 2001:db8::2", "added 2001:db8::3", "removed 2001:db8::3"]);
      });
    });
  });

  test("its table is the kernel's after many changes, and after lost notifications", async () => {
    await withVethPair(async (left) => {
      await withMonitor(left, async ({ monitor, changes }) => {
        const before = monitor.table.routes.length;
        const batch = ["route add 2001:db8:9::/48 nexthop via 2001:db8::2 nexthop via 2001:db8::3"];
        batch.push("rule add pref 7 from 2001:db8::/32 lookup 9");
        // Many more notifications than the socket holds, in one go, while nobody reads.
        for (let i = 1; i < 6000; i++) {
          batch.push(`route add 2001:db8:a::${i.toString(16)} via 2001:db8::2 table 9`);
        }
        for (let i = 1; i < 6000; i += 2) {
          batch.push(`route delete 2001:db8:a::${i.toString(16)} table 9`);
        }
        batch.push("route delete 2001:db8:9::/48 nexthop via 2001:db8::3");
        left.ip6Batch(batch);
        await until("the last change", () => {
          const routes = monitor.table.routes.filter(({ table }) => table === 9);
          return routes.length === 2999;
        });
        // The link's own address is still being checked (DAD), and its routes come when that ends.
        const reader = left.enter(() => new RouteEditor());
        try {
          let now = reader.read();
          await until("the kernel's tables", () => {
            now = reader.read();
            return facts(monitor.table).join() === facts(now).join();
          });
          const told = changes.filter(({ kind }) => kind === "route");
          const added = told.filter(({ change }) => change === "added").length;
          const removed = told.filter(({ change }) => change === "removed").length;
          expect(before + added - removed).toBe(now.routes.length);
        } finally {
          reader.close();
        }
      });
    });
  }, 60_000);
});

describe("the editor of addresses, routes and rules", () => {
  test("an address is added as asked for, marked as ours, and deleted", async () => {
    await withVethPair((left) => {
      withEditor(left, (editor, eth0) => {
        const edit = {
          address: address("2001:db8::aa"),
          prefixLength: 128,
          link: eth0,
          noDad: true,
          preferredLifetime: 0,
          validLifetime: undefined,
          noPrefixRoute: true,
        };
        editor.addAddress(edit);
        const find = () => editor.read().addresses.find((each) => each.address === edit.address);
        expect(find()).toMatchObject({
          prefixLength: 128,
          noDad: true,
          tentative: false,
          deprecated: true,
          validLifetime: undefined,
          protocol: L3SHIM_ROUTE_PROTOCOL,
        });
        expect(() => editor.addAddress(edit)).toThrow(expect.objectContaining({ code: "EEXIST" }));
        editor.replaceAddress({ ...edit, preferredLifetime: 300, validLifetime: 600 });
        expect(find()).toMatchObject({ deprecated: false, preferredLifetime: 300 });
        editor.deleteAddress(edit);
        expect(find()).toBeUndefined();
        expect(() => editor.deleteAddress(edit)).toThrow(
          expect.objectContaining({ code: "EADDRNOTAVAIL" }),
        );
      });
    });
  });

  test("a route from a source, with an MTU, replaces the one before and is deleted", async () => {
    await withVethPair((left) => {
      withEditor(left, (editor, eth0) => {
        const edit = {
          destination: prefix("2001:db8:b::1/128"),
          source: prefix("2001:db8::1/128"),
          gateway: address("2001:db8::2"),
          link: eth0,
          table: 140_000,
          mtu: 1492,
        };
        editor.replaceRoute({ ...edit, mtu: 1400 });
        editor.replaceRoute(edit);
        const routes = () => editor.read().routes.filter(({ table }) => table === edit.table);
        expect(routes()).toEqual([
          {
            ...edit,
            metric: 1024,
            protocol: L3SHIM_ROUTE_PROTOCOL,
            type: "unicast",
            preferredSource: undefined,
          },
        ]);
        editor.deleteRoute(edit);
        expect(routes()).toEqual([]);
        expect(() => editor.deleteRoute(edit)).toThrow(expect.objectContaining({ code: "ESRCH" }));
      });
    });
  });

  test("a route of someone else is not deleted", async () => {
    await withVethPair(async (left) => {
      await left.ip6("route add 2001:db8:b::/48 via 2001:db8::2");
      withEditor(left, (editor, eth0) => {
        const edit = { destination: prefix("2001:db8:b::/48"), link: eth0, table: 254 };
        expect(() => editor.deleteRoute(edit)).toThrow(expect.objectContaining({ code: "ESRCH" }));
      });
      expect(await left.ip6("route show 2001:db8:b::/48")).toContain("2001:db8::2");
    });
  });

  test("a rule is added once, marked as ours, and deleted", async () => {
    await withVethPair((left) => {
      withEditor(left, (editor) => {
        const edit = {
          priority: 1400,
          from: prefix("2001:db8::1/128"),
          table: 140_000,
          suppressPrefixLength: 0,
        };
        editor.addRule(edit);
        const rules = () => editor.read().rules.filter(({ priority }) => priority === 1400);
        expect(rules()).toEqual([
          {
            ...edit,
            to: prefix("::/0"),
            action: "lookup",
            protocol: L3SHIM_ROUTE_PROTOCOL,
            mark: undefined,
            inputInterface: undefined,
            outputInterface: undefined,
          },
        ]);
        expect(() => editor.addRule(edit)).toThrow(expect.objectContaining({ code: "EEXIST" }));
        editor.deleteRule(edit);
        expect(rules()).toEqual([]);
        expect(() => editor.deleteRule(edit)).toThrow(expect.objectContaining({ code: "ENOENT" }));
      });
    });
  });

  test("a link is switched off and on", async () => {
    await withVethPair((left) => {
      withEditor(left, (editor, eth0) => {
        const up = () => editor.read().links.find(({ index }) => index === eth0)?.up;
        editor.setLinkUp(eth0, false);
        expect(up()).toBe(false);
        editor.setLinkUp(eth0, true);
        expect(up()).toBe(true);
      });
    });
  });

  test("a neighbor is forgotten together with what waits for it", async () => {
    await withVethPair(async (left) => {
      const ping = left.run("ping", "-6", "-c1", "-W1", "2001:db8::99").catch(() => "lost");
      const waits = async () => (await left.ip6("neigh")).includes("2001:db8::99");
      await expect.poll(waits, { timeout: 10_000 }).toBe(true);
      withEditor(left, (editor, eth0) => {
        editor.deleteNeighbor(eth0, address("2001:db8::99"));
        expect(() => editor.deleteNeighbor(eth0, address("2001:db8::98"))).toThrow("ENOENT");
      });
      expect(await waits()).toBe(false);
      expect(await ping).toBe("lost");
    });
  });

  test("a refusal says what was tried and what the kernel said", async () => {
    await withVethPair((left) => {
      withEditor(left, (editor, eth0) => {
        const edit = {
          destination: prefix("2001:db8:b::/48"),
          gateway: address("2001:db8::1"),
          link: eth0,
          table: 254,
        };
        expect(() => editor.replaceRoute(edit)).toThrow(SystemError);
        expect(() => editor.replaceRoute(edit)).toThrow(
          /^cannot set route 2001:db8:b::\/48 via 2001:db8::1 on link \d+ in table 254: netlink: EINVAL, invalid argument: Gateway can not be a local address$/,
        );
      });
    });
  });
});

/** All of the tables, whatever the order of their rows. */
function facts({ routes, rules, addresses, links }: Tables): string[] {
  return [routes, rules, addresses, links].flatMap((rows) => sorted(rows));
}

function sorted(rows: readonly object[]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort();
}
