import { vi } from "vitest";
import type { ExitStatus } from "../../src/cli/command.ts";
import { runProgram } from "../../src/cli/program.ts";
import { checkPrinted } from "./json-schemas.ts";

export interface Run {
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line within this process. What --json prints is as docs/api says. */
export async function l3shim(...args: string[]): Promise<Run> {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const out = vi.spyOn(process.stdout, "write").mockImplementation(collect(stdout));
  const err = vi.spyOn(process.stderr, "write").mockImplementation(collect(stderr));
  try {
    const status = await runProgram(args);
    if (args.includes("--json")) checkPrinted(args, stdout.join(""));
    return { status, stdout: stdout.join(""), stderr: stderr.join("") };
  } finally {
    process.exitCode = undefined;
    out.mockRestore();
    err.mockRestore();
  }
}

function collect(chunks: string[]) {
  return (chunk: string | Uint8Array): boolean => {
    chunks.push(String(chunk));
    return true;
  };
}
