import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { rememberedDigest } from "../../../src/dataplane/ebpf/layout.ts";
import { TrafficRecords } from "../../../src/dataplane/ebpf/records.ts";
import { address } from "../../wire/support/arbitraries.ts";
import { ULIDS } from "./support/contexts.ts";

const LENGTH = 128;
const PROCESSORS = 3;
const SLOT = 1;
/** Fields of one way of a record, and of what a processor has seen of it. */
const OUT = { last: 0, recent: 8, first: 16, packets: 24, bytes: 32 };
const IN = { last: 64, recent: 72, first: 80, packets: 88, bytes: 96 };
const SEEN_OUT = { last: 64, packets: 80, bytes: 88 };
const SEEN_IN = { last: 96, packets: 112, bytes: 120 };

let memory: Uint8Array;
let remembered: Uint8Array;
let forgotten: number;
let records: TrafficRecords;

beforeEach(() => {
  memory = new Uint8Array(3 * LENGTH);
  remembered = new Uint8Array(PROCESSORS * 64 * LENGTH);
  forgotten = 0;
  records = new TrafficRecords({ records: memory, remembered, forget: () => forgotten++ });
  records.reset(SLOT, ULIDS);
  forgotten = 0;
});

/** As the kernel writes it: at an offset of the record, in milliseconds where it is an instant. */
function write(at: number, value: number): void {
  new DataView(memory.buffer).setBigUint64(SLOT * LENGTH + at, BigInt(value), true);
}

function placeOf(processor: number): number {
  return (64 * processor + rememberedDigest(ULIDS)) * LENGTH;
}

/** A processor remembers the pair. */
function remember(processor: number, slot = SLOT, incarnation = 1): void {
  const view = new DataView(remembered.buffer);
  view.setUint32(placeOf(processor) + 32, slot, true);
  view.setUint32(placeOf(processor) + 40, incarnation, true);
}

function see(processor: number, at: number, value: number): void {
  new DataView(remembered.buffer).setBigUint64(placeOf(processor) + at, BigInt(value), true);
}

function fill(): void {
  write(OUT.last, 4_000_000);
  write(OUT.first, 3_000_000);
  write(OUT.packets, 7);
  write(OUT.bytes, 2 ** 40);
  write(IN.last, 2_500_000);
  write(IN.first, 1);
  write(IN.packets, 5);
  write(IN.bytes, 600);
}

test("there are as many as the memory holds", () => {
  expect(records.capacity).toBe(3);
});

test("instants are milliseconds, and 0 is never", () => {
  fill();
  expect(records.snapshot(SLOT)).toEqual({
    ...{ lastOut: 4, lastIn: 2.5, firstUnansweredOut: 3, firstUnansweredIn: undefined },
    ...{ packetsOut: 7, packetsIn: 5, bytesOut: 2 ** 40, bytesIn: 600 },
  });
  expect(records.snapshot(0)).toMatchObject({ lastOut: undefined, firstUnansweredIn: undefined });
});

test("what came first is unanswered until something goes the other way", () => {
  fill();
  write(IN.first, 4_000_001);
  expect(records.snapshot(SLOT).firstUnansweredIn).toBe(4.000001);
  write(IN.first, 4_000_000);
  expect(records.snapshot(SLOT).firstUnansweredIn).toBeUndefined();
});

test("a mark answers one direction, until the next packet, and nothing else changes", () => {
  fill();
  const before = records.snapshot(SLOT);
  records.mark(SLOT, "out");
  expect(records.snapshot(SLOT)).toEqual({ ...before, firstUnansweredOut: undefined });
  records.mark(SLOT, "in");
  const unanswered = { firstUnansweredOut: undefined, firstUnansweredIn: undefined };
  expect(records.snapshot(SLOT)).toEqual({ ...before, ...unanswered });
  write(OUT.first, 5_000_000);
  expect(records.snapshot(SLOT).firstUnansweredOut).toBe(5);
});

test("flags are the kernel's bits, and touch no other record", () => {
  const flags = (slot: number) => memory[slot * LENGTH + 48];
  records.setFlags(SLOT, { watched: true, withholding: true });
  expect([flags(0), flags(1), flags(2)]).toEqual([0, 3, 0]);
  records.setFlags(SLOT, { watched: false, withholding: true });
  expect(flags(1)).toBe(2);
  records.setFlags(SLOT, { watched: true, withholding: false });
  expect(flags(1)).toBe(1);
});

