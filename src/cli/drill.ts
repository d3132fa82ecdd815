import { type Command, InvalidArgumentError, Option } from "commander";
import { ControlClient } from "../client/control-client.ts";
import {
  type DrilledFlow,
  type DrillReport,
  type DrillStart,
  type Reply,
  SCHEMA_VERSION,
  type UnprotectedSession,
} from "../daemon/api.ts";
import {
  addCommonOptions,
  CommandError,
  type CommonOptions,
  EXIT,
  print,
  printJson,
} from "./command.ts";
import { formatPair, formatTable } from "./format.ts";

interface DrillOptions extends CommonOptions {
  readonly for: number;
  readonly as: DrillStart["as"];
  readonly force: boolean;
}

/** Seconds. */
const LONGEST = 300;

/** `drill UPLINK`: what would happen to the sessions if it died. */
export function registerDrill(program: Command): void {
  const command = program
    .command("drill")
    .summary("rehearse the death of an uplink")
    .description(
      "Treats an uplink as dead for a while, for the sessions that the shim protects, and reports " +
        "the interruption of each. All other packets pass. It ends by itself, with Ctrl-C, and " +
        "with this command or the daemon, whatever happens to them.",
    )
    .argument("<uplink>", "its interface, one of its locators, or a prefix of these")
    .option("--for <time>", `how long, such as 10s or 2min; ${LONGEST}s at most`, parseSpan, 10)
    .addOption(
      new Option("--as <how>", "packets get lost in silence, or the host sees its link go down")
        .choices(["silent", "link-down"])
        .default("silent"),
    )
    .option("--force", "also where no other uplink works", false);
  addCommonOptions(command).action(run);
}

async function run(uplink: string, options: DrillOptions): Promise<void> {
  const client = new ControlClient(options.socket);
  const { for: seconds, as, force, json } = options;
  let report: DrillReport | undefined;
  const endEarly = (): void => {
    client.endDrill().catch((error: unknown) => {
      process.stderr.write(`l3shim: ${(error as Error).message}\n`);
    });
  };
  // A second one ends this process, and with it the drill.
  process.once("SIGINT", endEarly);
  try {
    for await (const event of client.drill({ uplink, seconds, as, force })) {
      if (event.event === "ended") report = event.report;
      else if (!json) print(formatStart(event, seconds));
    }
  } finally {
    process.off("SIGINT", endEarly);
  }
  if (report === undefined) {
    throw new CommandError("the daemon has stopped, and with it the drill", EXIT.noDaemon);
  }
  if (json) printJson<DrillReply>({ schemaVersion: SCHEMA_VERSION, ...report });
  else print(formatReport(report));
}

/** What is printed as JSON. */
export interface DrillReply extends Reply, DrillReport {}

function parseSpan(text: string): number {
  const [, digits, unit] = /^(\d{1,4})(s|min|m)?$/.exec(text) ?? [];
  const span = Number(digits) * (unit === undefined || unit === "s" ? 1 : 60);
  if (span >= 1 && span <= LONGEST) return span;
  throw new InvalidArgumentError(`It must be a span from 1s to ${LONGEST}s, such as 10s or 2min.`);
}

function formatStart({ uplink, as, flows, unprotected }: DrillStart, seconds: number): string {
  const how = as === "silent" ? "loses packets in silence" : "is down";
  const sessions = `${count(flows, "session")} of the shim on it`;
  return [
    `${uplink} ${how} for ${seconds} s, with ${sessions}; Ctrl-C ends that.`,
    ...formatUnprotected(unprotected),
  ].join("\n");
}

function formatUnprotected(sessions: readonly UnprotectedSession[]): string[] {
  if (sessions.length === 0) return [];
  const names = sessions.map(
    ({ local, localPort, peer, peerPort }) => `  [${local}]:${localPort} > [${peer}]:${peerPort}`,
  );
  const noun = count(sessions.length, "TCP connection");
  return [`${noun} without a context would die with it, now left alone:`, ...names];
}

function formatReport({ uplink, lasted, endedBy, flows }: DrillReport): string {
  const early = endedBy === "command" ? ", ended before its time" : "";
  const end = `${uplink} works again, after ${lasted.toFixed(1)} s${early}.`;
  if (flows.length === 0) return `\n${end} No session was on it.`;
  const spans = flows.flatMap(({ interruption }) => interruption ?? []);
  const longest =
    spans.length === 0 ? "" : ` Longest interruption: ${formatSeconds(Math.max(...spans))}.`;
  return `\n${formatFlows(flows)}\n\n${end} ${formatOutcomes(flows)}.${longest}`;
}

function formatFlows(flows: readonly DrilledFlow[]): string {
  return formatTable(
    ["CONTEXT", "SESSION", "INTERRUPTED", "NOTICED IN", "PATH FOUND IN", "OUTCOME"],
    flows.map((flow) => [
      flow.context,
      `${flow.localUlid} > ${flow.peerUlid}`,
      formatSeconds(flow.interruption),
      formatSeconds(flow.detection),
      formatSeconds(flow.exploration),
      formatOutcome(flow),
    ]),
  );
}

function formatOutcome({ outcome, to, back }: DrilledFlow): string {
  switch (outcome) {
    case "moved":
      return `went on by ${to === null ? "another pair" : formatPair(to)}${back ? ", and is back" : ""}`;
    case "waited":
      return "went on when the uplink worked again";
    case "idle":
      return "had no packets";
    case "lost":
      return "did not go on";
  }
}

function formatOutcomes(flows: readonly DrilledFlow[]): string {
  const outcomes = ["moved", "waited", "idle", "lost"] as const;
  const parts = outcomes.flatMap((outcome) => {
    const number = flows.filter((flow) => flow.outcome === outcome).length;
    return number === 0 ? [] : [`${number} ${outcome}`];
  });
  return `${count(flows.length, "session")}: ${parts.join(", ")}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function formatSeconds(span: number | null): string {
  return span === null ? "-" : `${span.toFixed(2)} s`;
}
