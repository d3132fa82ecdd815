import { isEncapsulated } from "../../core/output.ts";
import type { Instant } from "../../core/time.ts";
import type { QueuedPacket, Verdicts } from "../../linux/queue.ts";
import { addressFromBytes } from "../../wire/address.ts";
import {
  concernsPath,
  findIcmpError,
  findQuotedPayload,
  ICMP_PACKET_TOO_BIG,
  type QuotedPayload,
  translateIcmpError,
} from "../../wire/icmp6.ts";
import {
  DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH,
  MINIMUM_MTU,
  NEXT_HEADER_OFFSET,
  PROTOCOL_FRAGMENT,
  PROTOCOL_ICMPV6,
  SOURCE_OFFSET,
  UDP_HEADER_LENGTH,
} from "../../wire/ipv6.ts";
import {
  findPayloadHeader,
  removePayloadHeader,
  writeRestored,
  writeRewritten,
} from "../../wire/payload.ts";
import { PAYLOAD_HEADER_LENGTH } from "../../wire/payload-header.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { DataPlaneEvents } from "../dataplane.ts";
import type { Oversize } from "../oversize.ts";
import { LOCATOR_MARK, udpLength } from "../ulid-routes.ts";
import type { ActiveMapping, PlaneContext, PlaneContextTable } from "./context-table.ts";
import type { PlaneCounters } from "./counters.ts";
import { HOOK_LOCAL_OUT, HOOK_POST_ROUTING } from "./observer.ts";
import { Reassembler } from "./reassembly.ts";

/** What the rewriter needs of the rest of the plane. */
export interface RewriterOptions {
  readonly contexts: PlaneContextTable;
  readonly events: DataPlaneEvents;
  readonly counters: PlaneCounters;
  readonly oversize: Oversize;
  /** Of Shim6 in UDP; `undefined` where there is none. */
  readonly udpPort: number | undefined;
}

/**
 * Handles the rewrite queue: outbound packets of mapped ULID pairs, inbound packets with the
 * payload extension header, and ICMPv6 errors about packets that left with it.
 */
export class Rewriter {
  readonly #contexts: PlaneContextTable;
  readonly #events: DataPlaneEvents;
  readonly #counters: PlaneCounters;
  readonly #oversize: Oversize;
  readonly #udpPort: number | undefined;
  readonly #reassembler = new Reassembler();
  /** Interface index of the uplink that is rehearsed as dead. */
  drilledLink: number | undefined;

  constructor(options: RewriterOptions) {
    this.#contexts = options.contexts;
    this.#events = options.events;
    this.#counters = options.counters;
    this.#oversize = options.oversize;
    this.#udpPort = options.udpPort;
  }

  handleBatch(now: Instant, packets: readonly QueuedPacket[], verdicts: Verdicts): void {
    for (const packet of packets) {
      if (packet.hook === HOOK_LOCAL_OUT) this.#outbound(now, packet, verdicts);
      else if (this.#isLost(packet)) verdicts.drop(packet.id);
      else if (packet.hook === HOOK_POST_ROUTING) verdicts.accept(packet.id);
      else this.#inbound(now, packet, verdicts);
    }
  }

  /** Only a drill's rules queue packets that leave here, and all that comes in there is the shim's. */
  #isLost({ hook, inputInterface, outputInterface }: QueuedPacket): boolean {
    const link = hook === HOOK_POST_ROUTING ? outputInterface : inputInterface;
    return this.drilledLink === link;
  }

  #outbound(now: Instant, queued: QueuedPacket, verdicts: Verdicts): void {
    const { id, payload: packet } = queued;
    const context = this.#contexts.outbound(packet, queued.mark);
    const mapping = context?.mapping;
    if (context === undefined || mapping === undefined) {
      // The null mapping: a fork has the pair's packets queued, or the rule for them is on its
      // way out. The mark has this one routed by its ULID's uplink, and tells that it is counted.
      context?.traffic.out(now, packet.length);
      this.#counters.add("passed-unmapped");
      return verdicts.accept(id, queued.mark | LOCATOR_MARK);
    }
    if (packet.length + PAYLOAD_HEADER_LENGTH > mapping.pathMtu) {
      return this.#outboundOversize(now, queued, context, mapping, verdicts);
    }
    if (!this.#rewrite(queued, packet, mapping, verdicts)) return;
    context.traffic.out(now, packet.length);
    context.flows.note(packet);
  }

