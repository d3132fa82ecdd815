import type { Address } from "../../wire/address.ts";
import type { Finding } from "../api.ts";
import type { DaemonConfig } from "../config/config.ts";
import type { Uplink } from "../host/uplinks.ts";
import { DAEMON_CAPABILITIES } from "../privileges.ts";
import { type FirewallView, viewFirewall } from "./firewall.ts";
import type { HostFacts } from "./host-facts.ts";

/** What is wrong with a host, as far as the host alone tells: pure, from facts to sentences. */

/** IPv6's least MTU (RFC 8200 section 5), and the payload header before it (RFC 5533 section 4.6). */
const LEAST_MTU = 1280 + 8;

/** Ring buffers, which the data plane in the kernel is built upon. */
const LEAST_KERNEL = [5, 8] as const;

/** All that holds whether a daemon runs or not. */
export function hostFindings(facts: HostFacts): Finding[] {
  const firewall = viewFirewall(facts.firewall);
  return [
    ...ipv6Findings(facts),
    ...uplinkFindings(facts.uplinks),
    ...locatorFindings(facts.uplinks),
    ...mtuFindings(facts),
    ...firewallFindings(facts, firewall),
  ];
}

/** Where a daemon is at work, its source rules must be, too. */
export function sourceRoutingFindings(facts: HostFacts): Finding[] {
  const firewall = viewFirewall(facts.firewall);
  const wrong = facts.uplinks.flatMap((uplink) =>
    uplink.locators
      .filter(({ address, operational }) => operational && leavesElsewhere(facts, uplink, address))
      .map(({ address }) => sourceRoutingFinding(facts, uplink, address)),
  );
  const [chain] = firewall?.reversePathChains ?? [];
  if (wrong.length === 0 || chain === undefined) return wrong;
  return [...wrong, reversePathFinding(chain)];
}

/** What a daemon would lack that were started by this process. */
export function startFindings(
  { capabilities, kernelRelease, hasPrograms, ruleCommands }: HostFacts,
  { dataplane }: Pick<DaemonConfig, "dataplane">,
): Finding[] {
  const missing = [...DAEMON_CAPABILITIES].filter((name) => !capabilities.has(name));
  const findings: Finding[] = missing.map((name) => ({
    id: "missing-capability",
    severity: "error",
    subject: name,
    sentence: `This process does not have ${name}, without which no daemon can run.`,
    remedy:
      "Run it as root, or start the daemon as a service that has it " +
      `(systemd: AmbientCapabilities=${[...DAEMON_CAPABILITIES].join(" ")}).`,
  }));
  const inKernel = kernelObstacle(kernelRelease, hasPrograms);
  const inUserSpace =
    ruleCommands.length === 0 ? "neither nft nor ip6tables is installed" : undefined;
  const obstacles = {
    ebpf: inKernel,
    nfqueue: inUserSpace,
    auto: inKernel && inUserSpace && `${inKernel}; ${inUserSpace}`,
  };
  const obstacle = obstacles[dataplane];
  if (obstacle !== undefined) findings.push(noDataPlane(dataplane, obstacle));
  else if (dataplane === "auto" && inKernel !== undefined) findings.push(userSpace(inKernel));
  return findings;
}

/** `undefined` for a data plane in the kernel. */
export function userSpace(reason: string): Finding {
  return {
    id: "packets-in-user-space",
    severity: "info",
    subject: null,
    sentence: `Packets of sessions that have moved pass through the daemon: ${reason}.`,
    remedy: "Nothing has to be done; the data plane in the kernel takes less of the processor.",
  };
}

function ipv6Findings({ ipv6Disabled }: HostFacts): Finding[] {
  if (!ipv6Disabled) return [];
  return [
    {
      id: "ipv6-disabled",
      severity: "error",
      subject: null,
      sentence: "IPv6 is switched off on this host.",
      remedy:
        "Switch it on: sysctl net.ipv6.conf.all.disable_ipv6=0, or no ipv6.disable=1 at boot.",
    },
  ];
}

function uplinkFindings(uplinks: readonly Uplink[]): Finding[] {
  const working = uplinks.filter(({ problem }) => problem === undefined);
  const down = uplinks.flatMap((uplink): Finding[] =>
    uplink.problem === undefined ? [] : [uplinkDown(uplink.interface, uplink.problem)],
  );
  const [only, second] = working;
  if (only === undefined) return [...down, noUplink()];
  return second === undefined ? [...down, singleUplink(only.interface)] : down;
}

function uplinkDown(name: string, problem: string): Finding {
  return {
    id: "uplink-down",
    severity: "warning",
    subject: name,
    sentence: `Nothing can leave by ${name}: ${problem}.`,
    remedy: `Look at "ip -6 address show dev ${name}" and "ip -6 route show dev ${name}": an uplink is up, has a carrier, a global address and a default route.`,
  };
}

