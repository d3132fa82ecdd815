import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { instant } from "../../../src/core/time.ts";
import {
  COUNTERS,
  decodeEvent,
  decodeForkKey,
  decodePair,
  decodeTag,
  decodeTagged,
  decodeTcpQuery,
  encodeFork,
  encodeForkKey,
  encodePair,
  encodePairState,
  encodePeerTag,
  encodeSettings,
  encodeTag,
  encodeTagged,
  encodeTcpQuery,
  FORKS_MAX,
  LAYOUT_VERSION,
  layoutVersionOf,
  REMEMBERED_MAX,
  TCP_QUERY_LENGTH,
} from "../../../src/dataplane/ebpf/layout.ts";
import { decodePayloadHeader } from "../../../src/wire/payload-header.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import { address, tag } from "../../wire/support/arbitraries.ts";
import { LOCATORS, mapped, PEER_TAG, ULIDS } from "./support/contexts.ts";

const HEADER = readFileSync(new URL("../../../bpf/shim6.h", import.meta.url), "utf8");

const pair = fc.record({ local: address, peer: address });
const slot = fc.nat(0xffff_ffff);

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

function definition(name: string): number {
  return Number(new RegExp(`#define ${name} (\\S+)`).exec(HEADER)?.[1]);
}

describe("what both halves write down by hand is the same", () => {
  test("version, forks and places", () => {
    expect(definition("LAYOUT_VERSION")).toBe(LAYOUT_VERSION);
    expect(definition("FORKS_MAX")).toBe(FORKS_MAX);
    expect(definition("REMEMBERED_MAX")).toBe(REMEMBERED_MAX);
  });

  test("counters, in their order", () => {
    const block = /enum counter \{(.*?)COUNTERS,/s.exec(HEADER)?.[1] ?? "";
    const names = block.split(",").map((name) => name.trim().toLowerCase().replaceAll("_", "-"));
    const known = names
      .filter(Boolean)
      .map((name) => (name === "drop-too-big" ? "oversize" : name));
    expect(known).toEqual(COUNTERS);
  });

  test("kinds of events", () => {
    const block = /enum event_kind \{(.*?)\}/s.exec(HEADER)?.[1] ?? "";
    const kinds = [...block.matchAll(/EVENT_(\w+) = (\d+)/g)];
    expect(kinds.length).toBeGreaterThan(4);
    for (const [, name = "", kind] of kinds) {
      const record = new Uint8Array(64);
      viewOf(record).setUint32(0, Number(kind), true);
      expect(decodeEvent(record)?.kind).toBe(name.toLowerCase().replaceAll("_", "-"));
    }
  });
});

describe("what is written is read back", () => {
  test("pairs, tags and fork keys", () => {
    fc.assert(
      fc.property(pair, tag, slot, fc.nat(15), (ulids, each, index, fork) => {
        expect(decodePair(encodePair(ulids))).toEqual(ulids);
        expect(decodeTag(encodeTag(each))).toBe(each);
        expect(decodeTagged(encodeTagged(index, ulids))).toEqual({ slot: index, ulids });
        expect(decodeForkKey(encodeForkKey(ulids, fork))).toEqual({ ulids, index: fork });
      }),
    );
  });

  test("settings", () => {
    const trigger = { triggerPackets: 50, acquaintedPackets: 8, udpPort: 61_140 };
    const values = { ulidDevice: 9, ...trigger, triggerAge: undefined };
    const settings = encodeSettings(values, { link: 3, until: instant(1.5) });
    expect(layoutVersionOf(settings)).toBe(LAYOUT_VERSION);
    const view = viewOf(settings);
    const words = [4, 16, 20, 24, 28].map((at) => view.getUint32(at, true));
    expect(words).toEqual([9, 50, 8, 61_140, 3]);
    expect([8, 32].map((at) => view.getBigUint64(at, true))).toEqual([0n, 1_500_000n]);
    expect(viewOf(encodeSettings(values)).getUint32(28, true)).toBe(0);
  });
});

describe("the value of a pair", () => {
  const plain = { link: 3, gateway: undefined, mtu: 1400 };

  test("has mapping, header and ways where the kernel looks for them", () => {
    const state = { slot: 4, mapping: mapped(), forks: 2, plain, peerUlid: ULIDS.peer };
    const octets = encodePairState(state);
    const view = viewOf(octets);
    expect([0, 4, 8].map((at) => view.getUint32(at, true))).toEqual([4, 1, 2]);
    // The way of the ULIDs: a destination on the link is its own next hop.
    expect([16, 20].map((at) => view.getUint32(at, true))).toEqual([3, 1400]);
    expect(octets.subarray(24, 40)).toEqual(encodePair(ULIDS).subarray(16));
    expect(decodePair(octets.subarray(40))).toEqual(LOCATORS);
    const header = decodePayloadHeader(octets.subarray(72, 80));
    expect(header).toMatchObject({ value: { nextHeader: 0, receiverContextTag: PEER_TAG } });
    expect([80, 84].map((at) => view.getUint32(at, true))).toEqual([7, 1500]);
    expect(octets.subarray(88, 90)).toEqual(Uint8Array.of(0xfe, 0x80));
  });

  test("says whether the mapping is in UDP", () => {
    const state = { slot: 4, forks: 0, plain, peerUlid: ULIDS.peer };
    const routed = mapped();
    const locators = { ...LOCATORS, encapsulated: true };
    const inUdp = { ...routed, mapping: { ...routed.mapping, locators } };
    const at = 40 + 32 + 8 + 24;
    expect(viewOf(encodePairState({ ...state, mapping: routed })).getUint32(at, true)).toBe(0);
    expect(viewOf(encodePairState({ ...state, mapping: inUdp })).getUint32(at, true)).toBe(1);
  });

  test("without a mapping or a way says so with zeros", () => {
    const none = { mapping: undefined, plain: undefined, forks: 0, peerUlid: ULIDS.peer };
    const octets = encodePairState({ slot: 1, ...none });
    expect(octets.subarray(4).every((octet) => octet === 0)).toBe(true);
    const noWay = { ...mapped(), way: undefined };
    const mappedOctets = encodePairState({ slot: 1, ...none, mapping: noWay });
    expect(viewOf(mappedOctets).getUint32(80, true)).toBe(0);
  });
});

test("a fork's selector names its criteria", () => {
  const selector = {
    ...{ protocol: 17, localPorts: { first: 1, last: 2 }, peerPorts: { first: 3, last: 65_535 } },
    ...{ dscp: 63, mark: { value: 0x8000_0000, mask: 0xffff_ffff } },
  };
  const octets = encodeFork(4, mapped(PEER_TAG, selector));
  const view = viewOf(octets);
  expect([0, 4, 8, 12].map((at) => view.getUint32(at, true))).toEqual([
    ...[4, 1 + 2 + 4 + 8 + 16, 0x8000_0000, 0xffff_ffff],
  ]);
  expect([16, 18, 20, 22].map((at) => view.getUint16(at, true))).toEqual([1, 2, 3, 65_535]);
  expect([...octets.subarray(24, 26)]).toEqual([17, 63]);
  expect(viewOf(encodeFork(4, mapped(PEER_TAG, {}))).getUint32(4, true)).toBe(0);
  expect(viewOf(encodeFork(4, mapped(PEER_TAG, { dscp: 0 }))).getUint32(4, true)).toBe(8);
});

test("a peer's tag stands behind the locator", () => {
  const key = encodePeerTag(LOCATORS.peer, contextTag(0x1234));
  expect(key.subarray(0, 16)).toEqual(encodePair(LOCATORS).subarray(16));
  expect(decodeTag(key, 16)).toBe(0x1234);
});

describe("an event", () => {
  function record(kind: number, packet: Uint8Array): Uint8Array {
    const octets = new Uint8Array(64 + 2048);
    const view = viewOf(octets);
    view.setUint32(0, kind, true);
    view.setUint32(4, packet.length, true);
    view.setBigUint64(8, 1_500_000n, true);
    view.setBigUint64(16, 0x7fff_ffff_ffffn, true);
    octets.set(encodePair(ULIDS), 24);
    view.setUint32(56, 5, true);
    view.setUint32(60, 1, true);
    octets.set(packet, 64);
    return octets;
  }

  test("is read with the octets that it says it has", () => {
    expect(decodeEvent(record(3, Uint8Array.of(1, 2, 3)))).toEqual({
      ...{ kind: "inbound-payload", time: 1.5, tag: 0x7fff_ffff_ffff, addresses: ULIDS },
      ...{ slot: 5, tagged: true, packet: Uint8Array.of(1, 2, 3) },
    });
  });

  test.each([0, 8, 0xffff_ffff])("of kind %i is unknown", (kind) => {
    expect(decodeEvent(record(kind, new Uint8Array(0)))).toBeUndefined();
  });
});

describe("the query for a TCP socket", () => {
  test("is a packet's from the peer, ports in the network's order", () => {
    const octets = encodeTcpQuery(ULIDS, { localPort: 0x1234, peerPort: 0x50 });
    const reversed = encodePair({ local: ULIDS.peer, peer: ULIDS.local });
    expect(octets.subarray(0, 32)).toEqual(reversed);
    expect([...octets.subarray(32, 36)]).toEqual([0, 0x50, 0x12, 0x34]);
  });

  test.each([
    { found: 1, unacknowledged: 7, next: 9, waits: true },
    { found: 1, unacknowledged: 9, next: 9, waits: false },
    { found: 0, unacknowledged: 7, next: 9, waits: false },
  ])("$found $unacknowledged $next: $waits", ({ found, unacknowledged, next, waits }) => {
    const octets = new Uint8Array(TCP_QUERY_LENGTH);
    const view = viewOf(octets);
    for (const [i, value] of [found, unacknowledged, next, 3, 2].entries()) {
      view.setUint32(36 + 4 * i, value, true);
    }
    const state = { unacknowledged, next, lost: 3, timeouts: 2 };
    expect(decodeTcpQuery(octets)).toEqual(waits ? state : undefined);
  });
});
