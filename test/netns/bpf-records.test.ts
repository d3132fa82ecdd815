import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { instant } from "../../src/core/time.ts";
import { TrafficRecord, type TrafficSnapshot } from "../../src/core/traffic.ts";
import { decodeEvent, encodePair, encodePairState } from "../../src/dataplane/ebpf/layout.ts";
import { openRingBuffer } from "../../src/linux/bpf-ring-buffer.ts";
import { addressFromBytes } from "../../src/wire/address.ts";
import { ipv6, upperLayer } from "../wire/support/packets.ts";
import {
  concat,
  hex,
  LOCAL_ULID,
  MAPPING,
  PEER_ULID,
  readdressed,
  ULIDS,
} from "./support/shim-packets.ts";
import { PASS, REDIRECT, ShimPrograms, SLOT } from "./support/shim-programs.ts";

const RUNS = { numRuns: 400 };
const UDP = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(17, new Uint8Array(20).fill(7))]);
const INBOUND = readdressed(UDP, PEER_ULID, LOCAL_ULID);
/** An echo request: neither TCP nor UDP. */
const ECHO = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(58, new Uint8Array(12).fill(128))]);
const INBOUND_ECHO = readdressed(ECHO, PEER_ULID, LOCAL_ULID);
/** Another peer with the same digest, which does not tell words apart. */
const OTHER_PEER = concat(...[0, 4, 12, 8].map((at) => PEER_ULID.subarray(at, at + 4)));

let programs: ShimPrograms;

beforeAll(() => {
  programs = new ShimPrograms();
});

beforeEach(() => {
  programs.kernel.records.reset(SLOT, ULIDS);
  programs.setMapping(MAPPING);
});

afterAll(() => programs.close());

describe("traffic is what the core's own record has, but for when it was first unanswered", () => {
  const records = () => programs.kernel.records;
  let reference: TrafficRecord;

  /** The same to the programs' record and to the core's, at the time that the former has. */
  const STEPS = {
    out: () => seeOut(UDP),
    in: () => seeIn(INBOUND),
    /** The programs' long way, which TCP and UDP of a remembered pair do not take. */
    echoOut: () => seeOut(ECHO),
    echoIn: () => seeIn(INBOUND_ECHO),
    markOut: () => {
      records().mark(SLOT, "out");
      reference.mark("out");
    },
    markIn: () => {
      records().mark(SLOT, "in");
      reference.mark("in");
    },
    /** More than an interval passes. */
    pass: () => {
      for (const end = performance.now() + 0.5; performance.now() < end; );
    },
    change: () => programs.kernel.pairsChanged(),
  } as const;
  const step = fc.constantFrom(...Object.values(STEPS));

  function seeOut(packet: Uint8Array): void {
    programs.run("uplink_out", packet);
    reference.out(records().snapshot(SLOT).lastOut ?? instant(0), packet.length);
  }

  function seeIn(packet: Uint8Array): void {
    programs.run("uplink_in", packet);
    reference.in(records().snapshot(SLOT).lastIn ?? instant(0), packet.length);
  }

  afterEach(() => programs.setTellingInterval(undefined));

  test.each([
    // Processors that tell of each packet are exact.
    { interval: 0, late: 0 },
    { interval: 20_000, late: 0.04 },
    { interval: 400_000, late: 0.8 },
  ])("with an interval of $interval ns, at most $late ms late", ({ interval, late }) => {
    programs.setTellingInterval(interval);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        records().reset(SLOT, ULIDS);
        programs.setMapping(undefined);
        reference = new TrafficRecord();
        for (const step of steps) {
          step();
          expectSame(records().snapshot(SLOT), reference.snapshot, late);
        }
      }),
      RUNS,
    );
  });

  function expectSame(found: TrafficSnapshot, expected: TrafficSnapshot, late: number): void {
    const { firstUnansweredOut, firstUnansweredIn, ...others } = expected;
    expect(found).toMatchObject(others);
    expectSoonAfter(found.firstUnansweredOut, firstUnansweredOut, late);
    expectSoonAfter(found.firstUnansweredIn, firstUnansweredIn, late);
  }

  function expectSoonAfter(
    found: number | undefined,
    expected: number | undefined,
    late: number,
  ): void {
    if (expected === undefined) expect(found).toBeUndefined();
    else expect((found ?? Number.NaN) - expected).toSatisfy((by) => by >= 0 && by <= late);
  }
});

describe("what is remembered of a pair", () => {
  const leaving = () => programs.run("uplink_out", UDP).returned;
  const counted = () => programs.kernel.records.snapshot(SLOT).packetsOut;

  beforeEach(() => {
    programs.setMapping(undefined);
    leaving();
  });

  test("is what the map had, until it is said to have changed", () => {
    programs.kernel.pairs.delete(encodePair(ULIDS));
    expect(leaving()).toBe(PASS);
    expect(counted()).toBe(2);
    programs.kernel.pairsChanged();
    expect(leaving()).toBe(PASS);
    expect(counted()).toBe(2);
  });

  test("goes with a mapping, and with forks", () => {
    programs.setMapping(MAPPING);
    expect(leaving()).toBe(REDIRECT);
    programs.setMapping(undefined);
    expect(leaving()).toBe(PASS);
    programs.setMapping(undefined, 1);
    expect(leaving()).toBe(REDIRECT);
  });

  test("is not taken for another pair's with the same digest", () => {
    expect(hex(OTHER_PEER)).not.toBe(hex(PEER_ULID));
    programs.run("uplink_out", readdressed(UDP, LOCAL_ULID, OTHER_PEER));
    programs.run("uplink_in", readdressed(UDP, OTHER_PEER, LOCAL_ULID));
    expect(programs.kernel.records.snapshot(SLOT)).toMatchObject({ packetsOut: 1, packetsIn: 0 });
    expect(leaving()).toBe(PASS);
    expect(counted()).toBe(2);
  });
});

