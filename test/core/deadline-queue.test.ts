import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeadlineQueue } from "../../src/core/deadline-queue.ts";
import { type Instant, instant } from "../../src/core/time.ts";
import { heapInUse } from "../fuzz/heap.ts";

const END = instant(1_000_000_000);
const MEGABYTE = 2 ** 20;

describe("the queue of deadlines", () => {
  test("gives items in the order of their last deadlines, however often those move", () => {
    const moves = fc.array(fc.tuple(fc.nat(9), fc.option(fc.nat(50))), { maxLength: 400 });
    fc.assert(
      fc.property(moves, (steps) => {
        const queue = new DeadlineQueue<number>();
        const model = new Map<number, Instant>();
        for (const [item, at] of steps) {
          queue.set(item, at === null ? undefined : instant(at));
          if (at === null) model.delete(item);
          else model.set(item, instant(at));
        }
        const taken: number[] = [];
        for (let item = queue.popDue(END); item !== undefined; item = queue.popDue(END)) {
          taken.push(item);
        }
        expect(taken.map((item) => model.get(item))).toEqual([...model.values()].sort(ascending));
        expect(new Set(taken)).toEqual(new Set(model.keys()));
      }),
    );
  });

  test("keeps no memory for deadlines that have moved, though none has come", () => {
    const queue = new DeadlineQueue<string>();
    queue.set("hold-down", instant(1));
    const before = heapInUse();
    for (let at = 2; at < 500_000; at++) queue.set("probed", instant(at));
    expect(heapInUse() - before).toBeLessThan(MEGABYTE);
    expect(queue.popDue(END)).toBe("hold-down");
    expect(queue.popDue(END)).toBe("probed");
  });
});

function ascending(a: number, b: number): number {
  return a - b;
}
