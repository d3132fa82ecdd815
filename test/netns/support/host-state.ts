import { existsSync, readdirSync } from "node:fs";
import type { Network } from "../../../src/lab/network.ts";
import { pinDirectory } from "../../../src/lab/pins.ts";
import { inNamespace, run } from "../../../src/lab/shell.ts";

export type HostState = Readonly<Record<string, readonly string[]>>;

/** All that a daemon may put into the host's kernel, without counters and process ids. */
export async function hostState(network: Network, host: string): Promise<HostState> {
  const namespace = network.namespace(host);
  const lines = async (command: string) => {
    const argv = inNamespace(namespace, command.split(" "));
    return (await run(argv)).split("\n").map((line) => line.trim());
  };
  const pins = pinDirectory(namespace);
  return {
    rules: await lines("ip -6 rule show"),
    routes: await lines("ip -6 route show table all"),
    addresses: await lines("ip -6 -o addr show"),
    // Terse: what the set of busy pairs holds is traffic, not state.
    nftables: rulesOf(await lines("nft --stateless --terse list ruleset")),
    legacy: await lines("ip6tables-legacy-save"),
    queues: (await lines("cat /proc/net/netfilter/nfnetlink_queue")).map(
      (line) => line.split(/\s+/)[0] ?? "",
    ),
    links: await lines("ip -o link show"),
    // Which programs are where; each load has other numbers.
    programs: (await lines("bpftool net show")).map((line) =>
      line.replace(/ (prog|link)_id \d+/g, ""),
    ),
    pins: existsSync(pins) ? readdirSync(pins).filter(isPin).toSorted() : [],
  };
}

/** The kernel has files of its own on a bpffs. */
function isPin(name: string): boolean {
  return !name.endsWith(".debug");
}

/**
 * Each rule with its table and chain. ip6tables leaves its empty tables behind, and a chain's
 * place in the listing says nothing.
 */
function rulesOf(ruleset: readonly string[]): string[] {
  let table = "";
  let chain = "";
  const rules: string[] = [];
  for (const line of ruleset) {
    if (line.startsWith("table ")) {
      table = line;
      chain = "";
    } else if (line.startsWith("chain ")) chain = line;
    else if (line !== "" && line !== "}" && !line.startsWith("type ")) {
      rules.push(`${table} ${chain} ${line}`);
    }
  }
  return rules.toSorted();
}
