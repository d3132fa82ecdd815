import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { ControlClient } from "../../client/control-client.ts";
import { SCHEMA_VERSION } from "../../daemon/api.ts";
import {
  addCommonOptions,
  CommandError,
  type CommonOptions,
  EXIT,
  print,
  printJson,
} from "../command.ts";
import { formatBytes } from "../format.ts";
import { collect } from "./collection.ts";
import { Redaction } from "./redaction.ts";

interface ReportOptions extends CommonOptions {
  readonly output: string;
  readonly config: string;
  readonly keepAddresses: boolean;
}

/** What is printed as JSON. */
export interface ReportReply {
  readonly schemaVersion: typeof SCHEMA_VERSION;
  readonly file: string;
  /** Octets. */
  readonly size: number;
  /** Different ones that have got pseudonyms. */
  readonly redacted: { readonly addresses: number; readonly tags: number };
  /** What could not be had, and why. */
  readonly missing: readonly { readonly part: string; readonly reason: string }[];
}

/** `report`: what a developer needs to look into a fault. */
export function registerReport(program: Command): void {
  const command = program
    .command("report")
    .summary("write a file for a bug report")
    .description(
      "Writes version, configuration, state, history, counters and metrics of the daemon, and what it has " +
        "put into the host, into one JSON file for a bug report. Addresses and tags get pseudonyms; " +
        "keys and the configuration's comments are not in it.",
    )
    .option("-o, --output <file>", "where to write it; - for standard output", "l3shim-report.json")
    .option("--config <file>", "the daemon's configuration", "/etc/l3shim/config.toml")
    .option("--keep-addresses", "leave addresses as they are", false);
  addCommonOptions(command).action((options: ReportOptions) => run(program, options));
}

async function run(program: Command, options: ReportOptions): Promise<void> {
  const { output, socket, config, keepAddresses, json } = options;
  const version = program.version() ?? "";
  const found = await collect({ client: new ControlClient(socket), version, configFile: config });
  const redaction = new Redaction(keepAddresses);
  const { metrics, ...rest } = found;
  // Its figures may look like tags; it names neither peers nor tags.
  const body = { ...(redaction.apply(rest) as object), metrics };
  const redacted = redaction.counts;
  const stamp = { schemaVersion: SCHEMA_VERSION, at: new Date().toISOString(), redacted };
  const text = `${JSON.stringify({ ...stamp, ...body }, undefined, 1)}\n`;
  if (output === "-") return print(text.trimEnd());
  write(output, text);
  const size = Buffer.byteLength(text);
  const reply: ReportReply = {
    schemaVersion: SCHEMA_VERSION,
    file: output,
    size,
    redacted,
    missing: missingIn(found),
  };
  if (json) printJson(reply);
  else print(formatReply(reply, keepAddresses));
}

/** Readable by nobody else; never in place of another file. */
function write(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw notWritten(file, error as NodeJS.ErrnoException);
  }
}

function notWritten(file: string, cause: NodeJS.ErrnoException): CommandError {
  const reason = cause.code === "EEXIST" ? "it exists already" : cause.message;
  const text = `cannot write ${file}: ${reason}; name another file with -o`;
  return new CommandError(text, EXIT.failed, { cause });
}

/** @param part where the value is */
function missingIn(value: unknown, part = ""): ReportReply["missing"] {
  if (typeof value !== "object" || value === null) return [];
  if ("unavailable" in value) return [{ part, reason: String(value.unavailable) }];
  return Object.entries(value).flatMap(([name, item]) =>
    missingIn(item, part === "" ? name : `${part}.${name}`),
  );
}

function formatReply({ file, size, redacted, missing }: ReportReply, keeps: boolean): string {
  const addresses = keeps
    ? "Addresses are as they are: you asked for that."
    : `${redacted.addresses} addresses have pseudonyms, the same everywhere; IPv6 networks (/48, /64) can still be told apart.`;
  return [
    `${file}: ${formatBytes(size)}, to be read with any editor. Look through it before you send it.`,
    "In it: versions, kernel, capabilities, configuration without comments, status with counters and warnings, contexts, " +
      "locators, history, check, metrics, and the rules, routes, addresses and labels of this host (ip -6).",
    `${addresses} ${redacted.tags} context tags have pseudonyms. Keys, modifiers and packets are not in it.`,
    "As they are: names of interfaces and files, times, ports.",
    ...missing.map(({ part, reason }) => `Missing: ${part}: ${reason}`),
  ].join("\n");
}
