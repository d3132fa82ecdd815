import type { Command } from "commander";
import type { CheckReply, Finding } from "../daemon/api.ts";
import { SCHEMA_VERSION } from "../daemon/api.ts";
import { ControlClient } from "./client.ts";
import {
  addCommonOptions,
  CommandError,
  type CommonOptions,
  EXIT,
  print,
  printJson,
} from "./command.ts";
import { formatSpan } from "./format.ts";

interface CheckOptions extends CommonOptions {
  readonly config?: string;
}

/** `check`: what keeps sessions from being protected here. */
export function registerCheck(program: Command): void {
  const command = program
    .command("check")
    .summary("look for what keeps sessions from being protected")
    .description(
      "Looks at kernel, privileges, uplinks, addresses, source routing, MTU and firewall of this host, " +
        "and says what is wrong and what to do. Asks the daemon; without one it looks by itself, " +
        "before one is started. Exit status 4 when there is a problem.",
    )
    .option("--config <file>", "configuration to check by, where no daemon runs");
  addCommonOptions(command).action(run);
}

async function run(options: CheckOptions): Promise<void> {
  const reply = await checkHost(options);
  if (options.json) printJson(reply);
  else print(formatCheck(reply));
  if (reply.findings.some(isProblem)) process.exitCode = EXIT.problems;
}

async function checkHost({ socket, config }: CheckOptions): Promise<CheckReply> {
  try {
    return await new ControlClient(socket).check();
  } catch (error) {
    if (!(error instanceof CommandError) || error.status !== EXIT.noDaemon) throw error;
    // Loading it takes several times as long as the rest.
    const { checkWithoutDaemon } = await import("../daemon/check/check.ts");
    return { schemaVersion: SCHEMA_VERSION, ...(await checkWithoutDaemon(config)) };
  }
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

function formatCheck({ findings, recovery }: CheckReply): string {
  const problems = findings.filter(isProblem);
  const notes = findings.filter((finding) => !isProblem(finding));
  const { detection, exploration, pairs } = recovery;
  const worst =
    `A path that dies in silence: noticed within ${formatSpan(detection)}, and the last of ` +
    `${pairs} pairs of locators tried ${formatSpan(exploration)} later, at most.`;
  return [...[...problems, ...notes].map(formatFinding), worst, formatCount(problems.length)].join(
    "\n\n",
  );
}

function formatFinding({ id, severity, sentence, remedy }: Finding): string {
  const title = `${TITLES[severity]} (${id}): ${sentence}`;
  return remedy === null ? title : `${title}\n  ${remedy}`;
}

function formatCount(problems: number): string {
  if (problems === 0) return "No problem found.";
  return problems === 1 ? "1 problem found." : `${problems} problems found.`;
}
