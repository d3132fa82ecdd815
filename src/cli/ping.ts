import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import {
  type LocatorPairStatus,
  type Reply,
  SCHEMA_VERSION,
  type SurveyedPairStatus,
} from "../daemon/api.ts";
import { PEER_ARGUMENT, resolvePeer, wholeNumber } from "./arguments.ts";
import { addCommonOptions, type CommonOptions, EXIT, print, printJson } from "./command.ts";
import { formatPair, formatTable } from "./format.ts";
import { type PairResult, PairTally } from "./pair-tally.ts";

interface PingOptions extends CommonOptions {
  readonly count: number;
}

const ROUNDS = 5;
/** ms from one round to the next. */
const INTERVAL = 1_000;

/** `ping PEER`: every pair of locators with it, once a second. */
export function registerPing(program: Command): void {
  const command = program
    .command("ping")
    .summary("measure all pairs of locators with a peer")
    .description(
      "Tries each pair of locators with a peer once a second, by protocol 140, whichever sessions " +
        "use: round trip times, and what gets lost on the way there and on the way back. " +
        "Establishes a context where there is none. Exit status 1 when nothing was answered.",
    )
    .argument("<peer>", PEER_ARGUMENT)
    .option("-c, --count <number>", "rounds", wholeNumber(1, 100_000), ROUNDS);
  addCommonOptions(command).action(run);
}

/** What is printed as JSON. */
export interface PingReply extends Reply {
  /** The address that was asked. */
  readonly peer: string;
  readonly pairs: readonly PairResult[];
}

async function run(name: string, { socket, count, json }: PingOptions): Promise<void> {
  const peer = await resolvePeer(name);
  const client = new ControlClient(socket);
  const tallies = new Map<string, PairTally>();
  for (let round = 1; round <= count; round += 1) {
    if (round > 1) await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    const { survey } = await client.survey({ peer, rounds: 1, echoes: false });
    for (const pair of survey.pairs) {
      tallyOf(tallies, pair).add(pair);
      if (!json) print(`${round}: ${formatPair(pair)}: ${formatOutcome(pair)}`);
    }
  }
  const pairs = [...tallies.values()].map((tally) => tally.result);
  if (json) printJson<PingReply>({ schemaVersion: SCHEMA_VERSION, peer, pairs });
  else print(`\n${formatResults(pairs)}`);
  if (pairs.every(({ answered }) => answered === 0)) process.exitCode = EXIT.failed;
}

function tallyOf(tallies: Map<string, PairTally>, pair: LocatorPairStatus): PairTally {
  const key = formatPair(pair);
  const tally = tallies.get(key) ?? new PairTally(pair);
  tallies.set(key, tally);
  return tally;
}

function formatOutcome({ there, back, roundTrips, refused, sent }: SurveyedPairStatus): string {
  const [roundTrip] = roundTrips;
  if (roundTrip !== undefined) return formatMilliseconds(roundTrip);
  if (refused) return "the peer knows no protocol 140";
  if (sent === 0) return "not tried";
  if (there === null) return "no answer";
  return there && back === false ? "lost on the way back" : "lost on the way there";
}

function formatResults(pairs: readonly PairResult[]): string {
  return formatTable(
    ["PAIR", "SENT", "ANSWERED", "LOST THERE", "LOST BACK", "MIN", "MEDIAN", "MAX"],
    pairs.map((pair) => [
      formatPair(pair),
      pair.sent,
      pair.answered,
      formatShare(pair.lossThere),
      formatShare(pair.lossBack),
      formatMilliseconds(pair.minimum),
      formatMilliseconds(pair.median),
      formatMilliseconds(pair.maximum),
    ]),
  );
}

function formatShare(share: number | null): string {
  return share === null ? "not known" : `${(share * 100).toFixed(0)} %`;
}

function formatMilliseconds(span: number | null): string {
  return span === null ? "-" : `${(span * 1000).toFixed(1)} ms`;
}
