import { expect, test } from "vitest";
import { seconds } from "../../src/core/time.ts";
import { checkAtWork } from "../../src/daemon/check/check.ts";
import type { HostFacts } from "../../src/daemon/check/host-facts.ts";
import {
  hostFindings,
  sourceRoutingFindings,
  startFindings,
} from "../../src/daemon/check/host-findings.ts";
import { recoveryTime, searchTime } from "../../src/daemon/check/recovery.ts";
import { parseConfig } from "../../src/daemon/config/config.ts";
import { findUplinks } from "../../src/daemon/host/uplinks.ts";
import { addressOn, linkOf } from "./fakes.ts";
import { A1, A2, healthyFacts, networkOf } from "./fixture.ts";

const CONFIG = parseConfig("", "test.toml");
const NETWORK = networkOf(A1, A2);
const UPLINKS = findUplinks(NETWORK, CONFIG);
const HEALTHY: HostFacts = { ...healthyFacts(UPLINKS), links: NETWORK.links };

/** A ruleset as `nft -j list ruleset` prints it: one chain with one rule. */
function ruleset(table: string, hook: string, policy: string, expr: readonly unknown[]) {
  const place = { family: "inet", table };
  return {
    ruleset: {
      nftables: [
        { metainfo: { json_schema_version: 1 } },
        { table: { family: "inet", name: table } },
        { chain: { ...place, name: "packets", hook, policy } },
        { rule: { ...place, chain: "packets", expr } },
      ],
    },
  };
}

const ACCEPT_TCP = [
  { match: { op: "==", left: { meta: { key: "l4proto" } }, right: "tcp" } },
  { accept: null },
];
function accept(left: object, right: unknown) {
  return [{ match: { op: "==", left, right } }, { accept: null }];
}

const L4PROTO = { meta: { key: "l4proto" } };
const NEXT_HEADER = { payload: { protocol: "ip6", field: "nexthdr" } };
const TCP_PORT = { payload: { protocol: "tcp", field: "dport" } };
const REVERSE_PATH = [
  { match: { op: "==", left: { fib: { result: "oif", flags: ["saddr", "iif"] } }, right: false } },
  { drop: null },
];

function idsOf(findings: readonly { readonly id: string; readonly subject: string | null }[]) {
  return findings.map(({ id, subject }) => (subject === null ? id : `${id} ${subject}`));
}

test("nothing is wrong with a healthy host", () => {
  expect(hostFindings(HEALTHY)).toEqual([]);
  expect(sourceRoutingFindings(HEALTHY)).toEqual([]);
  expect(startFindings(HEALTHY, CONFIG)).toEqual([]);
});

const firewall = ruleset("firewall", "input", "drop", ACCEPT_TCP);

test.each<[string, Partial<HostFacts>, readonly string[]]>([
  ["IPv6 is off", { ipv6Disabled: true }, ["ipv6-disabled"]],
  ["no uplink", { uplinks: [] }, ["no-uplink"]],
  ["one uplink", { uplinks: UPLINKS.slice(0, 1) }, ["single-uplink up0"]],
  [
    "one of two without carrier",
    {
      uplinks: findUplinks(
        {
          ...NETWORK,
          links: [linkOf(1, { name: "up0" }), linkOf(2, { name: "up1", carrier: false })],
        },
        CONFIG,
      ),
    },
    ["uplink-down up1", "single-uplink up0"],
  ],
  [
    "an address that another host has",
    {
      uplinks: findUplinks(
        {
          ...NETWORK,
          addresses: [...NETWORK.addresses, addressOn(2, "2001:db8:a2::d", { dadFailed: true })],
        },
        CONFIG,
      ),
    },
    ["locator-down 2001:db8:a2::d"],
  ],
  [
    "a link with IPv6's least MTU",
    { links: [linkOf(1, { name: "up0", mtu: 1280 }), linkOf(2, { name: "up1" })] },
    ["small-mtu up0"],
  ],
  ["a firewall that names no Shim6", { firewall }, ["firewall-closed inet firewall packets"]],
  ...(
    [
      ["by name, in a set", accept(L4PROTO, { set: ["ipv6-icmp", "shim6"] })],
      ["by number", accept(NEXT_HEADER, 140)],
    ] as const
  ).map(([how, expr]): [string, Partial<HostFacts>, readonly string[]] => [
    `a firewall that names it ${how}`,
    { firewall: ruleset("firewall", "input", "drop", expr) },
    [],
  ]),
  [
    "a firewall that names a port of the same number",
    { firewall: ruleset("firewall", "input", "drop", accept(TCP_PORT, 140)) },
    ["firewall-closed inet firewall packets"],
  ],
  ["one that lets all in", { firewall: ruleset("firewall", "input", "accept", ACCEPT_TCP) }, []],
  ["one for what is forwarded", { firewall: ruleset("nat", "forward", "drop", ACCEPT_TCP) }, []],
  ["our own rules", { firewall: ruleset("l3shim-rewrite", "output", "drop", ACCEPT_TCP) }, []],
  ["a firewall that nobody may read", { firewall: { unread: "no" } }, ["firewall-unknown"]],
])("%s", (_, changes, expected) => {
  expect(idsOf(hostFindings({ ...HEALTHY, ...changes }))).toEqual(expected);
});

