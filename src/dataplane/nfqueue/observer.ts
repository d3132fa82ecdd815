import type { Instant } from "../../core/time.ts";
import type { LoggedPacket } from "../../linux/nflog.ts";
import { type Address, addressFromBytes } from "../../wire/address.ts";
import {
  DESTINATION_OFFSET,
  hasIpv6Header,
  IPV6_HEADER_LENGTH,
  NEXT_HEADER_OFFSET,
  PROTOCOL_ICMPV6,
  PROTOCOL_SHIM6,
  payloadLength,
  SOURCE_OFFSET,
} from "../../wire/ipv6.ts";
import type { DataPlaneEvents } from "../dataplane.ts";
import type { PlaneContextTable } from "./context-table.ts";
import { LINK_ICMP_TYPES } from "./rule-constants.ts";
import type { TriggerTable } from "./trigger-table.ts";

/** The netfilter hooks of packets that leave; every other hook has packets that come in. */
export const HOOK_LOCAL_OUT = 3;
export const HOOK_POST_ROUTING = 4;

/** ICMPv6 types below this are errors (RFC 4443 section 2.1). */
const FIRST_INFORMATIONAL_TYPE = 128;
const LINK_TYPES: ReadonlySet<number> = new Set(LINK_ICMP_TYPES);

/**
 * Counts the packets without payload extension header, which the kernel names after they went
 * on their way. A packet is what the kernel handles as one: a super-packet of segmentation or
 * receive offload counts once, with all its octets.
 */
export class Observer {
  readonly #contexts: PlaneContextTable;
  readonly #trigger: TriggerTable;
  readonly #events: DataPlaneEvents;
  readonly #acquaint: (peer: Address) => void;

  /** @param acquaint told of the peers that exchange payload with this host */
  constructor(
    contexts: PlaneContextTable,
    trigger: TriggerTable,
    events: DataPlaneEvents,
    acquaint: (peer: Address) => void,
  ) {
    this.#contexts = contexts;
    this.#trigger = trigger;
    this.#events = events;
    this.#acquaint = acquaint;
  }

  handleBatch(now: Instant, packets: readonly LoggedPacket[]): void {
    for (const { hook, payload } of packets) {
      if (isUlpPacket(payload)) this.#observe(now, hook, payload);
    }
  }

  #observe(now: Instant, hook: number, payload: Uint8Array): void {
    const length = IPV6_HEADER_LENGTH + payloadLength(payload);
    const outbound = hook === HOOK_LOCAL_OUT;
    const local = outbound ? SOURCE_OFFSET : DESTINATION_OFFSET;
    const peer = outbound ? DESTINATION_OFFSET : SOURCE_OFFSET;
    const context = this.#contexts.byPair(payload, local, peer);
    if (context === undefined) {
      this.#count(now, payload, local, peer);
    } else if (outbound) {
      context.traffic.out(now, length);
      context.flows.note(payload);
    } else {
      context.traffic.in(now, length);
      if (context.watched) this.#events.inboundPayload(now, context.tag, false);
    }
  }

  #count(now: Instant, payload: Uint8Array, local: number, peer: number): void {
    const milestone = this.#trigger.count(now, payload, local, peer);
    if (milestone === undefined) return;
    const ulids = {
      local: addressFromBytes(payload, local),
      peer: addressFromBytes(payload, peer),
    };
    this.#acquaint(ulids.peer);
    if (milestone === "triggered") this.#events.trigger(now, ulids);
  }
}

/**
 * Payload as the shim counts it: between global unicast or unique local addresses, and neither
 * a Shim6 packet nor ICMPv6 errors, neighbour or multicast listener discovery.
 */
function isUlpPacket(packet: Uint8Array): boolean {
  if (!hasIpv6Header(packet)) return false;
  if (!isUnicast(packet[SOURCE_OFFSET]) || !isUnicast(packet[DESTINATION_OFFSET])) return false;
  const protocol = packet[NEXT_HEADER_OFFSET];
  if (protocol === PROTOCOL_SHIM6) return false;
  return protocol !== PROTOCOL_ICMPV6 || isUlpIcmp(packet[IPV6_HEADER_LENGTH]);
}

/** 2000::/3 and fc00::/7, by the first octet. */
function isUnicast(octet = 0): boolean {
  return (octet & 0xe0) === 0x20 || (octet & 0xfe) === 0xfc;
}

function isUlpIcmp(type = 0): boolean {
  return type >= FIRST_INFORMATIONAL_TYPE && !LINK_TYPES.has(type);
}
