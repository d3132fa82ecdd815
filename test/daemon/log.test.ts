import { type Logger, pino } from "pino";
import { expect, test } from "vitest";
import type { ContextMonitorEvent } from "../../src/daemon/api.ts";
import { formatLogLine, formatted, type LogFormat, logContextEvent } from "../../src/daemon/log.ts";

test("a log line becomes text: time, level, message, fields", () => {
  const line =
    '{"level":40,"time":"2026-01-01T12:00:01.123Z","code":"x","n":[1,2],"msg":"look at this"}';
  expect(formatLogLine(line)).toBe("12:00:01.123 warn  look at this code=x n=[1,2]");
});

const LINE = '{"level":50,"time":"2026-01-01T12:00:01.123Z","tag":"x","msg":"broken\\n  at y"}\n';

test.each<[LogFormat, string]>([
  ["json", LINE],
  ["terminal", "12:00:01.123 error broken\n  at y tag=x\n"],
  ["journal", "<3>broken\n<3>  at y tag=x\n"],
  ["journal-json", `<3>${LINE}`],
])("what goes to %s is %j", (format, text) => {
  const written: string[] = [];
  formatted({ write: (line) => written.push(line) }, format).write(LINE);
  expect(written).toEqual([text]);
});

test("every level has its priority in the journal", () => {
  const written: string[] = [];
  const log = pino(
    { level: "trace" },
    formatted({ write: (text) => written.push(text) }, "journal"),
  );
  for (const level of ["fatal", "error", "warn", "info", "debug", "trace"] as const) {
    log[level](level);
  }
  expect(written.map((text) => text.slice(0, 3))).toEqual([
    "<2>",
    "<3>",
    "<4>",
    "<6>",
    "<7>",
    "<7>",
  ]);
});

test.each([
  ["established", "info"],
  ["failed", "debug"],
])("the event %s is for the audience of %s", (name, level) => {
  const lines: Record<string, unknown>[] = [];
  const log: Logger = pino(
    { level: "debug", base: null },
    { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const event = { event: name, context: "00000000000a" } as ContextMonitorEvent;
  logContextEvent(log, event);
  expect(lines).toEqual([
    {
      level: pino.levels.values[level],
      time: expect.any(Number),
      context: "00000000000a",
      msg: `context ${name}`,
    },
  ]);
});