test("a locator that leaves by another uplink has no source routing", () => {
  const facts = {
    ...HEALTHY,
    egress: new Map([
      [A1, 1],
      [A2, 1],
    ]),
  };
  const [finding, ...others] = sourceRoutingFindings(facts);
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ id: "no-source-routing", severity: "error", subject: A2 });
  expect(finding?.sentence).toContain(
    `Packets from ${A2} leave by up0, not by their own uplink up1`,
  );
});

test("a reverse path filter counts where source routing fails, only", () => {
  const firewall = ruleset("raw", "prerouting", "accept", REVERSE_PATH);
  expect(sourceRoutingFindings({ ...HEALTHY, firewall })).toEqual([]);
  const broken = { ...HEALTHY, firewall, egress: new Map([[A1, 1]]) };
  expect(idsOf(sourceRoutingFindings(broken))).toEqual([
    `no-source-routing ${A2}`,
    "rp-filter inet raw packets",
  ]);
});

test.each<[string, Partial<HostFacts>, string, readonly string[]]>([
  [
    "no capability",
    { capabilities: new Set() },
    "auto",
    ["missing-capability CAP_NET_ADMIN", "missing-capability CAP_NET_RAW"],
  ],
  ["an old kernel", { kernelRelease: "5.4.0-42-generic" }, "auto", ["packets-in-user-space"]],
  [
    "an old kernel, and no commands",
    { kernelRelease: "5.4.0", ruleCommands: [] },
    "auto",
    ["no-data-plane"],
  ],
  ["no programs where they are asked for", { hasPrograms: false }, "ebpf", ["no-data-plane"]],
  ["no commands where they are asked for", { ruleCommands: [] }, "nfqueue", ["no-data-plane"]],
  ["no commands where they are not needed", { ruleCommands: [] }, "ebpf", []],
])("a daemon that starts with %s", (_, changes, dataplane, expected) => {
  const config = parseConfig(`dataplane = "${dataplane}"`, "test.toml");
  expect(idsOf(startFindings({ ...HEALTHY, ...changes }, config))).toEqual(expected);
});

test("the worst case is the Send Timeout and a probe for each pair", () => {
  // Probes at 0, 0.5, 1 and 1.5 s (RFC 5534 section 4.3).
  expect(recoveryTime(seconds(15), 2)).toEqual({
    detection: 15.75,
    exploration: 1.5,
    pairs: 4,
  });
  // The fourth interval is 1 s, the fifth 2 s, both with their jitter.
  expect(searchTime(6)).toEqual({ exploration: 5.1, pairs: 6 });
});

test("a daemon's warnings are findings, those about uplinks once", () => {
  const { findings } = checkAtWork(
    { ...HEALTHY, uplinks: UPLINKS.slice(0, 1) },
    {
      config: CONFIG,
      dataplane: "ebpf",
      sendTimeout: CONFIG.sendTimeout,
      locators: 1,
      warnings: [
        { code: "one-uplink", severity: "warning", text: "up0 is the only uplink that works" },
        { code: "rules-contested", severity: "warning", text: "another program takes away rules" },
      ],
    },
  );
  expect(idsOf(findings)).toEqual(["single-uplink up0", "rules-contested"]);
});