test("what is awaited is a word of its own, and the flags may change beside it", () => {
  records.setFlags(SLOT, { watched: true, withholding: false });
  records.await(SLOT);
  const words = (slot: number) => [...new Int32Array(memory.buffer, slot * LENGTH + 48, 2)];
  expect([words(0), words(1), words(2)]).toEqual([
    [0, 0],
    [1, 1],
    [0, 0],
  ]);
  records.setFlags(SLOT, { watched: false, withholding: false });
  expect(words(1)).toEqual([0, 1]);
});

test("who wants to hear of single packets, or a new context, has the pairs forgotten", () => {
  records.setFlags(SLOT, { watched: false, withholding: true });
  expect(forgotten).toBe(0);
  records.setFlags(SLOT, { watched: true, withholding: true });
  expect(forgotten).toBe(1);
  records.await(SLOT);
  expect(forgotten).toBe(2);
  records.reset(SLOT, ULIDS);
  expect(forgotten).toBe(3);
});

test("a reset leaves nothing of the context before but its number, and the neighbours alone", () => {
  memory.fill(0xee);
  records.reset(SLOT, ULIDS);
  const record = memory.slice(LENGTH, 2 * LENGTH);
  expect([...record.subarray(56, 60)]).toEqual([0xef, 0xee, 0xee, 0xee]);
  record.fill(0, 56, 60);
  expect(record.every((octet) => octet === 0)).toBe(true);
  expect(memory[LENGTH - 1]).toBe(0xee);
  expect(memory[2 * LENGTH]).toBe(0xee);
});

describe("what processors have seen", () => {
  beforeEach(fill);

  test("is added to the record's counts, and its last packet may be later", () => {
    remember(0);
    see(0, SEEN_OUT.last, 9_000_000);
    see(0, SEEN_OUT.packets, 2);
    see(0, SEEN_OUT.bytes, 200);
    remember(2);
    see(2, SEEN_OUT.last, 3_500_000);
    see(2, SEEN_OUT.packets, 1);
    see(2, SEEN_OUT.bytes, 40);
    see(2, SEEN_IN.last, 3_900_000);
    see(2, SEEN_IN.packets, 3);
    see(2, SEEN_IN.bytes, 180);
    expect(records.snapshot(SLOT)).toEqual({
      ...{ lastOut: 9, lastIn: 3.9, firstUnansweredOut: 9, firstUnansweredIn: undefined },
      ...{ packetsOut: 10, packetsIn: 8, bytesOut: 2 ** 40 + 240, bytesIn: 780 },
    });
  });

  test("of another record, or of the one that this was, is not looked at", () => {
    const before = records.snapshot(SLOT);
    remember(0, SLOT + 1);
    remember(1, SLOT, 2);
    for (const processor of [0, 1]) {
      see(processor, SEEN_OUT.last, 9_000_000);
      see(processor, SEEN_OUT.packets, 2);
    }
    expect(records.snapshot(SLOT)).toEqual(before);
  });

  test("of a context that another daemon has begun is known to the one that adopts it", () => {
    const next = new TrafficRecords({ records: memory, remembered, forget: () => forgotten++ });
    remember(1);
    see(1, SEEN_IN.packets, 4);
    next.adopt(SLOT, ULIDS);
    expect(next.snapshot(SLOT).packetsIn).toBe(9);
  });

  test.each([
    { name: "the record's first packet", recent: 0, first: 3, seen: [4, 6], expected: 3 },
    {
      name: "a recent one after the last answer",
      recent: 2.75,
      first: 3,
      seen: [],
      expected: 2.75,
    },
    { name: "none before the last answer", recent: 2.4, first: 2.5, seen: [2.6, 9], expected: 2.6 },
    { name: "none at all", recent: 2.4, first: 2.5, seen: [1, 2], expected: undefined },
  ])("tells what is unanswered: $name", ({ recent, first, seen, expected }) => {
    write(OUT.recent, recent * 1e6);
    write(OUT.first, first * 1e6);
    for (const [processor, last] of seen.entries()) {
      remember(processor);
      see(processor, SEEN_OUT.last, last * 1e6);
    }
    expect(records.snapshot(SLOT).firstUnansweredOut).toBe(expected);
  });
});

test("a digest names one of a processor's places", () => {
  fc.assert(
    fc.property(address, address, (local, peer) => {
      const digest = rememberedDigest({ local, peer });
      expect(digest).toBeGreaterThanOrEqual(0);
      expect(digest).toBeLessThan(64);
    }),
  );
});
