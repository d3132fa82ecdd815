import { inNamespace, run } from "./shell.ts";

/** One nftables chain in a table of its own, so that it goes away as it came: whole. */
export interface Filter {
  readonly table: string;
  readonly hook: "forward" | "input" | "output";
  readonly policy?: "accept" | "drop";
  /** Rules in nft's language, in their order. */
  readonly rules: readonly string[];
}

/**
 * Installs the filter in the namespace.
 * @throws LabError when nft is missing or refuses it.
 */
export async function addFilter(namespace: string, filter: Filter): Promise<void> {
  await runNft(namespace, definition(filter));
}

/** The same, in place of a table of the same name, if there is one. @throws LabError */
export async function replaceFilter(namespace: string, filter: Filter): Promise<void> {
  const { table } = filter;
  const away = [`table inet ${table} {`, "}", `delete table inet ${table}`];
  await runNft(namespace, [...away, ...definition(filter)]);
}

async function runNft(namespace: string, script: readonly string[]): Promise<void> {
  await run(inNamespace(namespace, ["nft", "-f", "-"]), `${script.join("\n")}\n`);
}

/** A chain for its hook: tables of several hooks grow chain by chain. */
function definition({ table, hook, policy = "accept", rules }: Filter): string[] {
  return [
    `table inet ${table} {`,
    `chain ${hook}_packets {`,
    `type filter hook ${hook} priority 0; policy ${policy};`,
    ...rules,
    "}",
    "}",
  ];
}

export async function removeFilter(namespace: string, table: string): Promise<void> {
  await run(inNamespace(namespace, ["nft", "delete", "table", "inet", table]));
}

/**
 * A host's stateful firewall, the usual kind: what is invalid to conntrack is dropped, answers
 * come in, new sessions only where named. Shim6 control messages (protocol 140) are let in, as
 * they must be for a shim to work at all.
 */
export const STATEFUL_FIREWALL: Filter = {
  table: "firewall",
  hook: "input",
  policy: "drop",
  rules: [
    'iifname "lo" accept',
    "ct state invalid drop",
    "ct state established,related accept",
    "meta l4proto { icmpv6, 140 } accept",
    "ct state new meta l4proto { tcp, udp } th dport 5000-5999 accept",
  ],
};
