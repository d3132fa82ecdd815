import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import type { ContextStatus, StatusReply, UplinkStatus } from "../daemon/api.ts";
import { bold, green, red } from "./colour.ts";
import { addCommonOptions, type CommonOptions, print } from "./command.ts";
import {
  formatAge,
  formatBytes,
  formatFields,
  formatSpan,
  formatTable,
  formatWarnings,
} from "./format.ts";
import { watch } from "./watch.ts";
import {
  type Health,
  healthOf,
  outageBefore,
  outageInWords,
  pathInWords,
  stateInWords,
} from "./words.ts";

interface StatusOptions extends CommonOptions {
  readonly watch: boolean;
}

/** Contexts that are shown one by one; `l3shim contexts` shows all. */
const CONTEXTS_SHOWN = 20;

/** `l3shim status`, which `l3shim` alone means too. */
export function registerStatus(program: Command): void {
  const command = program
    .command("status", { isDefault: true })
    .summary("what the daemon does (the default command)")
    .description(
      "Shows the daemon, its uplinks, which path each context uses, why and since when, and what needs attention.",
    )
    .option("-w, --watch", "show it again and again, until interrupted", false)
    .allowExcessArguments();
  addCommonOptions(command).action(async (options: StatusOptions) => {
    // As the default command it also gets what the user meant as a command of another name.
    const [unknown] = command.args;
    if (unknown !== undefined) program.error(`error: unknown command or argument '${unknown}'`);
    const client = new ControlClient(options.socket);
    if (options.watch) await watch(() => readStatus(client, options), options);
    else print(await readStatus(client, options));
  });
}

/** As text for people, or as JSON. */
async function readStatus(client: ControlClient, { json }: StatusOptions): Promise<string> {
  const status = await client.status();
  if (json) return JSON.stringify(status);
  const { contexts } = await client.contexts();
  return formatStatus(status, contexts, Date.now());
}

/** @param now ms since 1970 */
function formatStatus(
  status: StatusReply,
  contexts: readonly ContextStatus[],
  now: number,
): string {
  const fields = formatFields([
    ["daemon", `l3shim ${status.version}, pid ${status.pid}, up ${formatSpan(status.uptime)}`],
    ["data plane", status.dataplane],
    ["security", status.security],
    ["send timeout", formatSpan(status.sendTimeout)],
    ["contexts", formatCounts(contexts)],
  ]);
  const sections = [fields, formatUplinks(status.uplinks), ...formatPaths(status, contexts, now)];
  if (status.warnings.length > 0) sections.push(formatWarnings(status.warnings));
  return sections.join("\n\n");
}

const HEALTH_WORDS: readonly (readonly [Health, string])[] = [
  ["works", "working"],
  ["looking", "looking for a path"],
  ["beginning", "being established"],
  ["plain", "without a peer's Shim6, as plain IPv6"],
];

function formatCounts(contexts: readonly ContextStatus[]): string {
  const counts = HEALTH_WORDS.map(([health, words]) => {
    return { words, count: contexts.filter((context) => healthOf(context) === health).length };
  }).filter(({ count }) => count > 0);
  if (counts.length === 0) return "none";
  return counts.map(({ words, count }) => `${count} ${words}`).join(", ");
}

function formatUplinkState({ operational, problem, role }: UplinkStatus): string {
  const state = operational ? green("up") : red(problem ?? "down");
  return role === "ordinary" ? state : `${state}, ${role}`;
}

function formatUplinks(uplinks: readonly UplinkStatus[]): string {
  if (uplinks.length === 0) return "No uplinks: no interface has an IPv6 default route.";
  return formatTable(
    ["UPLINK", "STATE", "GATEWAY", "PREF", "LOCATORS"],
    uplinks.map((uplink) => [
      bold(uplink.interface),
      formatUplinkState(uplink),
      uplink.gateway ?? "-",
      uplink.preference,
      uplink.locators.join(" ") || "-",
    ]),
  );
}

/** Contexts that protect something, or may soon: first what does not work, then what moved last. */
function formatPaths(
  { uplinks }: StatusReply,
  contexts: readonly ContextStatus[],
  now: number,
): string[] {
  const rows = contexts
    .filter((context) => healthOf(context) !== "plain")
    .toSorted((a, b) => urgency(a) - urgency(b) || movedAt(b) - movedAt(a));
  if (rows.length === 0) return [];
  const table = formatTable(
    ["PEER", "STATE", "PATH", "SINCE", "WHY", "IN", "OUT"],
    rows
      .slice(0, CONTEXTS_SHOWN)
      .map((context) => [
        bold(context.peerUlid),
        stateInWords(context, now),
        formatPath(context, uplinks),
        formatAge(context.path?.since ?? null, now),
        formatWhy(context),
        formatBytes(context.bytesIn),
        formatBytes(context.bytesOut),
      ]),
  );
  const more = rows.length - CONTEXTS_SHOWN;
  return [more > 0 ? `${table}\n… and ${more} more: l3shim contexts shows all` : table];
}

function urgency(context: ContextStatus): number {
  return healthOf(context) === "looking" ? 0 : 1;
}

function movedAt({ path, createdAt }: ContextStatus): number {
  return Date.parse(path?.since ?? createdAt);
}

/** "eth0 > 2001:db8:b1::b": by which uplink, and to which locator of the peer. */
function formatPath(context: ContextStatus, uplinks: readonly UplinkStatus[]): string {
  const { localLocator, peerLocator, encapsulated = false } = context;
  const uplink = uplinks.find(({ locators }) => locators.includes(localLocator));
  return `${uplink?.interface ?? localLocator} > ${peerLocator}${encapsulated ? " in UDP" : ""}`;
}

function formatWhy({ path }: ContextStatus): string {
  if (path === null) return "-";
  const words = pathInWords(path);
  const outage = outageBefore(path);
  return outage === null ? words : `${words}; no path ${outageInWords(outage)}`;
}
