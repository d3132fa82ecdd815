import type { Command } from "commander";
import { ControlClient } from "../client/control-client.ts";
import { ControlError } from "../client/control-error.ts";
import { type CheckReply, type Finding, type PeerSurvey, SCHEMA_VERSION } from "../daemon/api.ts";
import { peerFindings } from "../daemon/check/peer-findings.ts";
import { searchTime } from "../daemon/check/recovery.ts";
import { PEER_ARGUMENT, resolvePeer } from "./arguments.ts";
import { addCommonOptions, type CommonOptions, EXIT, print, printJson } from "./command.ts";
import { formatSpan } from "./format.ts";
import { formatSurvey } from "./survey.ts";

interface CheckOptions extends CommonOptions {
  readonly config?: string;
}

/** `check [PEER]`: what keeps sessions from being protected. */
export function registerCheck(program: Command): void {
  const command = program
    .command("check")
    .summary("look for what keeps sessions from being protected")
    .description(
      "Looks at kernel, privileges, uplinks, addresses, source routing, MTU and firewall of this host, " +
        "and says what is wrong and what to do. Asks the daemon; without one it looks by itself, " +
        "before one is started. With a peer it tries each pair of locators in both directions, which " +
        "takes a daemon here and some seconds. Exit status 4 when there is a problem.",
    )
    .argument("[peer]", PEER_ARGUMENT)
    .option("--config <file>", "configuration to check by, where no daemon runs");
  addCommonOptions(command).action(run);
}

async function run(peer: string | undefined, options: CheckOptions): Promise<void> {
  const check = await (peer === undefined ? checkHost(options) : checkPeer(peer, options));
  if (options.json) printJson(check);
  else print(formatCheck(check));
  if (check.findings.some(isProblem)) process.exitCode = EXIT.problems;
}

/** What is printed as JSON. */
export interface Check extends CheckReply {
  readonly survey?: PeerSurvey;
}

async function checkHost({ socket, config }: CheckOptions): Promise<Check> {
  try {
    return await new ControlClient(socket).check();
  } catch (error) {
    if (!(error instanceof ControlError && error.isWithoutDaemon)) throw error;
    // Loading it takes several times as long as the rest.
    const { checkWithoutDaemon } = await import("../daemon/check/check.ts");
    return { schemaVersion: SCHEMA_VERSION, ...(await checkWithoutDaemon(config)) };
  }
}

async function checkPeer(name: string, { socket }: CheckOptions): Promise<Check> {
  const peer = await resolvePeer(name);
  const client = new ControlClient(socket);
  const { findings, recovery, ...host } = await client.check();
  const { survey } = await client.survey({ peer });
  return {
    ...host,
    findings: [...findings, ...peerFindings(peer, survey, findings)],
    recovery: { ...recovery, ...searchTime(survey.pairs.length) },
    survey,
  };
}

/** What is as the user chose is none. */
function isProblem({ severity }: Finding): boolean {
  return severity !== "info";
}

const TITLES: Readonly<Record<Finding["severity"], string>> = {
  error: "Problem",
  warning: "Problem",
  info: "Note",
};

function formatCheck({ findings, recovery, survey }: Check): string {
  const problems = findings.filter(isProblem);
  const notes = findings.filter((finding) => !isProblem(finding));
  return [
    ...[...problems, ...notes].map(formatFinding),
    ...(survey === undefined ? [] : [formatSurvey(survey)]),
    formatRecovery(recovery),
    formatCount(problems.length),
  ].join("\n\n");
}

function formatFinding({ id, severity, sentence, remedy }: Finding): string {
  const title = `${TITLES[severity]} (${id}): ${sentence}`;
  return remedy === null ? title : `${title}\n  ${remedy}`;
}

function formatRecovery({ detection, exploration, pairs }: CheckReply["recovery"]): string {
  if (pairs === 0)
    return "A path that dies in silence: there is no pair of locators to go on with.";
  return (
    `A path that dies in silence: noticed within ${formatSpan(detection)}, and the last of ` +
    `${pairs} pairs of locators tried ${formatSpan(exploration)} later, at most.`
  );
}

function formatCount(problems: number): string {
  if (problems === 0) return "No problem found.";
  return problems === 1 ? "1 problem found." : `${problems} problems found.`;
}
