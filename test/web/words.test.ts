import { expect, test } from "vitest";
import type { PathStatus } from "../../src/daemon/api.ts";
import {
  formatCountdown,
  formatRate,
  formatWhy,
  shorten,
  standingOf,
} from "../../web/src/model/words.ts";
import { contextOf } from "./contexts.ts";

test.each([
  [{ state: "ESTABLISHED", reapState: "Operational" }, "Operational", "good"],
  [{ state: "ESTABLISHED", reapState: "Exploring" }, "Exploring", "bad"],
  [{ state: "ESTABLISHED", reapState: "InboundOk" }, "InboundOk", "busy"],
  [{ state: "I1-SENT", reapState: null }, "I1-SENT", "busy"],
  [{ state: "NO-SUPPORT", reapState: null }, "NO-SUPPORT", "idle"],
] as const)("%j stands as %s", (context, word, tone) => {
  expect(standingOf(context)).toEqual({ word, tone });
});

test("why payload takes its path: the cause, what that was because of, and the pin", () => {
  const path: PathStatus = {
    ...{ since: "2026-01-01T00:00:00.000Z", from: null, exploration: null },
    ...{ cause: "exploration", because: "send-timeout" },
  };
  expect(formatWhy(contextOf())).toBe("the path it began on");
  expect(formatWhy(contextOf({ path, pin: "strict" }))).toBe(
    "found by an exploration: nothing came back within the Send Timeout; pinned",
  );
  expect(formatWhy(contextOf({ path: null }))).toBe("not established");
});

test("a countdown ends with now", () => {
  const now = Date.parse("2026-01-01T00:00:00.000Z");
  expect(formatCountdown("2026-01-01T00:00:02.500Z", now)).toBe("2.5 s");
  expect(formatCountdown("2025-12-31T23:59:59.000Z", now)).toBe("now");
});

test.each([
  [0, "0 bit/s"],
  [12.4, "99 bit/s"],
  [12_345, "98.8 kbit/s"],
  [1_250_000, "10.0 Mbit/s"],
  [125_000_000_000, "1000 Gbit/s"],
])("%d octets a second are %s", (bytes, text) => {
  expect(formatRate(bytes)).toBe(text);
});

test("a long address loses its middle, a short one nothing", () => {
  expect(shorten("2001:db8:1:a:3c5f:8a21:77bd:1e02")).toBe("2001:db8:1:a:…:77bd:1e02");
  expect(shorten("2001:db8:1:a::1")).toBe("2001:db8:1:a::1");
});
