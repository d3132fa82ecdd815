import type { Command } from "commander";
import { ControlError, type ControlProblem } from "../client/control-error.ts";
import { DEFAULT_SOCKET, type MonitorEvent, type Reply } from "../daemon/api.ts";

/** What the exit status says (docs/operations.md). */
export const EXIT = { done: 0, failed: 1, usage: 2, noDaemon: 3, problems: 4 } as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command with a message for the user and an exit status. */
export class CommandError extends Error {
  readonly status: ExitStatus;

  constructor(message: string, status: ExitStatus = EXIT.failed, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** What a command has thrown, for its user. @throws `error` itself when it is no message for users */
export function asCommandError(error: unknown): CommandError {
  if (error instanceof CommandError) return error;
  if (!(error instanceof ControlError)) throw error;
  const { problem, message } = error;
  const text = problem === "no-daemon" ? `${message} with --socket` : message;
  return new CommandError(text, STATUSES[problem] ?? EXIT.failed, { cause: error });
}

const STATUSES: Readonly<Partial<Record<ControlProblem, ExitStatus>>> = {
  "no-daemon": EXIT.noDaemon,
  stopped: EXIT.noDaemon,
  "bad-request": EXIT.usage,
};

/** The options that every command has. */
export interface CommonOptions {
  readonly json: boolean;
  readonly socket: string;
}

export function addCommonOptions(command: Command): Command {
  return command
    .option("--json", "print JSON for programs", false)
    .option("--socket <path>", "control socket of the daemon", DEFAULT_SOCKET);
}

/** One object on one line. */
export function printJson<Printed extends Reply | MonitorEvent>(reply: Printed): void {
  print(JSON.stringify(reply));
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
