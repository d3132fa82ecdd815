import { writeFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { SecurityMode } from "../core/config.ts";
import { type Reply, SCHEMA_VERSION } from "../daemon/api.ts";
import { HostsServer } from "../daemon/web/hosts-server.ts";
import type { FailureRun, NewSession } from "../lab/experiment.ts";
import { runHome } from "../lab/home.ts";
import { runShell } from "../lab/interactive.ts";
import { removeLeftovers } from "../lab/leftovers.ts";
import { runPaper } from "../lab/paper.ts";
import { renderReport } from "../lab/report/page.ts";
import { isPrivileged, rerunInUserNamespace } from "../lab/rootless.ts";
import { LabError } from "../lab/shell.ts";
import { formatTable } from "../lab/table.ts";
import { Timeline } from "../lab/timeline.ts";
import { problemsOf } from "../lab/verdict.ts";
import { CommandError, EXIT, print, printJson } from "./command.ts";

interface LabOptions {
  readonly sendTimeout: number;
  readonly shim: boolean;
}

interface ShellOptions extends LabOptions {
  readonly web?: number;
}

interface ReportOptions {
  readonly sendTimeout: number;
  readonly report?: string;
  readonly json: boolean;
}

interface PaperCommandOptions extends LabOptions, ReportOptions {
  readonly security: SecurityMode;
}

/** `lab`: hosts, ISPs and failures in network namespaces of this machine. */
export function registerLab(program: Command): void {
  const lab = program
    .command("lab")
    .summary("try L3SHIM out between namespaces of this machine")
    .description(
      "Builds hosts with two uplinks, their ISPs and a core in network namespaces, as root or in " +
        "a user namespace, and removes them again.",
    );
  addReportOptions(addLabOptions(lab.command("paper")))
    .summary("run the paper's experiment")
    .description(
      "Host a talks to host b by TCP, UDP and an ffmpeg stream; then a's first uplink fails: by " +
        "silent path loss, link down, address deleted. Prints a timeline and a table. Exit " +
        "status 1 when a session did not survive or data was damaged.",
    )
    .addOption(
      new Option(
        "--security <mode>",
        "on addresses without proof, as in the paper, or on those that the daemons make",
      )
        .choices(["unverified", "verified"])
        .default("unverified"),
    )
    .action((options: PaperCommandOptions) =>
      withPrivilege(() => experiment(options, (timeline) => runPaper(options, timeline))),
    );
  addReportOptions(addSendTimeout(lab.command("home")))
    .summary("a home with two ISPs, nothing configured")
    .description(
      "Host a, with two ISPs, talks to server b, with two others; addresses and routers come from " +
        "radvd on the ISPs' routers. Then a's first ISP fails: beyond its router, its router, the " +
        "cable, its prefix withdrawn or renumbered, both ISPs at once; and it comes back. Prints a " +
        "timeline and a table of interruptions. Exit status 1 when a session did not survive.",
    )
    .action((options: ReportOptions) =>
      withPrivilege(() =>
        experiment(options, (timeline) => runHome(options.sendTimeout, timeline)),
      ),
    );
  addLabOptions(lab.command("shell"))
    .summary("a shell in the paper's network")
    .description(
      'Starts a shell in which each host and router is a command: "a ping -6 2001:db8:1:b::1" ' +
        'runs ping on host a, "a l3shim contexts" asks its daemon, "a ip link set isp1 down" ' +
        'takes its uplink away, "a" is a shell there. Nodes: a, b, c, isp1, isp2, core.',
    )
    .option(
      "--web <port>",
      "show the hosts' dashboards on this port of 127.0.0.1, as root",
      parsePort,
    )
    .action((options: ShellOptions) => withPrivilege(() => shell(options)));
  lab
    .command("clean")
    .summary("remove what crashed labs left behind")
    .description("Removes the namespaces of labs whose process has gone, and what runs in them.")
    .option("--force", "those of running labs too", false)
    .action((options: { force: boolean }) => withPrivilege(() => clean(options.force)));
}

function addLabOptions(command: Command): Command {
  return addSendTimeout(command).option("--no-shim", "run no daemons: what plain IPv6 does");
}

function addSendTimeout(command: Command): Command {
  return command.option(
    "--send-timeout <seconds>",
    "Send Timeout of the daemons, 1 to 100",
    parseTimeout,
    10,
  );
}

function addReportOptions(command: Command): Command {
  return command
    .option("--report <file>", "write an HTML page with throughput and messages over time")
    .option("--json", "print the results as JSON; the timeline goes to standard error", false);
}

function parseTimeout(text: string): number {
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 100) {
    throw new InvalidArgumentError("It must be a whole number from 1 to 100.");
  }
  return seconds;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError("It must be a whole number from 1 to 65535.");
  }
  return port;
}

