import type { Firewall } from "./host-facts.ts";

/** What of an nftables ruleset concerns the shim (libnftables-json(5)); tables of ours left out. */
export interface FirewallView {
  /** Base chains that drop what comes in or leaves unless a rule accepts it, as "FAMILY TABLE CHAIN". */
  readonly closedChains: readonly string[];
  /** Some rule names protocol 140. */
  readonly namesShim6: boolean;
  /** Chains that drop packets whose source is not reached by the interface that they came in on. */
  readonly reversePathChains: readonly string[];
}

interface Entry {
  readonly family: string;
  readonly table: string;
}

interface Chain extends Entry {
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

interface Rule extends Entry {
  readonly chain: string;
  readonly expr?: readonly unknown[];
}

interface Match {
  readonly left: {
    readonly meta?: { readonly key: string };
    readonly payload?: { readonly field: string };
  };
  readonly right: unknown;
}

const FAMILIES = ["inet", "ip6"];
const SHIM6 = 140;

/** `undefined` where the ruleset could not be read. */
export function viewFirewall(firewall: Firewall): FirewallView | undefined {
  if ("unread" in firewall) return undefined;
  const { nftables } = firewall.ruleset as {
    readonly nftables: readonly Record<string, unknown>[];
  };
  const all = <Kind extends Entry>(kind: "chain" | "rule"): Kind[] =>
    nftables.flatMap((entry) => (entry[kind] === undefined ? [] : [entry[kind] as Kind]));
  const others = ({ family, table }: Entry) =>
    FAMILIES.includes(family) && !table.startsWith("l3shim");
  const rules = all<Rule>("rule").filter(others);
  return {
    closedChains: all<Chain>("chain")
      .filter(others)
      .filter(({ hook, policy }) => isEnd(hook) && policy === "drop")
      .map(({ family, table, name }) => `${family} ${table} ${name}`),
    namesShim6: rules.some(namesShim6),
    reversePathChains: rules
      .filter(checksReversePath)
      .map(({ family, table, chain }) => `${family} ${table} ${chain}`),
  };
}

/** Of packets that are this host's own. */
function isEnd(hook: string | undefined): boolean {
  return hook === "input" || hook === "output";
}

/** `fib saddr . iif oif missing drop`, or what ip6tables' rpfilter became. */
function checksReversePath({ expr = [] }: Rule): boolean {
  const text = JSON.stringify(expr);
  const drops = expr.some((part) => Object.hasOwn(part as object, "drop"));
  return drops && (/"fib":\{[^}]*"saddr"/.test(text) || text.includes('"rpfilter"'));
}

function namesShim6({ expr = [] }: Rule): boolean {
  return expr.some((part) => {
    const { match } = part as { readonly match?: Match };
    if (match === undefined) return false;
    const { meta, payload } = match.left;
    return (meta?.key === "l4proto" || payload?.field === "nexthdr") && holdsShim6(match.right);
  });
}

/** Alone or in a set, by its number or by its name of /etc/protocols. */
function holdsShim6(value: unknown): boolean {
  if (value === SHIM6 || value === "shim6") return true;
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(holdsShim6);
}
