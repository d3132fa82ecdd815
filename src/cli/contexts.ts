import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import type { ContextStatus, DoneReply, WatchedPairStatus } from "../daemon/api.ts";
import { parseAddressArgument, parseTagArgument, TAG_ARGUMENT } from "./arguments.ts";
import { addCommonOptions, type CommonOptions, print, printJson } from "./command.ts";
import { formatCarried } from "./flow.ts";
import {
  formatAge,
  formatBytes,
  formatFields,
  formatPair,
  formatSpan,
  formatState,
  formatTable,
} from "./format.ts";
import { formatSurvey } from "./survey.ts";

/** `contexts`, `context TAG`, `open`, `explore TAG`, `close TAG`. */
export function registerContexts(program: Command): void {
  const contexts = program
    .command("contexts")
    .summary("list the contexts")
    .description("Lists the contexts: one for each pair of ULIDs that talks through the shim.");
  addCommonOptions(contexts).action(async (options: CommonOptions) => {
    const reply = await new ControlClient(options.socket).contexts();
    if (options.json) printJson(reply);
    else print(formatContexts(reply.contexts));
  });

  const context = program
    .command("context")
    .summary("show one context")
    .description("Shows one context with its locators, counters and timers.")
    .argument("<tag>", TAG_ARGUMENT, parseTagArgument);
  addCommonOptions(context).action(async (tag: string, options: CommonOptions) => {
    const reply = await new ControlClient(options.socket).context(tag);
    if (options.json) printJson(reply);
    else print(formatContext(reply.context, Date.now()));
  });
  registerCommands(program);
}

function registerCommands(program: Command): void {
  const open = program
    .command("open")
    .summary("establish a context now")
    .description("Establishes a context for a pair of ULIDs now, without waiting for traffic.")
    .argument("<local-ulid>", "address of this host", parseAddressArgument)
    .argument("<peer-ulid>", "address of the peer", parseAddressArgument);
  addCommonOptions(open).action(async (local: string, peer: string, options: CommonOptions) => {
    const ulids = { localUlid: local, peerUlid: peer };
    report(await new ControlClient(options.socket).open(ulids), options, "establishing");
  });

  for (const [name, summary, done] of [
    ["explore", "look for a working pair of locators now", "exploring"],
    ["close", "forget a context", "closed"],
  ] as const) {
    const command = program
      .command(name)
      .summary(summary)
      .argument("<tag>", TAG_ARGUMENT, parseTagArgument);
    addCommonOptions(command).action(async (tag: string, options: CommonOptions) => {
      report(await new ControlClient(options.socket)[name](tag), options, done);
    });
  }
}

function report(reply: DoneReply, options: CommonOptions, text: string): void {
  if (options.json) printJson(reply);
  else print(text);
}

function formatContexts(contexts: readonly ContextStatus[]): string {
  if (contexts.length === 0) {
    return "No contexts. A pair of hosts gets one after its first packets (trigger.packets).";
  }
  const forked = contexts.some(({ forkedInstance }) => forkedInstance !== 0);
  const header = ["TAG", "STATE", "REAP", "LOCAL ULID", "PEER ULID", "LOCATORS", "IN", "OUT"];
  return formatTable(
    [...header, ...(forked ? ["CARRIES"] : []), "WAITS FOR"],
    contexts.map((context) => [
      context.localTag,
      context.state,
      context.reapState ?? "-",
      context.localUlid,
      context.peerUlid,
      formatLocators(context),
      context.packetsIn,
      context.packetsOut,
      ...(forked ? [formatCarried(context)] : []),
      formatNext(context.next),
    ]),
  );
}

function formatLocators(context: ContextStatus): string {
  const { localLocator, peerLocator } = context;
  const isNull = localLocator === context.localUlid && peerLocator === context.peerUlid;
  if (!isNull) return formatPair(context);
  return context.encapsulated === true ? "the ULIDs, Shim6 in UDP" : "the ULIDs";
}

function formatNext(next: ContextStatus["next"]): string {
  return next === null ? "-" : `${next.reason} in ${formatSpan(next.in)}`;
}

