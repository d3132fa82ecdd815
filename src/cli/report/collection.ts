import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, release } from "node:os";
import { promisify } from "node:util";
import type { ControlClient } from "../../client/control-client.ts";
import { withoutComments } from "./redaction.ts";

/** What stands for something that could not be had. */
interface Missing {
  readonly unavailable: string;
}

export interface ReportSources {
  readonly client: ControlClient;
  readonly version: string;
  readonly configFile: string;
}

/** Read-only, and as any user: what L3SHIM has put into the host (docs/operations.md). */
const COMMANDS: readonly (readonly [string, ...string[]])[] = [
  ["ip", "-6", "rule"],
  ["ip", "-6", "route", "show", "table", "all", "proto", "140"],
  ["ip", "-6", "route", "show", "default"],
  ["ip", "-6", "address"],
  ["ip", "addrlabel"],
];

/** ms that a command may take. */
const PATIENCE = 5_000;

/** Everything that a developer asks for. What is not to be had says why. */
export async function collect({ client, version, configFile }: ReportSources) {
  const status = await attempt(() => client.status());
  return {
    l3shim: { version, node: process.version },
    system: {
      kernel: release(),
      architecture: arch(),
      distribution: readText("/etc/os-release", /^PRETTY_NAME="?([^"\n]*)/m),
      daemonCapabilities:
        "pid" in status ? readText(`/proc/${status.pid}/status`, /^CapEff:\s*(\w+)/m) : null,
    },
    config: { file: configFile, text: configText(configFile) },
    status,
    contexts: await attempt(async () => (await client.contexts()).contexts),
    locators: await attempt(async () => (await client.locators()).locators),
    history: await attempt(() => client.history()),
    check: await attempt(() => client.check()),
    metrics: await attempt(() => client.metrics()),
    commands: await Promise.all(
      COMMANDS.map(async ([program, ...args]) => ({
        command: [program, ...args].join(" "),
        output: await attempt(() => run(program, args)),
      })),
    ),
  };
}

async function attempt<Value>(action: () => Promise<Value>): Promise<Value | Missing> {
  try {
    return await action();
  } catch (error) {
    return { unavailable: (error as Error).message };
  }
}

async function run(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { timeout: PATIENCE });
  return stdout;
}

/** Its comments are its owner's: they may name anybody. */
function configText(file: string): string | Missing {
  const text = readText(file, /([\s\S]*)/) ?? "";
  return typeof text === "string" ? withoutComments(text) : text;
}

/** What the pattern's group finds in the file. */
function readText(file: string, pattern: RegExp): string | null | Missing {
  try {
    return pattern.exec(readFileSync(file, "utf8"))?.[1] ?? null;
  } catch (error) {
    return { unavailable: (error as Error).message };
  }
}
