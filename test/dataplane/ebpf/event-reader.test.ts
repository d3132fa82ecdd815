import { beforeEach, describe, expect, test } from "vitest";
import { type PlaneContext, PlaneContexts } from "../../../src/dataplane/ebpf/contexts.ts";
import { EbpfCounters } from "../../../src/dataplane/ebpf/counters.ts";
import { EventReader } from "../../../src/dataplane/ebpf/event-reader.ts";
import { encodePair } from "../../../src/dataplane/ebpf/layout.ts";
import { literal } from "../../../src/lab/topology.ts";
import type { OutgoingMessage } from "../../../src/linux/raw-socket.ts";
import type { Address } from "../../../src/wire/address.ts";
import { addressToBytes } from "../../../src/wire/address.ts";
import { buildPacketTooBig, parseIcmpError } from "../../../src/wire/icmp6.ts";
import { addPayloadHeader } from "../../../src/wire/payload.ts";
import { RecordedEvents } from "../../netns/support/recorded-events.ts";
import { ipv6, upperLayer } from "../../wire/support/packets.ts";
import { context, LOCATORS, mapped, PEER_TAG, ULIDS } from "./support/contexts.ts";

const [TRIGGER, UNKNOWN_TAG, INBOUND_PAYLOAD, ICMP_ERROR, OVERSIZE, ACQUAINTED, RESUMED] = [
  1, 2, 3, 4, 5, 6, 7,
];
const SLOT = 4;
const LOCAL = addressToBytes(ULIDS.local);
const PEER = addressToBytes(ULIDS.peer);
const LOCAL_LOCATOR = addressToBytes(LOCATORS.local);
const ROUTER = addressToBytes(literal("2001:db8:77::1"));

let events: RecordedEvents;
let counters: EbpfCounters;
let sent: { shim6: OutgoingMessage[]; icmp: OutgoingMessage[] };
let acquaintances: Address[];
let fallen: PlaneContext[];
let known: PlaneContext;
let reader: EventReader;

beforeEach(() => {
  events = new RecordedEvents();
  counters = new EbpfCounters();
  sent = { shim6: [], icmp: [] };
  acquaintances = [];
  fallen = [];
  known = context(SLOT, { active: mapped() });
  const contexts = new PlaneContexts();
  contexts.add(known);
  reader = new EventReader({
    ...{ contexts, counters, events },
    acquaint: (peer) => acquaintances.push(peer),
    pathMtuFell: (each) => fallen.push(each),
    isLocal: (address) => address === ULIDS.local,
    sendShim6: (message) => sent.shim6.push(message),
    sendIcmp: (message) => sent.icmp.push(message),
    warn: (message) => expect.fail(message),
  });
});

interface Fields {
  readonly kind: number | undefined;
  readonly slot?: number;
  readonly tag?: number;
  readonly tagged?: boolean;
  readonly addresses?: typeof ULIDS;
  readonly packet?: Uint8Array;
}

function handle({ kind = 0, slot = SLOT, tag = 0, addresses = ULIDS, ...rest }: Fields): void {
  const { packet = new Uint8Array(0), tagged = false } = rest;
  const record = new Uint8Array(64 + packet.length + 100);
  const view = new DataView(record.buffer);
  view.setUint32(0, kind, true);
  view.setUint32(4, packet.length, true);
  view.setBigUint64(8, 5_000_000n, true);
  view.setBigUint64(16, BigInt(tag), true);
  record.set(encodePair(addresses), 24);
  view.setUint32(56, slot, true);
  view.setUint32(60, tagged ? 1 : 0, true);
  record.set(packet, 64);
  reader.handle(record);
}

describe("a trigger", () => {
  test("of an address of ours is raised, and its peer no stranger", () => {
    handle({ kind: TRIGGER });
    expect(events.triggers).toEqual([ULIDS]);
    expect(acquaintances).toEqual([ULIDS.peer]);
  });

  test("of a foreign address is not raised, and acquaints nobody", () => {
    const foreign = { local: ULIDS.peer, peer: ULIDS.local };
    handle({ kind: TRIGGER, addresses: foreign });
    handle({ kind: ACQUAINTED, addresses: foreign });
    expect(events.triggers).toEqual([]);
    expect(acquaintances).toEqual([]);
    handle({ kind: ACQUAINTED });
    expect(acquaintances).toEqual([ULIDS.peer]);
  });
});

test("an unknown tag is told with source and destination", () => {
  const tag = 0x7fff_ffff_ffff;
  handle({ kind: UNKNOWN_TAG, tag });
  handle({ kind: UNKNOWN_TAG, tag, tagged: true });
  const { local: source, peer: destination } = ULIDS;
  expect(events.unknownTags).toEqual([
    { source, destination, tag },
    { source, destination, tag, encapsulated: true },
  ]);
});