  /** Gives the verdict: `packet` rewritten. @returns false when it had to be to drop it */
  #rewrite(
    { id, mark }: QueuedPacket,
    packet: Uint8Array,
    { mapping, addresses }: ActiveMapping,
    verdicts: Verdicts,
  ): boolean {
    const port = isEncapsulated(mapping.locators) ? this.#udpPort : undefined;
    const added = PAYLOAD_HEADER_LENGTH + (port === undefined ? 0 : UDP_HEADER_LENGTH);
    const at = verdicts.reserve(packet.length + added);
    const length = writeRewritten(verdicts.room, at, packet, addresses, mapping.peerTag, port);
    if (typeof length === "number") {
      verdicts.replaceReserved(id, length, mark | LOCATOR_MARK);
      return true;
    }
    this.#counters.add("drop-outbound-malformed");
    verdicts.drop(id);
    return false;
  }

  /**
   * The first fragment takes the packet's own way, so that connection tracking confirms it; the
   * others are sent beside it.
   */
  #outboundOversize(
    now: Instant,
    queued: QueuedPacket,
    context: PlaneContext,
    mapping: ActiveMapping,
    verdicts: Verdicts,
  ): void {
    const { payload: packet } = queued;
    const [first, ...others] = this.#oversize.fit(packet, mapping);
    if (first === undefined) return verdicts.drop(queued.id);
    if (!this.#rewrite(queued, first, mapping, verdicts)) return;
    context.traffic.out(now, packet.length);
    for (const fragment of others) this.#oversize.send(fragment, mapping);
  }

  #inbound(now: Instant, queued: QueuedPacket, verdicts: Verdicts): void {
    const { id, payload: packet } = queued;
    if (packet[NEXT_HEADER_OFFSET] === PROTOCOL_ICMPV6) {
      return this.#icmpError(now, queued, verdicts);
    }
    if (packet[NEXT_HEADER_OFFSET] !== PROTOCOL_FRAGMENT) {
      return this.#inboundShim6(now, queued, packet, verdicts);
    }
    // Not as we send it, but a Fragment header in front is what other implementations may do.
    const whole = this.#reassemble(now, id, packet, verdicts);
    if (whole !== undefined) this.#inboundShim6(now, queued, whole, verdicts);
  }

  /** @param packet what the queue gave, or the whole of which that was the last fragment */
  #inboundShim6(now: Instant, queued: QueuedPacket, packet: Uint8Array, verdicts: Verdicts): void {
    const { id, mark } = queued;
    const header = findPayloadHeader(packet, this.#udpPort);
    if (!header.ok) {
      if (header.error === "no-payload-header") {
        this.#counters.add("passed-control");
        return verdicts.replace(id, packet);
      }
      this.#counters.add("drop-inbound-malformed");
      return verdicts.drop(id);
    }
    const { tag, nextHeader, encapsulated } = header.value;
    const context = this.#contexts.get(tag);
    if (context === undefined) {
      this.#counters.add("drop-unknown-tag");
      verdicts.drop(id);
      return this.#raiseUnknownTag(now, packet, tag, encapsulated);
    }
    // Whatever the addresses: payload is demultiplexed by tag alone (RFC 5533 section 12.4).
    if (nextHeader === PROTOCOL_FRAGMENT) {
      this.#restoreFragment(now, queued, packet, context, verdicts);
    } else {
      const at = verdicts.reserve(packet.length);
      const { inboundAddresses } = context;
      const length = writeRestored(verdicts.room, at, packet, header.value, inboundAddresses);
      // The mark tells it from packets that are still to be counted.
      verdicts.replaceReserved(id, length, mark | LOCATOR_MARK);
      context.traffic.in(now, length);
    }
    if (context.watched) this.#events.inboundPayload(now, tag, true);
  }

  /** The whole packet comes out with its last fragment. */
  #restoreFragment(
    now: Instant,
    { id, mark }: QueuedPacket,
    packet: Uint8Array,
    { traffic, peerUlid, localUlid }: PlaneContext,
    verdicts: Verdicts,
  ): void {
    const fragment = removePayloadHeader(packet, peerUlid, localUlid, this.#udpPort);
    if (!fragment.ok) throw new Error(`no payload header after all: ${fragment.error}`);
    traffic.in(now, fragment.value.length);
    const whole = this.#reassemble(now, id, fragment.value, verdicts);
    if (whole !== undefined) verdicts.replace(id, whole, mark | LOCATOR_MARK);
  }

  #raiseUnknownTag(now: Instant, packet: Uint8Array, tag: ContextTag, encapsulated: boolean): void {
    const source = addressFromBytes(packet, SOURCE_OFFSET);
    const destination = addressFromBytes(packet, DESTINATION_OFFSET);
    this.#events.unknownTag(now, source, destination, tag, encapsulated);
  }

  /** The whole packet with its last fragment; `undefined` when the verdict is given already. */
  #reassemble(
    now: Instant,
    id: number,
    packet: Uint8Array,
    verdicts: Verdicts,
  ): Uint8Array | undefined {
    const reassembly = this.#reassembler.add(now, packet);
    switch (reassembly.kind) {
      case "whole":
        this.#counters.add("reassembled");
        return reassembly.packet;
      case "not-a-fragment":
        return packet;
      case "bad":
        this.#counters.add("drop-fragment");
        verdicts.drop(id);
        return undefined;
      case "held":
        verdicts.drop(id);
        return undefined;
    }
  }

  /**
   * The shim hears of every error about its contexts as it came; the socket that reads ICMPv6
   * gets what is left of it afterwards.
   */
  #icmpError(now: Instant, { id, payload: packet }: QueuedPacket, verdicts: Verdicts): void {
    const quoted = findQuotedPayload(packet, this.#udpPort);
    if (quoted.ok) this.#rewrittenInError(now, id, packet, quoted.value, verdicts);
    else this.#plainInError(now, id, packet, verdicts);
  }

  /** An error about a rewritten packet is shown to the ULP as one about its own packet. */
  #rewrittenInError(
    now: Instant,
    id: number,
    packet: Uint8Array,
    quoted: QuotedPayload,
    verdicts: Verdicts,
  ): void {
    const context = this.#findQuoted(quoted);
    const translated =
      context && translateIcmpError(packet, context.localUlid, context.peerUlid, this.#udpPort);
    if (context?.mapping === undefined || !translated?.ok) {
      this.#counters.add("passed-icmp-error");
      return verdicts.accept(id);
    }
    const { type, parameter: mtu } = quoted.error;
    if (type === ICMP_PACKET_TOO_BIG && mtu >= MINIMUM_MTU) {
      const carried = mtu - udpLength(context.mapping.mapping.locators);
      context.mapping.pathMtu = Math.min(context.mapping.pathMtu, carried);
    }
    this.#raiseIcmpError(now, packet, quoted.icmpOffset);
    if (context.withholding && concernsPath(quoted.error)) return this.#withhold(id, verdicts);
    this.#counters.add("translated-icmp-error");
    verdicts.replace(id, translated.value);
  }

  /** An error about a packet that left unchanged, in the null mapping. */
  #plainInError(now: Instant, id: number, packet: Uint8Array, verdicts: Verdicts): void {
    const found = findIcmpError(packet);
    const sent = found.ok ? found.value.error.packetInError : new Uint8Array();
    const context =
      sent.length < IPV6_HEADER_LENGTH
        ? undefined
        : this.#contexts.byPair(sent, SOURCE_OFFSET, DESTINATION_OFFSET);
    if (!found.ok || !context?.withholding || !concernsPath(found.value.error)) {
      return verdicts.accept(id);
    }
    this.#raiseIcmpError(now, packet, found.value.icmpOffset);
    this.#withhold(id, verdicts);
  }

  #raiseIcmpError(now: Instant, packet: Uint8Array, icmpOffset: number): void {
    const source = addressFromBytes(packet, SOURCE_OFFSET);
    this.#events.icmpError(now, source, packet.slice(icmpOffset));
  }

  #withhold(id: number, verdicts: Verdicts): void {
    this.#counters.add("withheld-icmp-error");
    verdicts.drop(id);
  }

  #findQuoted({ tag, error }: QuotedPayload): PlaneContext | undefined {
    const peerLocator = addressFromBytes(error.packetInError, DESTINATION_OFFSET);
    return this.#contexts.byPeerTag(tag, peerLocator);
  }
}
