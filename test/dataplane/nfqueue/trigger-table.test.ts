import { expect, test } from "vitest";
import { instant, seconds } from "../../../src/core/time.ts";
import { TriggerTable } from "../../../src/dataplane/nfqueue/trigger-table.ts";

function pair(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

/** Whether the pair crosses the trigger with this packet. */
function count(table: TriggerTable, now: number, octets: Uint8Array): boolean {
  return table.count(instant(now), octets, 0, 16) === "triggered";
}

test("a pair crosses the trigger with its packet of that number, and only once", () => {
  const table = new TriggerTable({ packets: 3, age: undefined });
  const crossed = Array.from({ length: 6 }, () => count(table, 0, pair(1)));
  expect(crossed).toEqual([false, false, true, false, false, false]);
});

test("a pair is acquainted with its eighth packet, if it has not crossed the trigger by then", () => {
  const milestones = (packets: number) => {
    const table = new TriggerTable({ packets, age: undefined });
    return Array.from({ length: 12 }, () => table.count(instant(0), pair(1), 0, 16));
  };
  const nothing = (length: number) => new Array<undefined>(length).fill(undefined);
  expect(milestones(10)).toEqual([
    ...nothing(7),
    "acquainted",
    undefined,
    "triggered",
    ...nothing(2),
  ]);
  expect(milestones(5)).toEqual([...nothing(4), "triggered", ...nothing(7)]);
});

test("an armed pair counts from zero", () => {
  const table = new TriggerTable({ packets: 2, age: undefined });
  for (let i = 0; i < 3; i++) count(table, 0, pair(1));
  table.arm(pair(1), 0, 16);
  expect([count(table, 0, pair(1)), count(table, 0, pair(1))]).toEqual([false, true]);
});

test("a pair that is seen for long enough crosses it with fewer packets", () => {
  const table = new TriggerTable({ packets: 50, age: seconds(10) });
  expect(count(table, 500, pair(1))).toBe(false);
  expect(count(table, 10_499, pair(1))).toBe(false);
  expect(count(table, 10_500, pair(1))).toBe(true);
});

test("with a trigger of one packet the first one crosses it", () => {
  expect(count(new TriggerTable({ packets: 1, age: undefined }), 0, pair(1))).toBe(true);
});

test("the table does not grow beyond its capacity, and forgets the oldest pair", () => {
  const table = new TriggerTable({ packets: 2, age: undefined }, 3);
  for (const number of [1, 2, 3, 4]) count(table, 0, pair(number));
  expect(table.size).toBe(3);
  expect(count(table, 0, pair(4))).toBe(true);
  expect(count(table, 0, pair(1))).toBe(false);
});