function noUplink(): Finding {
  return {
    id: "no-uplink",
    severity: "error",
    subject: null,
    sentence:
      "The host has no uplink that works: no interface has a global address and a default route.",
    remedy:
      "Connect one. A host that forwards packets takes routers' advertisements only with " +
      "net.ipv6.conf.INTERFACE.accept_ra=2.",
  };
}

function singleUplink(name: string): Finding {
  return {
    id: "single-uplink",
    severity: "error",
    subject: name,
    sentence: `${name} is the only uplink that works: when it dies, there is nothing to switch to.`,
    remedy:
      "Connect a second one, with a default route of its own (a higher metric will do), or name it " +
      "in the configuration with [[uplink]].",
  };
}

/** Of uplinks that work themselves. */
function locatorFindings(uplinks: readonly Uplink[]): Finding[] {
  return uplinks
    .filter(({ problem }) => problem === undefined)
    .flatMap(({ locators }) => locators)
    .flatMap(({ address, problem }): Finding[] =>
      problem === undefined
        ? []
        : [
            {
              id: "locator-down",
              severity: "warning",
              subject: address,
              sentence: `${address} does not work: ${problem}.`,
              remedy: "Give the interface another address, or wait where it is about to change.",
            },
          ],
    );
}

function mtuFindings({ uplinks, links }: HostFacts): Finding[] {
  const narrow = links.filter(
    ({ index, mtu }) => mtu < LEAST_MTU && uplinks.some(({ link }) => link === index),
  );
  return narrow.map(({ name, mtu }) => ({
    id: "small-mtu",
    severity: "warning",
    subject: name,
    sentence: `${name} carries packets of ${mtu} octets at most: with the payload header less than IPv6's 1280 are left.`,
    remedy: `Raise it to ${LEAST_MTU} at least: ip link set dev ${name} mtu ${LEAST_MTU}.`,
  }));
}

function firewallFindings({ firewall }: HostFacts, view: FirewallView | undefined): Finding[] {
  if (view === undefined) return "unread" in firewall ? [unreadFirewall(firewall.unread)] : [];
  if (view.namesShim6) return [];
  return view.closedChains.map((chain) => ({
    id: "firewall-closed",
    severity: "warning",
    subject: chain,
    sentence: `The chain "${chain}" drops what no rule accepts, and no rule names protocol 140 (Shim6).`,
    remedy: `Accept it: nft insert rule ${chain} meta l4proto 140 accept.`,
  }));
}

function unreadFirewall(reason: string): Finding {
  return {
    id: "firewall-unknown",
    severity: "info",
    subject: null,
    sentence: `Whether a firewall lets protocol 140 (Shim6) pass is not known: ${reason}.`,
    remedy: "Install nftables and run this as root, or let a daemon run; or try a peer.",
  };
}

function leavesElsewhere({ egress }: HostFacts, uplink: Uplink, locator: Address): boolean {
  return uplink.gateway !== undefined && egress.get(locator) !== uplink.link;
}

function sourceRoutingFinding(
  { egress, links }: HostFacts,
  uplink: Uplink,
  locator: Address,
): Finding {
  const link = egress.get(locator);
  const name = links.find(({ index }) => index === link)?.name;
  const where = name === undefined ? "do not leave at all" : `leave by ${name}`;
  return {
    id: "no-source-routing",
    severity: "error",
    subject: locator,
    sentence:
      `Packets from ${locator} ${where}, not by their own uplink ${uplink.interface}; ` +
      "another ISP drops them.",
    remedy:
      'Look at "ip -6 rule": the rules of l3shim (priorities 14010 and 14020) must be there, and no ' +
      "rule before them may send these packets elsewhere. Delete such a rule, or give it a number " +
      "above 14020.",
  };
}

function reversePathFinding(chain: string): Finding {
  return {
    id: "rp-filter",
    severity: "error",
    subject: chain,
    sentence: `The chain "${chain}" drops packets that come in on another interface than answers would leave by.`,
    remedy: "Put the source routing right first; then it lets them pass.",
  };
}

function kernelObstacle(kernelRelease: string, hasPrograms: boolean): string | undefined {
  const [major = 0, minor = 0] = kernelRelease.split(/[.-]/).map(Number);
  const [least, leastMinor] = LEAST_KERNEL;
  if (major < least || (major === least && minor < leastMinor)) {
    return `Linux ${kernelRelease} is older than ${LEAST_KERNEL.join(".")}`;
  }
  return hasPrograms ? undefined : "the compiled eBPF programs are missing";
}

function noDataPlane(dataplane: DaemonConfig["dataplane"], obstacle: string): Finding {
  return {
    id: "no-data-plane",
    severity: "error",
    subject: null,
    sentence: `There is nothing to move packets with (dataplane = "${dataplane}"): ${obstacle}.`,
    remedy: "Install nftables, or a package of l3shim with its eBPF programs on a newer kernel.",
  };
}
