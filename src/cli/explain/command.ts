import type { Command } from "commander";
import { ControlClient } from "../../client/control-client.ts";
import {
  type ContextStatus,
  type Reply,
  SCHEMA_VERSION,
  type UplinkStatus,
} from "../../daemon/api.ts";
import { parseTag } from "../../wire/tag.ts";
import { addCommonOptions, type CommonOptions, print, printJson } from "../command.ts";
import { formatWatched } from "../contexts.ts";
import { formatCarried } from "../flow.ts";
import { formatAge, formatFields, formatPair, formatSpan } from "../format.ts";
import {
  causeInWords,
  outageBefore,
  outageInWords,
  outageOf,
  pathInWords,
  stateInWords,
} from "../words.ts";
import type { Absence } from "./absence.ts";
import {
  type Answers,
  type CarrierExplanation,
  type Explanation,
  explainContext,
  explainFlow,
} from "./explain.ts";
import { parseFlow } from "./flow-argument.ts";
import { type NextPair, type UplinkDeath, uplinkOf } from "./what-if.ts";

/** `explain FLOW`: which context, which pair, why, since when, and what if. */
export function registerExplain(program: Command): void {
  const command = program
    .command("explain")
    .summary("say why a flow goes the way that it goes")
    .description(
      "Says which context carries a flow, on which pair of locators, why and since when, and what would " +
        "happen if its uplink died; or why no context protects it. A flow is an address or a name of " +
        "the peer, or more of it as in tcp [2001:db8::1]:40000 www.example.org:443, or a context's tag.",
    )
    .argument("<flow...>", "tag, or protocol, address or name, [address]:port");
  addCommonOptions(command).action(async (pieces: string[], { json, socket }: CommonOptions) => {
    const answers = await ask(new ControlClient(socket));
    const explanation = await explain(pieces, answers);
    if (json) printJson<ExplainReply>({ schemaVersion: SCHEMA_VERSION, ...explanation });
    else print(formatExplanation(explanation, answers.status.uplinks, Date.now()));
  });
}

/** What is printed as JSON. */
export interface ExplainReply extends Reply, Explanation {}

async function ask(client: ControlClient): Promise<Answers> {
  const [status, { contexts }, { locators }, { events }] = await Promise.all([
    client.status(),
    client.contexts(),
    client.locators(),
    client.history(),
  ]);
  return { status, contexts, locators, events };
}

async function explain(pieces: readonly string[], answers: Answers): Promise<Explanation> {
  const { contexts, locators } = answers;
  const [only = "", ...others] = pieces;
  const tag = others.length === 0 ? parseTag(only) : undefined;
  const named = contexts.find(({ localTag }) => tag !== undefined && parseTag(localTag) === tag);
  if (named !== undefined) return explainContext(named, answers);
  const own = [...locators.map(({ address }) => address), ...contexts.map((c) => c.localUlid)];
  return explainFlow(await parseFlow(pieces, new Set(own)), answers);
}

/** @param now ms since 1970 */
function formatExplanation(
  { carriers, absences }: Explanation,
  uplinks: readonly UplinkStatus[],
  now: number,
): string {
  return [
    ...carriers.map((carrier) => formatCarrier(carrier, uplinks, now)),
    ...absences.map((absence) => formatAbsence(absence, now)),
  ].join("\n\n");
}

function formatAbsence({ sentence, remedy, until }: Absence, now: number): string {
  const lines = [sentence];
  if (until !== null) {
    const wait = formatSpan(Math.max(0, Date.parse(until) - now) / 1000);
    lines.push(`  It is not asked again for ${wait}, whatever traffic there is.`);
  }
  if (remedy !== null) lines.push(`  ${remedy}`);
  return lines.join("\n");
}

function formatCarrier(
  { carries, context, ifUplinkDied }: CarrierExplanation,
  uplinks: readonly UplinkStatus[],
  now: number,
): string {
  const isSplit = carries === "perhaps" || context.forkedInstance !== 0;
  const fields: [string, string][] = [
    ["flow", `${context.localUlid} > ${context.peerUlid}`],
    ["context", `${context.localTag}: ${stateInWords(context, now)}`],
    ...(isSplit ? [["carries", formatShare(carries, context)] as [string, string]] : []),
    ["path", formatPath(context, uplinks)],
    ...formatStory(context, now),
    ...context.betterPairs.map((pair): [string, string] => ["better", formatWatched(pair)]),
  ];
  const death = ifUplinkDied === null ? [] : [formatDeath(ifUplinkDied, context, now)];
  return [formatFields(fields), ...death].join("\n");
}

