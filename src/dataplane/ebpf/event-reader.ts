import { randomBytes } from "node:crypto";
import { monotonicNow } from "../../linux/clock.ts";
import type { OutgoingMessage, ReceivedMessage } from "../../linux/raw-socket.ts";
import type { OutgoingShim6 } from "../../linux/shim6-socket.ts";
import type { Address } from "../../wire/address.ts";
import { addressFromBytes } from "../../wire/address.ts";
import { findIcmpError, ICMP_PACKET_TOO_BIG } from "../../wire/icmp6.ts";
import { IPV6_HEADER_LENGTH, MINIMUM_MTU, SOURCE_OFFSET } from "../../wire/ipv6.ts";
import { PAYLOAD_HEADER_LENGTH } from "../../wire/payload-header.ts";
import type { DataPlaneEvents } from "../dataplane.ts";
import { Oversize } from "../oversize.ts";
import { udpLength } from "../ulid-routes.ts";
import type { PlaneContext, PlaneContexts } from "./contexts.ts";
import type { EbpfCounters } from "./counters.ts";
import { decodeEvent, type KernelEvent } from "./layout.ts";

export interface EventReaderOptions {
  readonly contexts: PlaneContexts;
  readonly counters: EbpfCounters;
  readonly events: DataPlaneEvents;
  /** Told of the peers that exchange payload with this host. */
  readonly acquaint: (peer: Address) => void;
  /** The context's mapping has a smaller MTU. */
  readonly pathMtuFell: (context: PlaneContext) => void;
  readonly isLocal: (address: Address) => boolean;
  readonly sendShim6: (message: OutgoingShim6) => void;
  readonly sendIcmp: (message: OutgoingMessage) => void;
  readonly warn: (message: string) => void;
}

/** Tells the core what the kernel's half reports, and does what that half cannot. */
export class EventReader {
  readonly #options: EventReaderOptions;
  readonly #oversize: Oversize;

  constructor(options: EventReaderOptions) {
    this.#options = options;
    const { counters, sendIcmp, sendShim6, warn } = options;
    const first = randomBytes(4).readUInt32BE();
    this.#oversize = new Oversize({ sendShim6, sendIcmp, warn }, counters, first);
  }

  /** @param record of the ring buffer */
  handle(record: Uint8Array): void {
    const event = decodeEvent(record);
    if (event === undefined) throw new Error("the kernel's half speaks another version");
    const { acquaint, events, isLocal } = this.#options;
    const { addresses, tag, time } = event;
    switch (event.kind) {
      case "trigger":
        // What a router passes on crosses the trigger, too.
        if (!isLocal(addresses.local)) return;
        acquaint(addresses.peer);
        return events.trigger(time, addresses);
      case "acquainted":
        if (isLocal(addresses.local)) acquaint(addresses.peer);
        return;
      case "unknown-tag":
        return events.unknownTag(time, addresses.local, addresses.peer, tag, event.tagged);
      case "inbound-payload":
        return this.#inboundPayload(event);
      case "traffic-resumed":
        return this.#trafficResumed(event);
      case "icmp-error":
        return this.#icmpError(event);
      case "oversize":
        return this.#handedOver(event);
    }
  }

  control({ source, destination, bytes }: ReceivedMessage, encapsulated: boolean): void {
    const { events } = this.#options;
    events.control(monotonicNow(), source, destination, bytes, encapsulated);
  }

  icmpError({ source, bytes }: ReceivedMessage): void {
    this.#options.events.icmpError(monotonicNow(), source, bytes);
  }

  #inboundPayload({ time, slot, tagged }: KernelEvent): void {
    const context = this.#options.contexts.bySlot(slot);
    if (context?.watched) this.#options.events.inboundPayload(time, context.tag, tagged);
  }

  #trafficResumed({ time, slot }: KernelEvent): void {
    const context = this.#options.contexts.bySlot(slot);
    if (context !== undefined) this.#options.events.trafficResumed(time, context.tag);
  }

  #icmpError({ time, slot, packet }: KernelEvent): void {
    const context = this.#options.contexts.bySlot(slot);
    if (context !== undefined && learnMtu(context, packet)) this.#options.pathMtuFell(context);
    const source = addressFromBytes(packet, SOURCE_OFFSET);
    this.#options.events.icmpError(time, source, packet.slice(IPV6_HEADER_LENGTH));
  }

  /** Too big with its header, or in UDP and none of those whose sum the kernel's half knows. */
  #handedOver({ slot, packet }: KernelEvent): void {
    const active = this.#options.contexts.bySlot(slot)?.active;
    if (active?.way === undefined) return;
    const path = { mapping: active.mapping, pathMtu: active.way.mtu };
    if (packet.length + PAYLOAD_HEADER_LENGTH <= path.pathMtu) {
      return this.#oversize.send(packet, path);
    }
    for (const fragment of this.#oversize.fit(packet, path)) {
      this.#oversize.send(fragment, path);
    }
  }
}

/** @returns whether the error says that the path carries less than was thought */
function learnMtu({ active }: PlaneContext, packet: Uint8Array): boolean {
  const found = findIcmpError(packet);
  if (active?.way === undefined || !found.ok) return false;
  const { type, parameter } = found.value.error;
  if (type !== ICMP_PACKET_TOO_BIG || parameter < MINIMUM_MTU) return false;
  const mtu = parameter - udpLength(active.mapping.locators);
  if (mtu >= active.way.mtu) return false;
  active.way = { ...active.way, mtu };
  return true;
}