describe("what a processor has seen of a pair that it remembers", () => {
  const SECOND = 1e9;
  const snapshot = (slot: number) => programs.kernel.records.snapshot(slot);

  beforeEach(() => {
    programs.setTellingInterval(SECOND);
    programs.setMapping(undefined);
  });

  afterEach(() => programs.setTellingInterval(undefined));

  test.each([
    { interval: SECOND, name: "when another pair finds its place taken" },
    { interval: 1, name: "when another pair takes its place, and when it comes back" },
  ])("is counted once, $name", ({ interval }) => {
    const ulids = { local: ULIDS.local, peer: addressFromBytes(OTHER_PEER, 0) };
    const state = { slot: SLOT + 1, mapping: undefined, forks: 0, plain: undefined };
    programs.setTellingInterval(interval);
    programs.kernel.pairs.update(
      encodePair(ulids),
      encodePairState({ ...state, peerUlid: ulids.peer }),
    );
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 10 }), (turns) => {
        programs.kernel.records.reset(SLOT, ULIDS);
        programs.kernel.records.reset(SLOT + 1, ulids);
        let last: number | undefined;
        for (const turn of turns) {
          const out = turn ? UDP : readdressed(UDP, LOCAL_ULID, OTHER_PEER);
          programs.run("uplink_out", out);
          programs.run("uplink_in", turn ? INBOUND : readdressed(UDP, OTHER_PEER, LOCAL_ULID));
          if (turn) last = programs.kernel.records.snapshot(SLOT).lastIn;
        }
        const [mine, others] = [SLOT, SLOT + 1].map(snapshot);
        const count = turns.filter(Boolean).length;
        expect(mine).toMatchObject({ packetsOut: count, packetsIn: count, lastIn: last });
        expect(mine?.bytesOut).toBe(count * UDP.length);
        expect(others).toMatchObject({
          packetsOut: turns.length - count,
          bytesIn: others?.bytesOut,
        });
      }),
      { numRuns: 100 },
    );
    programs.kernel.pairs.delete(encodePair(ulids));
  });

  test("is not the next context's, whose record and pair are the same", () => {
    programs.run("uplink_out", UDP);
    programs.run("uplink_in", INBOUND);
    programs.kernel.records.reset(SLOT, ULIDS);
    const nothing = { packetsOut: 0, packetsIn: 0, lastOut: undefined, lastIn: undefined };
    expect(snapshot(SLOT)).toMatchObject(nothing);
    programs.kernel.pairsChanged();
    programs.run("uplink_out", UDP);
    expect(snapshot(SLOT)).toMatchObject({
      ...nothing,
      packetsOut: 1,
      lastOut: expect.any(Number),
    });
  });

  test("stays known when the pair is mapped, and goes on when it is not any more", () => {
    programs.run("uplink_out", UDP);
    programs.setMapping(MAPPING);
    programs.run("ulid_device", UDP);
    expect(snapshot(SLOT).packetsOut).toBe(2);
    programs.setMapping(undefined);
    programs.run("uplink_out", UDP);
    expect(snapshot(SLOT).packetsOut).toBe(3);
  });

  test("does not keep back what somebody waits for: the next packet, or each of a watched pair", async () => {
    const own = new ShimPrograms();
    const { records, events } = own.kernel;
    const kinds: (string | undefined)[] = [];
    const note = (record: Uint8Array): number => kinds.push(decodeEvent(record)?.kind);
    const ring = openRingBuffer(events, note, (error) => kinds.push(error.message));
    const twice = (): void => {
      own.run("uplink_in", INBOUND);
      own.run("uplink_in", INBOUND);
    };
    try {
      own.setTellingInterval(SECOND);
      records.reset(SLOT, ULIDS);
      own.setMapping(undefined);
      twice();
      records.await(SLOT);
      twice();
      records.setFlags(SLOT, { watched: true, withholding: false });
      twice();
      records.setFlags(SLOT, { watched: false, withholding: false });
      twice();
      // So that no event is behind those that were to come.
      records.await(SLOT);
      own.run("uplink_out", UDP);
      const expected = ["traffic-resumed", "inbound-payload", "inbound-payload", "traffic-resumed"];
      await vi.waitUntil(() => kinds.length >= expected.length);
      expect(kinds).toEqual(expected);
      expect(records.snapshot(SLOT)).toMatchObject({ packetsIn: 8, packetsOut: 1 });
    } finally {
      ring.close();
      own.close();
    }
  });
});
