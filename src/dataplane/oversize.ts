import { isEncapsulated, type Mapping } from "../core/output.ts";
import type { OutgoingMessage } from "../linux/raw-socket.ts";
import { MAX_MESSAGE_LENGTH } from "../linux/raw-socket.ts";
import type { OutgoingShim6 } from "../linux/shim6-socket.ts";
import { addressFromBytes, addressToBytes } from "../wire/address.ts";
import { buildPacketTooBig } from "../wire/icmp6.ts";
import {
  DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH,
  MINIMUM_MTU,
  NEXT_HEADER_OFFSET,
  PROTOCOL_FRAGMENT,
  PROTOCOL_SHIM6,
  SOURCE_OFFSET,
} from "../wire/ipv6.ts";
import { addPayloadHeader } from "../wire/payload.ts";
import { PAYLOAD_HEADER_LENGTH } from "../wire/payload-header.ts";
import { fragmentPacket } from "./fragmentation.ts";

const PROTOCOL_TCP = 6;

/** How the plane sends what no verdict can carry. Both may throw what the system says. */
export interface OversizeSockets {
  sendShim6(message: OutgoingShim6): void;
  sendIcmp(message: OutgoingMessage): void;
  warn(message: string): void;
}

/** Where the packet goes. */
export interface OversizePath {
  readonly mapping: Pick<Mapping, "locators" | "peerTag">;
  /** Octets that a packet may have on the way, without a UDP header. */
  readonly pathMtu: number;
}

interface OversizeCounters {
  add(name: "fragmented" | "drop-too-big" | "drop-outbound-malformed" | "send-failed"): void;
}

/**
 * Packets between ULIDs that the payload header makes larger than the path's MTU. The route of
 * the ULID pair tells the ULP about the 8 octets, so that these are the exception: segments
 * that were queued before the switch, a path MTU that has just fallen, large datagrams.
 */
export class Oversize {
  readonly #sockets: OversizeSockets;
  readonly #counters: OversizeCounters;
  #identification: number;

  /** @param identification the first one for fragments: 32 bits that nobody can guess */
  constructor(sockets: OversizeSockets, counters: OversizeCounters, identification: number) {
    this.#sockets = sockets;
    this.#counters = counters;
    this.#identification = identification;
  }

  /**
   * The fragments in which the packet is to leave; none when it must not, and then a Packet Too
   * Big told its sender. TCP never leaves in fragments, unless the path cannot carry 1288
   * octets: less than 1280 is no MTU for a ULP. What the kernel would have cut up, or what
   * already fills the ULP's own idea of the MTU, must be fragmented here.
   */
  fit(packet: Uint8Array, mapping: OversizePath): Uint8Array[] {
    const mtu = mapping.pathMtu - PAYLOAD_HEADER_LENGTH;
    if (packet[NEXT_HEADER_OFFSET] !== PROTOCOL_TCP || mtu < MINIMUM_MTU) {
      const limit = Math.min(mtu, IPV6_HEADER_LENGTH + MAX_MESSAGE_LENGTH - PAYLOAD_HEADER_LENGTH);
      this.#identification = (this.#identification + 1) >>> 0;
      const fragments = fragmentPacket(packet, limit, this.#identification);
      if (fragments.ok && areSendable(fragments.value)) {
        this.#counters.add("fragmented");
        return fragments.value;
      }
    }
    this.#counters.add("drop-too-big");
    this.#sendPacketTooBig(packet, Math.max(mtu, MINIMUM_MTU));
    return [];
  }

  /**
   * Sends a fragment, or a packet that fits and has no extension headers for routers, on the
   * mapping's locators with the payload header.
   */
  send(packet: Uint8Array, mapping: OversizePath): void {
    const { locators, peerTag } = mapping.mapping;
    const [source, destination] = [addressToBytes(locators.local), addressToBytes(locators.peer)];
    const rewritten = addPayloadHeader(packet, source, destination, peerTag);
    if (!rewritten.ok || rewritten.value[NEXT_HEADER_OFFSET] !== PROTOCOL_SHIM6) {
      return this.#counters.add("drop-outbound-malformed");
    }
    this.#try("a packet", () =>
      this.#sockets.sendShim6({
        source: locators.local,
        destination: locators.peer,
        encapsulated: isEncapsulated(locators),
        bytes: rewritten.value.subarray(IPV6_HEADER_LENGTH),
      }),
    );
  }

  /** To the ULID from itself: so it needs no route but the loopback's. */
  #sendPacketTooBig(packet: Uint8Array, mtu: number): void {
    const ulid = packet.subarray(SOURCE_OFFSET, DESTINATION_OFFSET);
    const address = addressFromBytes(ulid);
    const bytes = buildPacketTooBig(ulid, ulid, mtu, packet);
    this.#try("a Packet Too Big", () =>
      this.#sockets.sendIcmp({ source: address, destination: address, bytes }),
    );
  }

  #try(what: string, send: () => void): void {
    try {
      send();
    } catch (error) {
      this.#counters.add("send-failed");
      this.#sockets.warn(`${what} did not leave: ${(error as Error).message}`);
    }
  }
}

/** The raw socket sends no extension headers in front of the Shim6 header. */
function areSendable(fragments: readonly Uint8Array[]): boolean {
  return fragments.length === 1 || fragments[0]?.[NEXT_HEADER_OFFSET] === PROTOCOL_FRAGMENT;
}
