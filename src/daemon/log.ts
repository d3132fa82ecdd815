import { type Logger, pino } from "pino";
import type { MonitorEvent } from "./api.ts";
import type { DaemonConfig } from "./config/config.ts";

export type { Logger };

/**
 * The daemon's log on standard error: JSON for programs, one line of text for a terminal.
 *
 * A level is an audience. error: the operator, now (the daemon stops, or lost something).
 * warn: the operator, some time (something needs a look, the shim goes on). info: who wonders
 * what the shim did (contexts, switches, locators). debug: who looks into a peer (every control
 * message). trace: who looks into l3shim.
 */
export function createLog(level: DaemonConfig["logLevel"], json: boolean): Logger {
  const options = { level, base: null, timestamp: isoTimestamp };
  const text = process.stderr.isTTY && !json;
  return pino(options, text ? { write: writeText } : pino.destination({ dest: 2, sync: true }));
}

/** Peers without Shim6 are the rule, so that a failure to establish interests few. */
export function logContextEvent(log: Logger, event: MonitorEvent): void {
  const { event: name, time: _time, ...details } = event;
  if (name === "failed") log.debug(details, "context failed");
  else log.info(details, `context ${name}`);
}

function isoTimestamp(): string {
  return `,"time":"${new Date().toISOString()}"`;
}

function writeText(line: string): void {
  process.stderr.write(`${formatLogLine(line)}\n`);
}

/** A JSON log line as text: "12:00:01.123 warn  message key=value". */
export function formatLogLine(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const name = (pino.levels.labels[Number(level)] ?? "").padEnd(5);
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${formatValue(value)}`);
  return [clock, name, msg, ...rest].join(" ").trimEnd();
}

function formatValue(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
