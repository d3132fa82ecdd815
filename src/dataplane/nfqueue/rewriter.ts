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
import { addPayloadHeader, findPayloadHeader, removePayloadHeader } from "../../wire/payload.ts";
import { PAYLOAD_HEADER_LENGTH } from "../../wire/payload-header.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { DataPlaneEvents } from "../dataplane.ts";
import type { Oversize } from "../oversize.ts";
import { LOCATOR_MARK, udpLength } from "../ulid-routes.ts";
import type { ActiveMapping, PlaneContext, PlaneContextTable } from "./context-table.ts";
import type { PlaneCounters } from "./counters.ts";
import { HOOK_LOCAL_OUT, HOOK_POST_ROUTING } from "./observer.ts";
import { Reassembler } from "./reassembly.ts";

const SCRATCH_LENGTH = 65_536 + IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH + PAYLOAD_HEADER_LENGTH;
/** Octets of a packet on Ethernet with its tag. */
const USUAL_LENGTH = 1518;

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
  /** Verdicts copy their packet, so that one array serves for all. */
  readonly #scratch = new Uint8Array(SCRATCH_LENGTH);
  /** Its beginnings by length, as far as packets of usual lengths needed them. */
  readonly #rooms = new Array<Uint8Array | undefined>(USUAL_LENGTH + 1);

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
    const rewritten = this.#addHeader(packet, mapping);
    if (rewritten === undefined) return verdicts.drop(id);
    context.traffic.out(now, packet.length);
    context.flows.note(packet);
    verdicts.replace(id, rewritten, queued.mark | LOCATOR_MARK);
  }

  #addHeader(packet: Uint8Array, mapping: ActiveMapping): Uint8Array | undefined {
    const { localLocator, peerLocator } = mapping;
    const { locators, peerTag } = mapping.mapping;
    const port = isEncapsulated(locators) ? this.#udpPort : undefined;
    const added = PAYLOAD_HEADER_LENGTH + (port === undefined ? 0 : UDP_HEADER_LENGTH);
    const out = this.#room(packet.length + added);
    const rewritten = addPayloadHeader(packet, localLocator, peerLocator, peerTag, out, port);
    if (rewritten.ok) return rewritten.value;
    this.#counters.add("drop-outbound-malformed");
    return undefined;
  }

  /** An array of that length for a rewritten packet: to make one costs more than to write it. */
  #room(length: number): Uint8Array {
    if (length > USUAL_LENGTH) return this.#scratch;
    this.#rooms[length] ??= this.#scratch.subarray(0, length);
    return this.#rooms[length];
  }

  /**
   * The first fragment takes the packet's own way, so that connection tracking confirms it; the
   * others are sent beside it.
   */
  #outboundOversize(
    now: Instant,
    { id, mark, payload: packet }: QueuedPacket,
    context: PlaneContext,
    mapping: ActiveMapping,
    verdicts: Verdicts,
  ): void {
    const [first, ...others] = this.#oversize.fit(packet, mapping);
    const rewritten = first && this.#addHeader(first, mapping);
    if (rewritten === undefined) return verdicts.drop(id);
    context.traffic.out(now, packet.length);
    verdicts.replace(id, rewritten, mark | LOCATOR_MARK);
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
  #inboundShim6(
    now: Instant,
    { id, mark }: QueuedPacket,
    packet: Uint8Array,
    verdicts: Verdicts,
  ): void {
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
    const { peerUlid, localUlid } = context;
    const restored = removePayloadHeader(packet, peerUlid, localUlid, this.#scratch, this.#udpPort);
    if (!restored.ok) {
      this.#counters.add("drop-inbound-malformed");
      return verdicts.drop(id);
    }
    context.traffic.in(now, restored.value.length);
    const whole =
      nextHeader === PROTOCOL_FRAGMENT
        ? this.#reassemble(now, id, restored.value, verdicts)
        : restored.value;
    // The mark tells it from packets that are still to be counted.
    if (whole !== undefined) verdicts.replace(id, whole, mark | LOCATOR_MARK);
    if (context.watched) this.#events.inboundPayload(now, tag, true);
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