test("inbound payload is told of watched contexts only, and of none that has gone", () => {
  handle({ kind: INBOUND_PAYLOAD, tagged: true });
  expect(events.payloads).toEqual([]);
  known.watched = true;
  handle({ kind: INBOUND_PAYLOAD, tagged: true });
  handle({ kind: INBOUND_PAYLOAD, slot: SLOT + 1 });
  expect(events.payloads).toEqual([{ now: 5, tag: known.tag, tagged: true }]);
});

test("traffic that goes on is told by its context's tag, unless that has gone", () => {
  handle({ kind: RESUMED });
  handle({ kind: RESUMED, slot: SLOT + 1 });
  expect(events.resumed).toEqual([known.tag]);
});

test("a kind that this version does not know is an error", () => {
  expect(() => handle({ kind: 8 })).toThrow("another version");
});

describe("an ICMPv6 error", () => {
  const plain = ipv6(LOCAL, PEER, [upperLayer(17, new Uint8Array(40))]);
  const added = addPayloadHeader(plain, LOCAL_LOCATOR, addressToBytes(LOCATORS.peer), PEER_TAG);
  const quoted = added.ok ? added.value : plain;

  function tooBig(mtu: number): Uint8Array {
    const message = buildPacketTooBig(ROUTER, LOCAL_LOCATOR, mtu, quoted);
    return ipv6(ROUTER, LOCAL_LOCATOR, [upperLayer(58, message)]);
  }

  test("reaches the core as it came, from its header on", () => {
    const packet = tooBig(1400);
    handle({ kind: ICMP_ERROR, packet });
    const source = literal("2001:db8:77::1");
    expect(events.icmpErrors).toEqual([{ source, bytes: packet.slice(40) }]);
  });

  test.each([
    { mtu: 1499, learned: 1499 },
    { mtu: 1280, learned: 1280 },
    { mtu: 1500, learned: undefined },
    { mtu: 9000, learned: undefined },
    { mtu: 1279, learned: undefined },
  ])("about an MTU of $mtu has the path carry $learned octets", ({ mtu, learned }) => {
    handle({ kind: ICMP_ERROR, packet: tooBig(mtu) });
    expect(known.active?.way?.mtu).toBe(learned ?? 1500);
    expect(fallen).toEqual(learned === undefined ? [] : [known]);
  });

  test("about a context that has gone reaches the core all the same", () => {
    handle({ kind: ICMP_ERROR, slot: SLOT + 1, packet: tooBig(1400) });
    expect(events.icmpErrors).toHaveLength(1);
    expect(fallen).toEqual([]);
  });
});

describe("a packet that is too large for its path", () => {
  function oversize(protocol: number, octets: number): Uint8Array {
    return ipv6(LOCAL, PEER, [upperLayer(protocol, new Uint8Array(octets - 40).fill(7))]);
  }

  test("leaves in fragments behind the Shim6 header, each within the MTU", () => {
    handle({ kind: OVERSIZE, packet: oversize(17, 3000) });
    expect(sent.icmp).toEqual([]);
    expect(sent.shim6.length).toBe(3);
    for (const { source, destination, bytes } of sent.shim6) {
      expect({ local: source, peer: destination }).toEqual(LOCATORS);
      // Fragment, in a payload header.
      expect([bytes[0], (bytes[2] ?? 0) & 0x80]).toEqual([44, 0x80]);
      expect(40 + bytes.length).toBeLessThanOrEqual(1500);
    }
    expect(counters.with({})).toMatchObject({ fragmented: 1, "drop-too-big": 0 });
  });

  test("of TCP is answered with a Packet Too Big from the ULID to itself", () => {
    handle({ kind: OVERSIZE, packet: oversize(6, 1496) });
    expect(sent.shim6).toEqual([]);
    const [answer] = sent.icmp;
    expect(answer).toMatchObject({ source: ULIDS.local, destination: ULIDS.local });
    const error = parseIcmpError(answer?.bytes ?? new Uint8Array(0));
    expect(error).toMatchObject({ value: { type: 2, parameter: 1492 } });
    expect(counters.with({})).toMatchObject({ fragmented: 0, "drop-too-big": 1 });
  });

  test("that is here only in part, being longer than an event, is answered the same", () => {
    handle({ kind: OVERSIZE, packet: oversize(17, 20_000).subarray(0, 16_384) });
    expect(sent.shim6).toEqual([]);
    expect(sent.icmp).toHaveLength(1);
  });

  test("is forgotten where the mapping has gone meanwhile", () => {
    known.active = undefined;
    handle({ kind: OVERSIZE, packet: oversize(17, 3000) });
    known.active = { ...mapped(), way: undefined };
    handle({ kind: OVERSIZE, packet: oversize(17, 3000) });
    handle({ kind: OVERSIZE, slot: SLOT + 1, packet: oversize(17, 3000) });
    expect(sent).toEqual({ shim6: [], icmp: [] });
  });
});
