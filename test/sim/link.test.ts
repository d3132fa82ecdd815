import { expect, test } from "vitest";
import { after, instant, milliseconds } from "../../src/core/time.ts";
import { EventQueue } from "../../src/sim/event-queue.ts";
import { Link } from "../../src/sim/link.ts";
import { SimRandom } from "../../src/sim/random.ts";
import type { LinkModel } from "../../src/sim/scenario.ts";

const START = instant(5000);
const PACKETS = 20_000;

/** Delays in ms of packets sent a millisecond apart; one list for each packet's copies. */
function delays(model: LinkModel, packets = PACKETS): number[][] {
  const link = new Link(model, new SimRandom(7, "link"));
  return Array.from({ length: packets }, (_, i) => {
    const now = after(START, milliseconds(i));
    return link.transmit(now, 100).map((at) => at - now);
  });
}

function lossOf(copies: readonly number[][]): number {
  return copies.filter(({ length }) => length === 0).length / copies.length;
}

test("a plain link delivers each packet once, after its delay", () => {
  for (const copies of delays({ delay: 0.01 }, 100)) expect(copies).toEqual([10]);
});

test("independent loss takes its share", () => {
  expect(lossOf(delays({ delay: 0.01, loss: 0.2 }))).toBeCloseTo(0.2, 1);
});

test("bursty loss takes its share in runs", () => {
  const copies = delays({ delay: 0.01, burst: { enter: 0.01, leave: 0.09, loss: 1 } });
  const lost = copies.map(({ length }) => length === 0);
  const runs = lost.filter((now, i) => now && !lost[i - 1]).length;
  expect(lossOf(copies)).toBeCloseTo(0.1, 1);
  // Mean length 1 / leave; independent loss of a tenth would give 1.1.
  expect((lossOf(copies) * PACKETS) / runs).toBeGreaterThan(8);
});

test("duplication delivers its share twice", () => {
  const twice = delays({ delay: 0.01, duplicate: 0.1 }).filter(({ length }) => length === 2);
  expect(twice.length / PACKETS).toBeCloseTo(0.1, 1);
});

test("reordering holds its share back, so that later packets pass", () => {
  const copies = delays({ delay: 0.01, reorder: { share: 0.1, by: 0.05 } });
  const arrivals = copies.map(([delay = 0], i) => i + delay);
  const held = copies.filter(([delay = 0]) => delay > 10);
  expect(held.length / PACKETS).toBeCloseTo(0.1, 1);
  expect(Math.max(...copies.flat())).toBeLessThanOrEqual(60);
  expect(arrivals.some((at, i) => at < (arrivals[i - 1] ?? 0))).toBe(true);
});

test("a slow link makes packets wait, and drops those that would wait too long", () => {
  // 100 octets take 8 ms, and come every millisecond.
  const copies = delays({ delay: 0.01, rate: { bitsPerSecond: 100_000, queue: 0.05 } }, 200);
  expect(copies.slice(0, 3)).toEqual([[18], [25], [32]]);
  expect(lossOf(copies)).toBeGreaterThan(0.7);
  expect(Math.max(...copies.flat())).toBeLessThanOrEqual(50 + 8 + 10);
});

test("a failed link delivers nothing", () => {
  const link = new Link({ delay: 0.01 }, new SimRandom(7, "link"));
  link.failures = 1;
  expect(link.transmit(START, 100)).toEqual([]);
});

test("streams of one seed differ by name, and repeat", () => {
  const draw = (name: string): number[] => {
    const random = new SimRandom(3, name);
    return Array.from({ length: 5 }, () => random.unit());
  };
  expect(draw("a")).toEqual(draw("a"));
  expect(draw("a")).not.toEqual(draw("b"));
  expect([...draw("a"), ...draw("b")].every((value) => value >= 0 && value < 1)).toBe(true);
});

test("events run by time, and in the order of scheduling within an instant", () => {
  const queue = new EventQueue();
  const random = new SimRandom(1, "events");
  const ran: { at: number; order: number }[] = [];
  for (let order = 0; order < 500; order++) {
    const at = instant(random.index(20));
    queue.schedule(at, () => ran.push({ at, order }));
  }
  while (queue.nextAt !== undefined) queue.runNext();
  expect(ran).toHaveLength(500);
  expect(ran).toEqual([...ran].sort((a, b) => a.at - b.at || a.order - b.order));
});
