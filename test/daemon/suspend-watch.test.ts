import { expect, test } from "vitest";
import { SuspendWatch } from "../../src/daemon/suspend-watch.ts";
import { VirtualClock } from "./fakes.ts";

function watched() {
  const clock = new VirtualClock();
  const slept: number[] = [];
  const watch = new SuspendWatch(
    clock,
    () => clock.bootTime(),
    (span) => slept.push(span),
  );
  watch.start();
  return { clock, slept, watch };
}

test("a sleep is noticed within a second of its end, once", () => {
  const { clock, slept } = watched();
  clock.advance(10_500);
  clock.sleep(3_600_000);
  clock.advance(1_000);
  expect(slept).toEqual([3_600_000]);
  clock.advance(60_000);
  expect(slept).toHaveLength(1);
});

test("clocks that differ by their grain are no sleep, nor is time before the start", () => {
  const { clock, slept, watch } = watched();
  clock.sleep(1_900);
  clock.advance(5_000);
  watch.stop();
  clock.sleep(60_000);
  watch.start();
  clock.advance(5_000);
  expect(slept).toEqual([]);
});

test("nothing is looked at after the end", () => {
  const { clock, watch } = watched();
  watch.stop();
  expect(clock.timers.size).toBe(0);
});
