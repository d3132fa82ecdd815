import { spawn } from "node:child_process";
import { once } from "node:events";

/** A command of the lab failed; the message names it, what it said and what to do. */
export class LabError extends Error {
  override readonly name = "LabError";
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code, feeding it `input`. */
export async function tryRun(argv: readonly string[], input = ""): Promise<CommandResult> {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  // A command that doesn't read its input closes the pipe: what it says is in its exit code.
  child.stdin.on("error", () => undefined).end(input);
  try {
    const [code] = (await once(child, "close")) as [number | null];
    return { code: code ?? 1, stdout, stderr };
  } catch (error) {
    throw missingCommand(file, error);
  }
}

/**
 * Runs a command and returns what it wrote.
 * @throws LabError when it can't be started or exits with another code than 0.
 */
export async function run(argv: readonly string[], input = ""): Promise<string> {
  const result = await tryRun(argv, input);
  if (result.code === 0) return result.stdout;
  const said = result.stderr.trim() || result.stdout.trim() || "nothing";
  throw new LabError(`"${argv.join(" ")}" failed with code ${result.code}, saying: ${said}`);
}

/** The command line that runs `argv` inside a network namespace. */
export function inNamespace(namespace: string, argv: readonly string[]): string[] {
  return ["ip", "netns", "exec", namespace, ...argv];
}

/** Runs `ip` commands in one process. */
export async function ipBatch(lines: readonly string[], options: readonly string[] = []) {
  await run(["ip", ...options, "-batch", "-"], `${lines.join("\n")}\n`);
}

/** The same, inside a namespace. */
export async function ipBatchIn(namespace: string, lines: readonly string[]): Promise<void> {
  await ipBatch(lines, ["-n", namespace]);
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Asks `check` every `interval` ms for `timeout` ms at most; what it says but undefined. */
export async function poll<Value>(
  check: () => Value | undefined | Promise<Value | undefined>,
  { timeout, interval = 20 }: { timeout: number; interval?: number },
): Promise<Value | undefined> {
  const end = performance.now() + timeout;
  for (;;) {
    const value = await check();
    if (value !== undefined || performance.now() > end) return value;
    await sleep(interval);
  }
}

/**
 * As {@link poll}.
 * @throws Error made by `timeoutError` when the time is over.
 */
export async function waitFor<Value>(
  check: () => Value | undefined | Promise<Value | undefined>,
  options: { timeout: number; interval?: number; timeoutError: () => Error },
): Promise<Value> {
  const value = await poll(check, options);
  if (value === undefined) throw options.timeoutError();
  return value;
}

function missingCommand(file: string, error: unknown): Error {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") return error as Error;
  return new LabError(`the lab needs the command "${file}": run scripts/setup to install it`);
}