function formatPreferred({ preferred, pin }: ContextStatus): string {
  if (preferred === null) return "none";
  if (pin === null) return formatPair(preferred);
  return `${formatPair(preferred)}, pinned ${pin === "strict" ? "strictly" : "until it fails"}`;
}

/** "A > B, good for 18 s of 30 s, probe in 3 s" */
export function formatWatched(watched: WatchedPairStatus): string {
  const { goodFor, hold, failures, next } = watched;
  const waits = next.in === null ? "waits for traffic" : `${next.reason} in ${formatSpan(next.in)}`;
  const times = failures === 1 ? "once" : `${failures} times`;
  const failed = failures === 0 ? "" : `, failed ${times} lately`;
  const good = `good for ${formatSpan(goodFor)} of ${formatSpan(hold)}`;
  return `${formatPair(watched)}, ${good}${failed}, ${waits}`;
}

/** @param now ms since 1970 */
function formatContext(context: ContextStatus, now: number): string {
  const fields = formatFields([
    ["tag", `${context.localTag} (peer's: ${context.peerTag ?? "unknown"})`],
    ["state", [context.state, context.reapState].filter((s) => s !== null).join(", ")],
    ["role", context.initiator ? "initiator" : "responder"],
    ["ULIDs", `${context.localUlid} > ${context.peerUlid}`],
    ...formatFork(context),
    ["locators", formatLocators(context)],
    ["preferred", formatPreferred(context)],
    ["better", context.betterPairs.map(formatWatched).join("; ") || "none"],
    ["waits for", formatNext(context.next)],
    ["established", formatAge(context.establishedAt, now)],
    ["switches", `${context.switches}, last ${formatAge(context.lastSwitchAt, now)}`],
    ["in", formatTraffic(context.packetsIn, context.bytesIn, context.lastIn, now)],
    ["out", formatTraffic(context.packetsOut, context.bytesOut, context.lastOut, now)],
    ["probes", `${context.probesSent} sent, ${context.probesReceived} received`],
    ["keepalives", `${context.keepalivesSent} sent, ${context.keepalivesReceived} received`],
  ]);
  const local = formatTable(
    ["LOCAL LOCATOR", "PREF", "WEIGHT", "STATE"],
    context.localLocators.map((locator) => [
      locator.address,
      locator.preference,
      locator.weight,
      formatState(locator.operational ? "up" : "down", locator),
    ]),
  );
  const peer = formatTable(
    ["PEER LOCATOR", "PREF", "WEIGHT", "VERIFIED BY", "STATE"],
    context.peerLocators.map((locator) => [
      locator.address,
      locator.preference,
      locator.weight,
      formatMethod(locator.method),
      formatState(peerState(locator), locator),
    ]),
  );
  return [fields, local, peer, ...formatSurveyed(context, now)].join("\n\n");
}

/** @param now ms since 1970 */
function formatSurveyed({ survey }: ContextStatus, now: number): string[] {
  return survey === null ? [] : [`Tried ${formatAge(survey.at, now)}:\n${formatSurvey(survey)}`];
}

function formatTraffic(packets: number, bytes: number, last: string | null, now: number): string {
  return `${packets} packets, ${formatBytes(bytes)}, last ${formatAge(last, now)}`;
}

/** The verification methods of RFC 5533 section 5.15.2, and our experimental one. */
function formatMethod(method: number | null): string {
  const names: Record<number, string> = { 1: "HBA", 2: "CGA", 201: "nothing (unverified)" };
  return method === null ? "it is the ULID" : (names[method] ?? `method ${method}`);
}

/** Of a context that shares its ULID pair with others. */
function formatFork(context: ContextStatus): [string, string][] {
  if (context.forkedInstance === 0) return [];
  return [["fork", `instance ${context.forkedInstance}, carries ${formatCarried(context)}`]];
}

function peerState(locator: ContextStatus["peerLocators"][number]): string {
  if (locator.broken) return "broken";
  return locator.reachable ? "reachable" : "not probed";
}
