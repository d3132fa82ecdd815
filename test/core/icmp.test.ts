import { describe, expect, test } from "vitest";
import { milliseconds, seconds } from "../../src/core/time.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import { PAYLOAD_HEADER_LENGTH, writePayloadHeader } from "../../src/wire/payload-header.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { address, type Host, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const ROUTER = address("2001:db8:ffff::1");
const ULIDS = { local: address(A1), peer: address(B1) };

function established(): { world: World; a: Host; b: Host } {
  const world = new World();
  const a = world.host(41, [A1, A2]);
  const b = world.host(42, [B1, B2]);
  a.open(A1, B1);
  world.run(seconds(1));
  world.sent.length = 0;
  return { world, a, b };
}

/** An ICMPv6 error that quotes a packet with `payload` behind its IPv6 header. */
function icmpError(
  [type, code]: readonly [number, number],
  [source, destination]: readonly [string, string],
  nextHeader = 17,
  payload: Uint8Array = new Uint8Array(16),
): Uint8Array {
  const bytes = new Uint8Array(8 + 40 + payload.length);
  bytes.set([type, code]);
  bytes.set([0x60, 0, 0, 0, 0, payload.length, nextHeader, 64], 8);
  bytes.set(addressToBytes(address(source)), 16);
  bytes.set(addressToBytes(address(destination)), 32);
  bytes.set(payload, 48);
  return bytes;
}

function payloadHeader(nextHeader: number, tag: number): Uint8Array {
  const header = new Uint8Array(PAYLOAD_HEADER_LENGTH);
  writePayloadHeader(header, 0, nextHeader, contextTag(tag));
  return header;
}

function deliver(host: Host, bytes: Uint8Array, source = ROUTER): void {
  host.command((endpoint, now) => endpoint.handleIcmpError(now, source, bytes));
}

function explorations(host: Host): unknown[] {
  return host.events.flatMap((event) => (event.event === "exploring" ? [event.cause] : []));
}

const CURABLE = [
  [1, 0],
  [1, 1],
  [1, 2],
  [1, 3],
  [1, 5],
  [1, 6],
  [3, 0],
] as const;
const NOT_CURABLE = [
  [1, 4],
  [2, 0],
  [4, 0],
  [128, 0],
] as const;

describe("ICMPv6 errors (RFC 5533 section 8)", () => {
  test.each(CURABLE)(
    "type %i code %i about the current pair starts an exploration at once",
    (type, code) => {
      const { world, a } = established();
      world.loses = ({ source, destination }) =>
        [A1, B1].includes(source) && [A1, B1].includes(destination);
      const failedAt = world.now;
      deliver(a, icmpError([type, code], [A1, B1]));
      world.run(seconds(3));
      expect(explorations(a)).toEqual(["icmp-error"]);
      const recovered = a.events.find(({ event }) => event === "recovered");
      expect((recovered?.at ?? 0) - failedAt).toBeLessThan(milliseconds(1200));
      expect(a.endpoint.contexts()[0]?.locators).not.toEqual(ULIDS);
    },
  );

  test.each(NOT_CURABLE)("type %i code %i starts none: another pair doesn't help", (type, code) => {
    const { world, a } = established();
    deliver(a, icmpError([type, code], [A1, B1]));
    world.run(seconds(3));
    expect(explorations(a)).toEqual([]);
  });

  test("a lie about a pair that works costs probes, and moves nothing", () => {
    const { world, a } = established();
    for (let i = 0; i < 100; i++) {
      deliver(a, icmpError([1, 0], [A1, B1]));
      world.run(milliseconds(100));
    }
    expect(a.endpoint.contexts()[0]?.locators).toEqual(ULIDS);
    expect(a.endpoint.contexts()[0]?.reapState).toBe("Operational");
    // One exploration in five seconds, however many errors there are.
    expect(explorations(a)).toHaveLength(2);
  });

  test("about another pair, another tag or our own packets to ourselves, it is ignored", () => {
    const { world, a } = established();
    deliver(a, icmpError([1, 0], [A2, B2]));
    deliver(a, icmpError([1, 0], [A1, B1]), address(A1));
    deliver(a, icmpError([1, 0], [A1, B1], 140, payloadHeader(17, 5)));
    deliver(a, icmpError([1, 0], [A1, B1]).subarray(0, 50));
    world.run(seconds(1));
    expect(explorations(a)).toEqual([]);
  });

  test("about a rewritten packet the peer's tag names the context", () => {
    const { world, a } = established();
    world.loses = ({ source, destination }) =>
      [A1, B1].includes(source) && [A1, B1].includes(destination);
    a.send(ULIDS);
    world.run(seconds(20));
    const context = a.endpoint.contexts()[0];
    expect(context?.locators).toEqual({ local: A2, peer: B2 });
    a.events.length = 0;
    deliver(a, icmpError([1, 3], [A2, B2], 140, payloadHeader(17, context?.peerTag ?? 0)));
    expect(explorations(a)).toEqual(["icmp-error"]);
  });

  describe("are kept from the ULP", () => {
    function withholding(host: Host): boolean[] {
      return host.endpoint.contexts().map(({ tag }) => host.withholding.has(tag));
    }

    test("while there is another pair to try, and no longer", () => {
      const { world, a } = established();
      expect(withholding(a)).toEqual([true]);
      const [first, second] = a.locators;
      if (first === undefined || second === undefined) throw new Error("no locators");
      a.setLocators([first]);
      world.hosts[1]?.setLocators(world.hosts[1].locators.slice(0, 1));
      world.run(seconds(1));
      expect(withholding(a)).toEqual([false]);
      a.setLocators([first, second]);
      world.run(seconds(1));
      expect(withholding(a)).toEqual([true]);
    });

    test("unless all are to be delivered", () => {
      const world = new World();
      const a = world.host(71, [A1, A2], { deliverAllIcmp: true });
      world.host(72, [B1, B2]);
      a.open(A1, B1);
      world.run(seconds(1));
      expect(withholding(a)).toEqual([false]);
    });
  });
});
