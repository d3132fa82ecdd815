import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { instant } from "../../src/core/time.ts";
import { inSeconds, isoTime, systemClock } from "../../src/daemon/clock.ts";
import { VirtualClock } from "./fakes.ts";

let now: number;

beforeEach(() => {
  vi.useFakeTimers();
  now = 5000;
});

afterEach(() => {
  vi.useRealTimers();
});

/** Both clocks move on together. */
function advance(span: number): void {
  now += span;
  vi.advanceTimersByTime(span);
}

function scheduleAt(at: number) {
  const clock = systemClock(() => instant(now));
  const fired = vi.fn<() => void>();
  return { fired, cancel: clock.schedule(instant(at), fired) };
}

test("a callback comes once, when its time has come", () => {
  const { fired } = scheduleAt(5100);
  advance(99);
  expect(fired).not.toHaveBeenCalled();
  advance(1);
  advance(1000);
  expect(fired).toHaveBeenCalledTimes(1);
});

test("a deadline in the past comes with the next turn, not within the call", () => {
  const { fired } = scheduleAt(4000);
  expect(fired).not.toHaveBeenCalled();
  advance(1);
  expect(fired).toHaveBeenCalledTimes(1);
});

test("a timer that fires early waits for the rest", () => {
  const { fired } = scheduleAt(5100);
  vi.advanceTimersByTime(100);
  expect(fired).not.toHaveBeenCalled();
  advance(100);
  expect(fired).toHaveBeenCalledTimes(1);
});

test("a deadline beyond what setTimeout can hold comes in its time", () => {
  const month = 30 * 86_400_000;
  const { fired } = scheduleAt(5000 + month);
  advance(2 ** 31);
  expect(fired).not.toHaveBeenCalled();
  advance(month - 2 ** 31);
  expect(fired).toHaveBeenCalledTimes(1);
});

test("a cancelled callback never comes", () => {
  const { fired, cancel } = scheduleAt(5100);
  cancel();
  advance(1000);
  expect(fired).not.toHaveBeenCalled();
});

test("an instant is shown in wall-clock time", () => {
  const clock = new VirtualClock();
  const before = clock.now();
  clock.advance(1500);
  expect(isoTime(clock, before)).toBe("1970-01-01T00:00:00.000Z");
  expect(isoTime(clock, clock.now())).toBe("1970-01-01T00:00:01.500Z");
});

test("spans are rounded to the microsecond", () => {
  expect(inSeconds(19.670371000189334)).toBe(0.01967);
  expect(inSeconds(1500)).toBe(1.5);
});
