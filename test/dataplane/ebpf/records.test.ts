import { beforeEach, expect, test } from "vitest";
import { TrafficRecords } from "../../../src/dataplane/ebpf/records.ts";

const LENGTH = 128;
let memory: Uint8Array;
let records: TrafficRecords;

beforeEach(() => {
  memory = new Uint8Array(3 * LENGTH);
  records = new TrafficRecords(memory);
});

/** As the kernel writes it: at an offset of record 1. */
function write(at: number, value: bigint): void {
  new DataView(memory.buffer).setBigUint64(LENGTH + at, value, true);
}

function fill(): void {
  for (const [at, value] of [
    [0, 4_000_000n],
    [8, 3_000_000n],
    [16, 7n],
    [24, 2n ** 40n],
    [64, 2_500_000n],
    [72, 1n],
    [80, 5n],
    [88, 600n],
  ] as const) {
    write(at, value);
  }
}

test("there are as many as the memory holds", () => {
  expect(records.capacity).toBe(3);
});

test("instants are milliseconds, and 0 is never", () => {
  fill();
  expect(records.snapshot(1)).toEqual({
    ...{ lastOut: 4, lastIn: 2.5, firstUnansweredOut: 3, firstUnansweredIn: undefined },
    ...{ packetsOut: 7, packetsIn: 5, bytesOut: 2 ** 40, bytesIn: 600 },
  });
  expect(records.snapshot(0)).toMatchObject({ lastOut: undefined, firstUnansweredIn: undefined });
});

test("what came first is unanswered until something goes the other way", () => {
  fill();
  write(72, 4_000_001n);
  expect(records.snapshot(1).firstUnansweredIn).toBe(4.000001);
  write(72, 4_000_000n);
  expect(records.snapshot(1).firstUnansweredIn).toBeUndefined();
});

test("a mark answers one direction, and nothing else changes", () => {
  fill();
  const before = records.snapshot(1);
  records.mark(1, "out");
  expect(records.snapshot(1)).toEqual({ ...before, firstUnansweredOut: undefined });
  records.mark(1, "in");
  const unanswered = { firstUnansweredOut: undefined, firstUnansweredIn: undefined };
  expect(records.snapshot(1)).toEqual({ ...before, ...unanswered });
});

test("flags are the kernel's bits, and touch no other record", () => {
  records.setFlags(1, { watched: true, withholding: true });
  expect([memory[32], memory[LENGTH + 32], memory[2 * LENGTH + 32]]).toEqual([0, 3, 0]);
  records.setFlags(1, { watched: false, withholding: true });
  expect(memory[LENGTH + 32]).toBe(2);
  records.setFlags(1, { watched: true, withholding: false });
  expect(memory[LENGTH + 32]).toBe(1);
});

test("what is awaited is a word of its own, and the flags may change beside it", () => {
  records.setFlags(1, { watched: true, withholding: false });
  records.await(1);
  const words = (slot: number) => [...new Int32Array(memory.buffer, slot * LENGTH + 32, 2)];
  expect([words(0), words(1), words(2)]).toEqual([
    [0, 0],
    [1, 1],
    [0, 0],
  ]);
  records.setFlags(1, { watched: false, withholding: false });
  expect(words(1)).toEqual([0, 1]);
});

test("a reset leaves nothing of the context before, and the neighbours alone", () => {
  memory.fill(0xff);
  records.reset(1);
  expect(memory.subarray(LENGTH, 2 * LENGTH).every((octet) => octet === 0)).toBe(true);
  expect(memory[LENGTH - 1]).toBe(0xff);
  expect(memory[2 * LENGTH]).toBe(0xff);
});
