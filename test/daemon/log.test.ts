import { type Logger, pino } from "pino";
import { expect, test } from "vitest";
import type { MonitorEvent } from "../../src/daemon/api.ts";
import { formatLogLine, logContextEvent } from "../../src/daemon/log.ts";

test("a log line becomes text: time, level, message, fields", () => {
  const line =
    '{"level":40,"time":"2026-01-01T12:00:01.123Z","code":"x","n":[1,2],"msg":"look at this"}';
  expect(formatLogLine(line)).toBe("12:00:01.123 warn  look at this code=x n=[1,2]");
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
  const event = { time: "t", event: name, context: "00000000000a" } as MonitorEvent;
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
