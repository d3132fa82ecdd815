import { fstatSync } from "node:fs";
import { type DestinationStream, type Logger, pino } from "pino";
import type { ContextMonitorEvent } from "./api.ts";
import type { DaemonConfig } from "./config/config.ts";

export type { Logger };

/** Where the log goes: a program that reads JSON, a person, or the journal. */
export type LogFormat = "json" | "terminal" | "journal" | "journal-json";

/**
 * The daemon's log on standard error: JSON for programs, one line of text for a terminal or
 * systemd's journal.
 *
 * A level is an audience. error: the operator, now (the daemon stops, or lost something).
 * warn: the operator, some time (something needs a look, the shim goes on). info: who wonders
 * what the shim did (contexts, switches, locators). debug: who looks into a peer (every control
 * message). trace: who looks into l3shim.
 */
export function createLog(level: DaemonConfig["logLevel"], json: boolean): Logger {
  const options = { level, base: null, timestamp: isoTimestamp };
  const standardError = pino.destination({ dest: STANDARD_ERROR, sync: true });
  return pino(options, formatted(standardError, logFormat(json)));
}

function logFormat(json: boolean): LogFormat {
  if (isJournal(process.env.JOURNAL_STREAM)) return json ? "journal-json" : "journal";
  return process.stderr.isTTY && !json ? "terminal" : "json";
}

/** @param stream device and inode of what leads to the journal (systemd.exec(5)) */
function isJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(STANDARD_ERROR);
  return stream === `${dev}:${ino}`;
}

/** Gets JSON lines, and passes them on as `format` says. */
export function formatted(
  destination: Pick<DestinationStream, "write">,
  format: LogFormat,
): DestinationStream {
  return { write: (line) => destination.write(FORMATS[format](line)) };
}

/** Peers without Shim6 are the rule, so that a failure to establish interests few. */
export function logContextEvent(log: Logger, event: ContextMonitorEvent): void {
  const { event: name, ...details } = event;
  if (name === "failed") log.debug(details, "context failed");
  else log.info(details, `context ${name}`);
}

function isoTimestamp(): string {
  return `,"time":"${new Date().toISOString()}"`;
}

const STANDARD_ERROR = 2;

const FORMATS: Readonly<Record<LogFormat, (line: string) => string>> = {
  json: (line) => line,
  terminal: (line) => `${formatLogLine(line)}\n`,
  journal: (line) => ranked(line, formatMessage(JSON.parse(line) as LogLine)),
  "journal-json": (line) => ranked(line, line),
};

interface LogLine extends Record<string, unknown> {
  readonly level?: unknown;
  readonly time?: unknown;
  readonly msg?: unknown;
}

/** What stands before each line says how the journal is to rank it (sd-daemon(3)). */
function ranked(line: string, text: string): string {
  const { level } = JSON.parse(line) as LogLine;
  const prefix = `<${PRIORITIES[pino.levels.labels[Number(level)] ?? "info"]}>`;
  return `${prefix}${text.trimEnd().replaceAll("\n", `\n${prefix}`)}\n`;
}

const PRIORITIES: Readonly<Record<string, number>> = {
  fatal: 2,
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
  trace: 7,
};

/** A JSON log line as text: "12:00:01.123 warn  message key=value". */
export function formatLogLine(line: string): string {
  const parsed = JSON.parse(line) as LogLine;
  const clock = String(parsed.time).slice(11, 23);
  const name = (pino.levels.labels[Number(parsed.level)] ?? "").padEnd(5);
  return `${clock} ${name} ${formatMessage(parsed)}`;
}

/** Without time and level, which the journal has itself. */
function formatMessage({ level: _level, time: _time, msg, ...fields }: LogLine): string {
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${formatValue(value)}`);
  return [msg, ...rest].join(" ").trimEnd();
}

function formatValue(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
