import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { registerCheck } from "./check.ts";
import { asCommandError, EXIT, type ExitStatus } from "./command.ts";
import { registerContexts } from "./contexts.ts";
import { registerDaemon } from "./daemon.ts";
import { registerForks } from "./forks.ts";
import { registerLocators } from "./locators.ts";
import { registerMonitor } from "./monitor.ts";
import { registerPairs } from "./pairs.ts";
import { registerPing } from "./ping.ts";
import { registerSendTimeout } from "./send-timeout.ts";
import { registerStatus } from "./status.ts";

/** Runs one command line. @param args without node and script */
export async function runProgram(args: readonly string[]): Promise<ExitStatus> {
  try {
    const program = await buildProgram(args[0]);
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    return explain(error);
  }
  return (process.exitCode as ExitStatus | undefined) ?? EXIT.done;
}

/** @param first the first argument, which may be a command; without it all commands are there */
export async function buildProgram(first?: string): Promise<Command> {
  const program = new Command("l3shim")
    .description("Keeps IPv6 sessions alive when one of the host's uplinks dies (Shim6, REAP).")
    .version(packageVersion(), "-V, --version", "print the version")
    .addHelpText("after", EXIT_HELP)
    .showHelpAfterError("(l3shim --help lists the commands and options)")
    .exitOverride();
  registerStatus(program);
  registerContexts(program);
  registerForks(program);
  registerPairs(program);
  registerSendTimeout(program);
  registerLocators(program);
  registerCheck(program);
  registerPing(program);
  registerMonitor(program);
  registerDaemon(program);
  if (!program.commands.some((command) => command.name() === first)) await registerOthers(program);
  return program;
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
