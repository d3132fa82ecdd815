import { spawn } from "node:child_process";
import { once } from "node:events";

/** A command failed. `notInstalled` when there is no such command. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly notInstalled: boolean;

  constructor(message: string, notInstalled: boolean, options?: ErrorOptions) {
    super(message, options);
    this.notInstalled = notInstalled;
  }
}

/**
 * Runs a command to its end with `input` on its standard input; its standard output. Rejects
 * with CommandFailure when it cannot be started or exits with another code than 0.
 */
export type RunCommand = (argv: readonly string[], input: string) => Promise<string>;

export const runCommand: RunCommand = async (argv, input) => {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, { stdio: "pipe" });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  // A command that fails early closes its input: what it says is in its exit code.
  child.stdin.on("error", () => undefined).end(input);
  const [code] = (await once(child, "close").catch((cause: unknown) => {
    const notInstalled = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = notInstalled ? "is not installed" : `cannot be run: ${String(cause)}`;
    throw new CommandFailure(`"${file}" ${reason}`, notInstalled, { cause });
  })) as [number | null];
  if (code === 0) return stdout;
  const said = stderr.trim() || stdout.trim() || "nothing";
  throw new CommandFailure(`"${argv.join(" ")}" failed with code ${code}, saying: ${said}`, false);
};
