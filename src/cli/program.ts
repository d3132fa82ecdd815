import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { asCommandError, EXIT, type ExitStatus } from "./command.ts";
import { registerDaemon } from "./daemon.ts";

/** Runs one command line. @param args without node and script */
export async function runProgram(args: readonly string[]): Promise<ExitStatus> {
  try {
    const program = await buildProgram(args);
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    return explain(error);
  }
  return (process.exitCode as ExitStatus | undefined) ?? EXIT.done;
}

/** @param args the command line, to load no more than it needs; without it all commands are there */
export async function buildProgram(args?: readonly string[]): Promise<Command> {
  const program = new Command("l3shim")
    .description("Keeps IPv6 sessions alive when one of the host's uplinks dies (Shim6, REAP).")
    .version(packageVersion(), "-V, --version", "print the version")
    .addHelpText("after", EXIT_HELP)
    .showHelpAfterError("(l3shim --help lists the commands and options)")
    .exitOverride();
  const [first = "status"] = args ?? ["--help"];
  if (first !== "daemon") await registerClients(program);
  registerDaemon(program);
  if (!isThere(program, first)) await registerOthers(program);
  return program;
}

/** An option is that of the default command, unless it asks for help about all of them. */
function isThere({ commands }: Command, first: string): boolean {
  if (first.startsWith("-")) return first !== "--help" && first !== "-h";
  return commands.some((command) => command.name() === first);
}

/** Commands that ask a daemon. One that starts need not load them. */
async function registerClients(program: Command): Promise<void> {
  (await import("./status.ts")).registerStatus(program);
  (await import("./explain/command.ts")).registerExplain(program);
  (await import("./contexts.ts")).registerContexts(program);
  (await import("./forks.ts")).registerForks(program);
  (await import("./pairs.ts")).registerPairs(program);
  (await import("./send-timeout.ts")).registerSendTimeout(program);
  (await import("./locators.ts")).registerLocators(program);
  (await import("./check.ts")).registerCheck(program);
  (await import("./ping.ts")).registerPing(program);
  (await import("./drill.ts")).registerDrill(program);
  (await import("./capture.ts")).registerCapture(program);
  (await import("./monitor.ts")).registerMonitor(program);
  (await import("./report/command.ts")).registerReport(program);
}

/** Commands that ask no daemon. Loading them takes several times as long as the rest. */
async function registerOthers(program: Command): Promise<void> {
  (await import("./decode.ts")).registerDecode(program);
  (await import("./hba.ts")).registerHba(program);
  (await import("./cga.ts")).registerCga(program);
  (await import("./lab.ts")).registerLab(program);
  (await import("./replay.ts")).registerReplay(program);
  (await import("./sim.ts")).registerSim(program);
  (await import("./completion/command.ts")).registerCompletion(program);
}

const EXIT_HELP = `
Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 the check found problems.`;

/** Commander has already written what it complains about; ours are still to be written. */
function explain(error: unknown): ExitStatus {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const { message, status } = asCommandError(error);
  process.stderr.write(`l3shim: ${message}\n`);
  return status;
}

function packageVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
