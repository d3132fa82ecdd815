import { existsSync } from "node:fs";
import { release } from "node:os";
import { delimiter, join } from "node:path";
import { CommandFailure, runCommand } from "../../dataplane/nfqueue/command.ts";
import { type CapabilityName, effectiveCapabilities } from "../../linux/capabilities.ts";
import { RouteEditor } from "../../linux/route-editor.ts";
import { RouteLookup } from "../../linux/route-lookup.ts";
import type { Link } from "../../linux/rtnetlink.ts";
import { readSysctl } from "../../linux/sysctl.ts";
import { SystemError } from "../../linux/system-error.ts";
import { type Address, parseAddress } from "../../wire/address.ts";
import type { DaemonConfig } from "../config/config.ts";
import { OBJECT_FILE } from "../data-plane.ts";
import { findUplinks, type Uplink } from "../host/uplinks.ts";

/** What {@link import("./host-findings.ts")} judges; tests bring their own. */
export interface HostFacts {
  readonly capabilities: ReadonlySet<CapabilityName>;
  /** As uname(2) has it. */
  readonly kernelRelease: string;
  readonly ipv6Disabled: boolean;
  /** The compiled programs of the data plane in the kernel are there. */
  readonly hasPrograms: boolean;
  /** Those of nft and ip6tables that are installed. */
  readonly ruleCommands: readonly string[];
  readonly links: readonly Link[];
  readonly uplinks: readonly Uplink[];
  /** By which link a packet from each working locator would leave; `undefined` without a route. */
  readonly egress: ReadonlyMap<Address, number | undefined>;
  readonly firewall: Firewall;
}

/** What nft(8) lists in JSON, or why it does not. */
export type Firewall = { readonly ruleset: unknown } | { readonly unread: string };

/** Some global address beyond every link: nothing is sent there. */
const FAR_AWAY = parseAddress("2000::1") as Address;

/**
 * Looks at the network namespace of the process. Needs no privilege, but for the firewall.
 * @param known the uplinks where somebody follows them; else those of this moment
 */
export async function readHostFacts(
  config: DaemonConfig,
  known?: readonly Uplink[],
): Promise<HostFacts> {
  const editor = new RouteEditor();
  try {
    const network = editor.read();
    const uplinks = known ?? findUplinks(network, config);
    return {
      capabilities: effectiveCapabilities(),
      kernelRelease: release(),
      ipv6Disabled: isIpv6Disabled(),
      hasPrograms: existsSync(OBJECT_FILE),
      ruleCommands: ["nft", "ip6tables"].filter(isInstalled),
      links: network.links,
      uplinks,
      egress: findEgress(uplinks),
      firewall: await readFirewall(),
    };
  } finally {
    editor.close();
  }
}

function isIpv6Disabled(): boolean {
  // A kernel that was started without IPv6 has not even the directory.
  if (!existsSync("/proc/sys/net/ipv6/conf/all/disable_ipv6")) return true;
  return readSysctl("net/ipv6/conf/all/disable_ipv6") === "1";
}

function isInstalled(command: string): boolean {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return directories.some((directory) => existsSync(join(directory, command)));
}

function findEgress(uplinks: readonly Uplink[]): Map<Address, number | undefined> {
  const lookup = new RouteLookup();
  try {
    const working = uplinks.flatMap(({ locators }) =>
      locators.filter(({ operational }) => operational),
    );
    return new Map(working.map(({ address }) => [address, linkFrom(lookup, address)]));
  } finally {
    lookup.close();
  }
}

function linkFrom(lookup: RouteLookup, source: Address): number | undefined {
  try {
    return lookup.find(source, FAR_AWAY).link;
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

async function readFirewall(): Promise<Firewall> {
  try {
    return { ruleset: JSON.parse(await runCommand(["nft", "-j", "list", "ruleset"], "")) };
  } catch (error) {
    if (error instanceof CommandFailure) return { unread: error.message };
    throw error;
  }
}
