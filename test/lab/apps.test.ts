import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeDatagram, encodeDatagram } from "../../src/lab/apps/datagram.ts";
import { SeededData } from "../../src/lab/apps/seeded-data.ts";
import { SequenceTracker } from "../../src/lab/apps/sequence-tracker.ts";
import { TransportStreamChecker } from "../../src/lab/apps/transport-stream.ts";

describe("datagrams", () => {
  test("any number comes back from its datagram", () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (number) => {
        expect(decodeDatagram(encodeDatagram(number))).toBe(number);
      }),
    );
  });

  test("one changed octet anywhere makes it corrupt", () => {
    fc.assert(
      fc.property(
        fc.nat(0xffff_ffff),
        fc.nat(159),
        fc.integer({ min: 1, max: 255 }),
        (n, at, by) => {
          const datagram = encodeDatagram(n);
          datagram[at] = (datagram[at] ?? 0) ^ by;
          expect(decodeDatagram(datagram)).toBeUndefined();
        },
      ),
    );
  });

  test("one of another length is corrupt", () => {
    expect(decodeDatagram(encodeDatagram(1).subarray(1))).toBeUndefined();
  });
});

describe("the sequence of datagrams", () => {
  function track(...numbers: number[]) {
    const tracker = new SequenceTracker();
    return { skipped: numbers.map((number) => tracker.record(number)), ...tracker.summary() };
  }

  test("in order nothing is missing", () => {
    expect(track(0, 1, 2)).toMatchObject({ received: 3, lost: 0, duplicates: 0, reordered: 0 });
  });

  test("a jump counts what it skipped", () => {
    expect(track(0, 1, 5)).toMatchObject({ skipped: [0, 0, 3], lost: 3 });
  });

  test("a late one is reordered, not lost", () => {
    expect(track(0, 2, 1)).toMatchObject({ lost: 0, reordered: 1, duplicates: 0 });
  });

  test("a second copy is a duplicate, of a late one too", () => {
    expect(track(0, 2, 1, 1, 2)).toMatchObject({ lost: 0, reordered: 1, duplicates: 2 });
  });

  test("each number counts once, whatever the order and the copies", () => {
    const numbers = fc.array(fc.nat(40), { minLength: 1 });
    fc.assert(
      fc.property(numbers, (list) => {
        const { received, duplicates, lost, reordered } = track(...[0, ...list]);
        const distinct = new Set([0, ...list]).size;
        expect(received - duplicates).toBe(distinct);
        expect(lost).toBe(Math.max(0, ...list) + 1 - distinct);
        expect(reordered).toBeLessThanOrEqual(distinct);
      }),
    );
  });
});

describe("the MPEG-TS checker", () => {
  const PAYLOAD = 0x10;
  const ADAPTATION = 0x20;

  function packet(pid: number, counter: number, control = PAYLOAD, ...more: number[]): Buffer {
    const bytes = Buffer.alloc(188, 0xff);
    bytes.set([0x47, pid >> 8, pid & 0xff, control | counter, ...more]);
    return bytes;
  }

  function check(...packets: Buffer[]) {
    const checker = new TransportStreamChecker();
    checker.record(Buffer.concat(packets), 0);
    return checker.summary();
  }

  test("counters that go on modulo 16 in each PID are in order", () => {
    const packets = [
      packet(256, 14),
      packet(257, 3),
      packet(256, 15),
      packet(257, 4),
      packet(256, 0),
    ];
    expect(check(...packets)).toEqual({ packets: 5, discontinuities: 0, corrupt: 0 });
  });

  test("a skipped packet is a discontinuity", () => {
    expect(check(packet(256, 1), packet(256, 3)).discontinuities).toBe(1);
  });

  test("a jump is dated from the last packet of its own PID", () => {
    const checker = new TransportStreamChecker();
    checker.record(Buffer.concat([packet(256, 1), packet(17, 1)]), 100);
    checker.record(packet(256, 2), 200);
    expect(checker.record(packet(17, 4), 300)).toEqual([100]);
  });

  test("a packet without payload does not count on", () => {
    const noPayload = packet(256, 1, ADAPTATION, 1, 0);
    expect(check(packet(256, 1), noPayload, packet(256, 2)).discontinuities).toBe(0);
  });

  test("an announced discontinuity is none", () => {
    const announced = packet(256, 9, PAYLOAD | ADAPTATION, 1, 0x80);
    expect(check(packet(256, 1), announced, packet(256, 10)).discontinuities).toBe(0);
  });

  test("null packets have no order", () => {
    expect(check(packet(0x1fff, 1), packet(0x1fff, 7)).discontinuities).toBe(0);
  });

  test("a packet without sync octet or cut short is corrupt", () => {
    const unsynced = packet(256, 2);
    unsynced[0] = 0;
    expect(check(packet(256, 1), unsynced, packet(256, 2).subarray(0, 100)).corrupt).toBe(2);
  });
});

test("seeded data is the same however it is cut, and another for another seed", () => {
  const whole = new SeededData("a").next(1000);
  const parts = new SeededData("a");
  expect(Buffer.concat([parts.next(1), parts.next(998), parts.next(1)])).toEqual(whole);
  expect(new SeededData("b").next(1000)).not.toEqual(whole);
});
