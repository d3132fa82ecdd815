import { beforeEach, describe, expect, test } from "vitest";
import { instant } from "../../../src/core/time.ts";
import { PlaneContextTable } from "../../../src/dataplane/nfqueue/context-table.ts";
import { Observer } from "../../../src/dataplane/nfqueue/observer.ts";
import { TriggerTable } from "../../../src/dataplane/nfqueue/trigger-table.ts";
import {
  address,
  EventLog,
  HOOK_LOCAL_IN,
  HOOK_LOCAL_OUT,
  HOOK_PREROUTING,
  packetOf,
  TAG,
  ULIDS,
} from "./support/fakes.ts";

const TCP = 6;
const ICMPV6 = 58;
const SHIM6 = 140;
const { local, peer } = ULIDS;

describe("the observer", () => {
  let contexts: PlaneContextTable;
  let log: EventLog;
  let observer: Observer;
  let acquaintances: string[];

  beforeEach(() => {
    contexts = new PlaneContextTable();
    log = new EventLog();
    const trigger = new TriggerTable({ packets: 2, age: undefined });
    acquaintances = [];
    observer = new Observer(contexts, trigger, log, (peer) => acquaintances.push(peer));
  });

  /** The kernel names packets with no more than their first 64 octets. */
  function observe(now: number, ...packets: { hook: number; packet: Uint8Array }[]): void {
    const logged = packets.map(({ hook, packet }) => ({ hook, payload: packet.subarray(0, 64) }));
    observer.handleBatch(instant(now), logged);
  }

  const out = { hook: HOOK_LOCAL_OUT, packet: packetOf(local, peer, TCP, 1500) };
  const incoming = { hook: HOOK_LOCAL_IN, packet: packetOf(peer, local, TCP, 100) };

  test("both directions of a pair count towards its trigger", () => {
    observe(0, out, incoming);
    expect(log.events).toEqual([["trigger", ULIDS]]);
    expect(acquaintances).toEqual([peer]);
  });

  test("who exchanges payload with this host is acquainted before the trigger", () => {
    const trigger = new TriggerTable({ packets: 50, age: undefined });
    observer = new Observer(contexts, trigger, log, (each) => acquaintances.push(each));
    observe(0, out, incoming, incoming, incoming, incoming, incoming, incoming);
    expect(acquaintances).toEqual([]);
    observe(0, incoming, incoming);
    expect(acquaintances).toEqual([peer]);
    expect(log.events).toEqual([]);
  });

  test("a context's packets are counted with their whole length, and do not trigger", () => {
    contexts.set(TAG, ULIDS);
    observe(5, out, out);
    observe(7, incoming);
    expect(contexts.get(TAG)?.traffic.snapshot).toEqual({
      lastOut: 5,
      lastIn: 7,
      firstUnansweredOut: undefined,
      firstUnansweredIn: 7,
      packetsOut: 2,
      packetsIn: 1,
      bytesOut: 3000,
      bytesIn: 100,
    });
    expect(log.events).toEqual([]);
  });

  test("only inbound packets of a watched context are reported", () => {
    contexts.set(TAG, ULIDS);
    const context = contexts.get(TAG);
    if (context !== undefined) context.watched = true;
    observe(0, out, incoming);
    expect(log.events).toEqual([["inboundPayload", TAG, false]]);
  });

  function icmp(type: number): Uint8Array {
    const packet = packetOf(local, peer, ICMPV6, 100);
    packet[40] = type;
    return packet;
  }

  test.each([
    { what: "Shim6 packets", packet: packetOf(local, peer, SHIM6, 100) },
    { what: "ICMPv6 errors", packet: icmp(1) },
    { what: "neighbour solicitations", packet: icmp(135) },
    { what: "MLDv2 reports", packet: icmp(143) },
    {
      what: "packets to link-local addresses",
      packet: packetOf(local, address("fe80::1"), TCP, 60),
    },
    {
      what: "packets to multicast addresses",
      packet: packetOf(local, address("ff02::1"), TCP, 60),
    },
    { what: "packets from no address", packet: packetOf(address("::"), peer, TCP, 60) },
    { what: "octets that are no packet", packet: Uint8Array.of(0x60, 0) },
  ])("$what are no payload", ({ packet }) => {
    contexts.set(TAG, ULIDS);
    observe(0, { hook: HOOK_LOCAL_OUT, packet }, { hook: HOOK_LOCAL_OUT, packet });
    expect(contexts.get(TAG)?.traffic.snapshot.packetsOut).toBe(0);
    expect(log.events).toEqual([]);
  });

  test.each([128, 129, 144])("ICMPv6 type %i is payload", (type) => {
    contexts.set(TAG, ULIDS);
    observe(0, { hook: HOOK_LOCAL_OUT, packet: icmp(type) });
    expect(contexts.get(TAG)?.traffic.snapshot.packetsOut).toBe(1);
  });

  test("unique local addresses count as global ones do", () => {
    const pair = { local: address("fd00::1"), peer: address("fcff::2") };
    const packet = packetOf(pair.peer, pair.local, TCP, 60);
    const logged = { hook: HOOK_PREROUTING, packet };
    observe(0, logged, logged);
    expect(log.events).toEqual([["trigger", pair]]);
  });
});