async function shell({ web, ...options }: ShellOptions): Promise<number> {
  if (web === undefined) return runShell(options);
  const server = await listen(web);
  const onStarted = (sockets: ReadonlyMap<string, string>) => {
    server.show(sockets);
    print(`The hosts' dashboards: ${server.url}`);
  };
  try {
    return await runShell({ ...options, onStarted });
  } finally {
    await server.close();
  }
}

async function listen(port: number): Promise<HostsServer> {
  try {
    return await HostsServer.listen(port);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const problem = `cannot serve dashboards on port ${port}: ${code ?? message}`;
    throw new LabError(`${problem}; choose another with --web`, { cause });
  }
}

async function withPrivilege(action: () => Promise<number>): Promise<void> {
  const run = isPrivileged() ? action : rerunInUserNamespace;
  process.exitCode = await run().catch(explain);
}

/** What the lab ran into is a message for the user; anything else is a fault of ours. */
function explain(error: unknown): never {
  if (!(error instanceof LabError)) throw error;
  throw new CommandError(error.message, EXIT.failed, { cause: error });
}

/** Runs experiments and prints what came of them. */
async function experiment(
  { report, json, sendTimeout }: ReportOptions,
  perform: (timeline: Timeline) => Promise<FailureRun[]>,
): Promise<number> {
  const tell = json ? (line: string) => void process.stderr.write(`${line}\n`) : print;
  const runs = await perform(new Timeline(tell));
  const reply = labReply(runs);
  const { problems } = reply;
  if (report !== undefined) await writeFile(report, renderReport(runs, sendTimeout));
  if (json) printJson(reply);
  else print(`\n${formatTable(runs)}`);
  for (const problem of problems) tell(`PROBLEM: ${problem}`);
  if (report !== undefined) tell(`\nReport: ${report}`);
  return problems.length === 0 ? EXIT.done : EXIT.failed;
}

/** What is printed as JSON. */
export interface LabReply extends Reply {
  /** What is not as it should be. */
  readonly problems: readonly string[];
  readonly runs: readonly RunSummary[];
}

export function labReply(runs: readonly FailureRun[]): LabReply {
  return {
    schemaVersion: SCHEMA_VERSION,
    problems: runs.flatMap(problemsOf),
    runs: runs.map(summarize),
  };
}

/** A run without its raw records. */
interface RunSummary extends Pick<FailureRun, "title" | "failure" | "measurements"> {
  readonly failedAt: string;
  /** `null` where the run has none. */
  readonly newSession: SessionSummary | null;
}

type SessionSummary = Omit<NewSession, "flow"> & Pick<NewSession["flow"], "bytes" | "damage">;

function summarize({ title, failure, failedAt, measurements, newSession }: FailureRun): RunSummary {
  return {
    ...{ title, failure, failedAt: new Date(failedAt).toISOString(), measurements },
    newSession: newSession === undefined ? null : summarizeSession(newSession),
  };
}

function summarizeSession({ flow, ...session }: NewSession): SessionSummary {
  return { ...session, bytes: flow.bytes, damage: flow.damage };
}

async function clean(force: boolean): Promise<number> {
  const removed = await removeLeftovers(force);
  print(removed.length === 0 ? "Nothing was left behind." : `Removed ${removed.join(", ")}.`);
  return EXIT.done;
}