function formatShare(carries: CarrierExplanation["carries"], context: ContextStatus): string {
  const share = formatCarried(context);
  return carries === "yes" ? share : `${share}: whether that is this flow, is not known`;
}

function formatPath(context: ContextStatus, uplinks: readonly UplinkStatus[]): string {
  const pair = formatPair(context);
  const by = byUplink(uplinkOf(context.localLocator, uplinks)?.interface ?? null);
  const { localLocator, localUlid, peerLocator, peerUlid } = context;
  const isNull = localLocator === localUlid && peerLocator === peerUlid;
  return `${pair}${by}${isNull ? ", the addresses that the flow began with" : ""}`;
}

function byUplink(uplink: string | null): string {
  return uplink === null ? "" : ` by ${uplink}`;
}

/** Why it is there, since when, and what else there was. */
function formatStory({ path }: ContextStatus, now: number): [string, string][] {
  if (path === null) return [];
  const outage = outageBefore(path);
  const cost = outage === null ? "" : `; no path ${outageInWords(outage)}`;
  const from = path.from === null ? [] : [["before", formatPair(path.from)] as [string, string]];
  return [
    ["since", formatAge(path.since, now)],
    ["why", `${pathInWords(path)}${cost}`],
    ...from,
    ...formatSearch(path, now),
  ];
}

/** The last exploration, where it is not what brought the context to its pair. */
function formatSearch(path: NonNullable<ContextStatus["path"]>, now: number): [string, string][] {
  const { exploration } = path;
  if (exploration === null || outageBefore(path) !== null) return [];
  const outage = outageOf(exploration);
  const cause = causeInWords(exploration.cause);
  const begun = formatAge(exploration.startedAt, now);
  if (outage === null) return [["looks", `for another path: ${cause}`]];
  const stayed = Date.parse(exploration.startedAt) > Date.parse(path.since) ? ", and stayed" : "";
  return [["looked", `for a path ${begun}: ${cause}; none ${outageInWords(outage)}${stayed}`]];
}

function formatDeath(death: UplinkDeath, context: ContextStatus, now: number): string {
  const { uplink, next, pairs, exploration } = death;
  const lines = [`if ${uplink ?? "its uplink"} died`, `  ${formatDetection(death)}`];
  if (next === null) {
    const reason =
      context.pin === "strict" ? "it is pinned strictly" : "no other locator of this host works";
    lines.push(`  the flow would wait: ${reason}`);
  } else {
    lines.push(`  first ${formatPair(next)}${byUplink(next.uplink)} would be tried`);
    lines.push(`  ${formatTrust(next, context, now)}`);
    if (pairs > 1) {
      lines.push(
        `  the last of ${pairs} pairs would have been tried ${formatSpan(exploration)} later`,
      );
    }
  }
  return lines.join("\n");
}

/** "mostly": docs/benchmarks.md has it for packets with answers, and for packets one way only. */
function formatDetection({ detection, adaptive }: UplinkDeath): string {
  const usual = adaptive ? ", mostly within 0.5 to 2 s where packets keep leaving" : "";
  return `a lost link would be noticed at once, a silent failure within ${formatSpan(detection)}${usual}`;
}

const PROOFS: Readonly<Record<NextPair["proof"], string>> = {
  ulid: "the peer's address there is the flow's own",
  hba: "the peer's address there is verified (HBA)",
  cga: "the peer's address there is verified (CGA)",
  none: "the peer's address there is believed without proof",
};

function formatTrust(next: NextPair, context: ContextStatus, now: number): string {
  const trust = `${PROOFS[next.proof]}; ${formatAnswers(next, context)}`;
  if (next.surveyed === null) return trust;
  const { at, passes } = next.surveyed;
  const outcome = passes === true ? "passed" : "did not pass";
  return `${trust}; the pair ${outcome} l3shim check ${formatAge(at, now)}`;
}

/** What the pair has shown; of one that is watched, what it shows now. */
function formatAnswers(
  next: NextPair,
  { betterPairs, localUlid, peerUlid }: ContextStatus,
): string {
  const isNext = (local: string, peer: string) =>
    local === next.localLocator && peer === next.peerLocator;
  const watched = betterPairs.find((pair) => isNext(pair.localLocator, pair.peerLocator));
  if (watched?.goodFor === 0) return "it has not answered lately";
  if (watched !== undefined) return `it has answered for ${formatSpan(watched.goodFor)}`;
  if (next.hasAnswered) return "it has answered a probe";
  return isNext(localUlid, peerUlid) ? "the flow began there" : "it has not been probed";
}
