import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { instant } from "../../src/core/time.ts";
import { fragmentPacket } from "../../src/dataplane/fragmentation.ts";
import { Reassembler } from "../../src/dataplane/nfqueue/reassembly.ts";
import { extension, fragment, ipv6, upperLayer } from "../wire/support/packets.ts";
import { packetOf, ULIDS } from "./nfqueue/support/fakes.ts";

const UDP = 17;

function datagram(length: number): Uint8Array {
  return packetOf(ULIDS.local, ULIDS.peer, UDP, length);
}

function fragmentsOf(packet: Uint8Array, limit: number, identification = 7): Uint8Array[] {
  const fragments = fragmentPacket(packet, limit, identification);
  if (!fragments.ok) throw new Error(fragments.error);
  return fragments.value;
}

/** What is whole after each of the packets. */
function reassemble(reassembler: Reassembler, packets: readonly Uint8Array[], now = 0): unknown[] {
  return packets.map((packet) => {
    const reassembly = reassembler.add(instant(now), packet);
    return reassembly.kind === "whole" ? reassembly.packet : reassembly.kind;
  });
}

describe("fragmentation", () => {
  test("fragments come together again in any order, and none exceeds the limit", () => {
    const limits = fc.integer({ min: 1280, max: 1500 });
    const lengths = fc.integer({ min: 1501, max: 20_000 });
    fc.assert(
      fc.property(lengths, limits, fc.infiniteStream(fc.nat()), (length, limit, order) => {
        const packet = datagram(length);
        const fragments = fragmentsOf(packet, limit);
        expect(Math.max(...fragments.map((each) => each.length))).toBeLessThanOrEqual(limit);
        const shuffled = fragments
          .map((each) => ({ each, rank: order.next().value as number }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ each }) => each);
        const results = reassemble(new Reassembler(), shuffled);
        expect(results.at(-1)).toEqual(packet);
        expect(results.slice(0, -1)).toEqual(shuffled.slice(1).map(() => "held"));
      }),
      { numRuns: 50 },
    );
  });

  test("headers for routers stay in front of the Fragment header", () => {
    const body = new Uint8Array(3000).fill(5);
    const packet = ipv6(new Uint8Array(16).fill(1), new Uint8Array(16).fill(2), [
      extension(0, 0),
      upperLayer(UDP, body),
    ]);
    const fragments = fragmentsOf(packet, 1280);
    expect(fragments.map((each) => [each[6], each[40]])).toEqual(fragments.map(() => [0, 44]));
    expect(reassemble(new Reassembler(), fragments).at(-1)).toEqual(packet);
  });

  test("fragments split into smaller ones come together to the same datagram", () => {
    const limits = fc.integer({ min: 1000, max: 1480 });
    fc.assert(
      fc.property(fc.integer({ min: 1501, max: 9000 }), limits, (length, limit) => {
        const packet = datagram(length);
        const smaller = fragmentsOf(packet, 1500).flatMap((each) => fragmentsOf(each, limit, 99));
        expect(Math.max(...smaller.map((each) => each.length))).toBeLessThanOrEqual(limit);
        expect(reassemble(new Reassembler(), smaller).at(-1)).toEqual(packet);
      }),
      { numRuns: 50 },
    );
  });

  test("a fragment that ends before its header does is refused", () => {
    const packet = ipv6(new Uint8Array(16), new Uint8Array(16), [
      upperLayer(44, new Uint8Array(4)),
    ]);
    expect(fragmentPacket(packet, 1280, 1)).toEqual({ ok: false, error: "truncated" });
  });
});

describe("reassembly", () => {
  test("a packet without Fragment header is none of its business", () => {
    expect(reassemble(new Reassembler(), [datagram(100)])).toEqual(["not-a-fragment"]);
  });

  test("datagrams of different identifications do not mix", () => {
    const [first = new Uint8Array(0)] = fragmentsOf(datagram(2000), 1280, 1);
    const [, second = new Uint8Array(0)] = fragmentsOf(datagram(2000), 1280, 2);
    expect(reassemble(new Reassembler(), [first, second])).toEqual(["held", "held"]);
  });

  test("overlapping fragments end the datagram", () => {
    const [first = new Uint8Array(0), last = new Uint8Array(0)] = fragmentsOf(datagram(2000), 1280);
    const reassembler = new Reassembler();
    expect(reassemble(reassembler, [first, first, last])).toEqual(["held", "bad", "held"]);
  });

  test("a fragment behind the end ends the datagram", () => {
    const source = new Uint8Array(16);
    const part = (offset: number, more: boolean): Uint8Array =>
      ipv6(source, source, [fragment(offset, more), upperLayer(UDP, new Uint8Array(8))]);
    const reassembler = new Reassembler();
    expect(reassemble(reassembler, [part(1, false), part(5, true)])).toEqual(["held", "bad"]);
  });

  test("fragments older than a minute are forgotten", () => {
    const [first = new Uint8Array(0), last = new Uint8Array(0)] = fragmentsOf(datagram(2000), 1280);
    const reassembler = new Reassembler();
    expect(reassemble(reassembler, [first], 0)).toEqual(["held"]);
    expect(reassemble(reassembler, [last], 60_000)).toEqual(["held"]);
    expect(reassemble(reassembler, [first], 60_001)).toEqual([datagram(2000)]);
  });

  test("the oldest datagram makes room for a new one", () => {
    const reassembler = new Reassembler(2);
    const halves = [1, 2, 3].map((id) => fragmentsOf(datagram(2000), 1280, id));
    for (const [first = new Uint8Array(0)] of halves) reassemble(reassembler, [first]);
    const ends = halves.map(([, last = new Uint8Array(0)]) => last);
    expect(reassemble(reassembler, ends.slice(1))).toEqual([datagram(2000), datagram(2000)]);
    expect(reassemble(reassembler, ends.slice(0, 1))).toEqual(["held"]);
  });

  test("octets of no meaning raise no error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const packet = Uint8Array.from([0x60, 0, 0, 0, 0, 200, 44, 64, ...bytes]);
        new Reassembler().add(instant(0), packet);
      }),
    );
  });
});
