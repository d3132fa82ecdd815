import { describe, expect, test } from "vitest";
import { BodyWriter, type NetlinkMessage } from "../../src/linux/netlink.ts";
import { NetworkTable } from "../../src/linux/network-table.ts";
import { encodeAddress, encodeRoute, encodeRule } from "../../src/linux/rtnetlink-encode.ts";
import { type Address, parseAddress } from "../../src/wire/address.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const NLM_F_REPLACE = 0x100;

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

function message(type: number, body: Uint8Array, flags = 0): NetlinkMessage {
  return { type, flags, sequence: 0, body };
}

function link(type: number, index: number, flags = 1): NetlinkMessage {
  const header = new Uint8Array(16);
  new DataView(header.buffer).setInt32(4, index, true);
  new DataView(header.buffer).setUint32(8, flags, true);
  return message(type, new BodyWriter(header).text(3, `eth${index}`).u32(4, 1500).finish());
}

function addressOn(type: number, index: number, preferredLifetime?: number): NetlinkMessage {
  const edit = {
    address: address("2001:db8::1"),
    prefixLength: 64,
    link: index,
    noDad: true,
    preferredLifetime,
    validLifetime: undefined,
    noPrefixRoute: false,
  };
  return message(type, encodeAddress(edit));
}

function route(type: number, gateway: string, index = 1, flags = 0): NetlinkMessage {
  const destination = { address: address("2001:db8:9::"), length: 48 };
  const edit = { destination, gateway: address(gateway), link: index, table: 254, metric: 1024 };
  return message(type, encodeRoute(edit), flags);
}

function rule(type: number, priority: number): NetlinkMessage {
  return message(type, encodeRule({ priority, table: 9 }));
}

/** "kind change" of each. */
function apply(table: NetworkTable, ...messages: NetlinkMessage[]): string[] {
  return messages.flatMap((each) => {
    const applied = table.apply(each);
    return applied === "resync"
      ? ["resync"]
      : applied.map(({ kind, change }) => `${kind} ${change}`);
  });
}

describe("the table of the host's network", () => {
  test("what comes, changes and goes is told once", () => {
    const table = new NetworkTable();
    expect(apply(table, link(RTM_NEWLINK, 1), link(RTM_NEWLINK, 1))).toEqual(["link added"]);
    expect(apply(table, link(RTM_NEWLINK, 1, 0))).toEqual(["link changed"]);
    expect(apply(table, addressOn(RTM_NEWADDR, 1))).toEqual(["address added"]);
    expect(apply(table, addressOn(RTM_DELADDR, 1), addressOn(RTM_DELADDR, 1))).toEqual([
      "address removed",
    ]);
    expect(apply(table, rule(RTM_NEWRULE, 5), rule(RTM_NEWRULE, 6))).toEqual([
      "rule added",
      "rule added",
    ]);
    expect(apply(table, rule(RTM_DELRULE, 5))).toEqual(["rule removed"]);
    expect(table.rules.map(({ priority }) => priority)).toEqual([6]);
  });

  test("a lifetime that runs down is kept but is no change", () => {
    const table = new NetworkTable();
    apply(table, addressOn(RTM_NEWADDR, 1, 600));
    expect(apply(table, addressOn(RTM_NEWADDR, 1, 599))).toEqual([]);
    expect(table.addresses[0]?.preferredLifetime).toBe(599);
  });

  test("a removed link takes its addresses and routes along, and no others", () => {
    const table = new NetworkTable();
    for (const index of [1, 2]) {
      apply(table, link(RTM_NEWLINK, index), addressOn(RTM_NEWADDR, index));
      apply(table, route(RTM_NEWROUTE, "2001:db8::2", index));
    }
    expect(apply(table, link(RTM_DELLINK, 1))).toEqual([
      "address removed",
      "route removed",
      "link removed",
    ]);
    expect(table.addresses.map((each) => each.link)).toEqual([2]);
    expect(table.routes.map((each) => each.link)).toEqual([2]);
  });

  test("two routes of one metric stand side by side until one is deleted", () => {
    const table = new NetworkTable();
    apply(table, route(RTM_NEWROUTE, "2001:db8::2"), route(RTM_NEWROUTE, "2001:db8::3"));
    expect(table.routes).toHaveLength(2);
    expect(apply(table, route(RTM_DELROUTE, "2001:db8::2"))).toEqual(["route removed"]);
    expect(table.routes.map(({ gateway }) => gateway)).toEqual(["2001:db8::3"]);
  });

  test("a replacement removes the one route that it can have replaced", () => {
    const table = new NetworkTable();
    apply(table, route(RTM_NEWROUTE, "2001:db8::2"));
    const replacement = route(RTM_NEWROUTE, "2001:db8::3", 1, NLM_F_REPLACE);
    expect(apply(table, replacement)).toEqual(["route removed", "route added"]);
    expect(table.routes.map(({ gateway }) => gateway)).toEqual(["2001:db8::3"]);
    expect(apply(table, replacement)).toEqual([]);
  });

  test("a replacement among several asks for a new reading and changes nothing", () => {
    const table = new NetworkTable();
    apply(table, route(RTM_NEWROUTE, "2001:db8::2"), route(RTM_NEWROUTE, "2001:db8::3"));
    const replacement = route(RTM_NEWROUTE, "2001:db8::4", 1, NLM_F_REPLACE);
    expect(apply(table, replacement)).toEqual(["resync"]);
    expect(table.routes).toHaveLength(2);
  });

  test("the difference of two readings is what happened in between", () => {
    const before = new NetworkTable();
    apply(before, link(RTM_NEWLINK, 1), link(RTM_NEWLINK, 2), rule(RTM_NEWRULE, 5));
    apply(before, addressOn(RTM_NEWADDR, 1, 600));
    const after = new NetworkTable();
    apply(after, link(RTM_NEWLINK, 1, 0), rule(RTM_NEWRULE, 5), addressOn(RTM_NEWADDR, 1, 500));
    apply(after, route(RTM_NEWROUTE, "2001:db8::2"));
    const told = after.changesSince(before).map(({ kind, change }) => `${kind} ${change}`);
    expect(told).toEqual(["link removed", "link changed", "route added"]);
  });
});
