import type { ContextView } from "../../core/view.ts";
import type { OpenPackets, PacketTap, SeenPacket } from "../../linux/packet-socket.ts";
import { IPV6_HEADER_LENGTH, payloadLength } from "../../wire/ipv6.ts";
import { formatTag } from "../../wire/tag.ts";
import { type Payload, PayloadContexts, type PayloadContextsParts } from "./payload-contexts.ts";

/** Octets in which the headers of a packet are looked for, however little of it is kept. */
const HEADERS_LENGTH = 256;

export interface PayloadTapsParts extends PayloadContextsParts {
  /** The uplinks, with their interface indices. */
  readonly uplinks: () => readonly { readonly interface: string; readonly link: number }[];
  readonly openPackets: OpenPackets;
}

interface PayloadReader {
  packet(interfaceName: string, at: number, packet: Uint8Array, comment: string): void;
  missed(count: number): void;
}

/** Payload of contexts for those who capture it, as it is on the uplinks. */
export class PayloadTaps {
  readonly #parts: PayloadTapsParts;
  readonly #contexts: PayloadContexts;

  constructor(parts: PayloadTapsParts) {
    this.#parts = parts;
    this.#contexts = new PayloadContexts(parts);
  }

  contextsChanged(): void {
    this.#contexts.forget();
  }

  /** @throws SystemError */
  open(reader: PayloadReader, snapLength: number, onError: (error: Error) => void): PacketTap {
    const handle = (packets: readonly SeenPacket[]): void => {
      const missed = tap.takeMissed();
      if (missed > 0) reader.missed(missed);
      for (const packet of packets) this.#tell(reader, packet, snapLength);
    };
    const length = Math.max(snapLength, HEADERS_LENGTH);
    const tap = this.#parts.openPackets(length, handle, onError);
    return tap;
  }

  #tell(reader: PayloadReader, packet: SeenPacket, snapLength: number): void {
    const { at, direction, bytes } = packet;
    const uplink = this.#parts.uplinks().find(({ link }) => link === packet.interface);
    const payload = uplink === undefined ? undefined : this.#contexts.read(bytes);
    if (uplink === undefined || payload === undefined) return;
    const context = this.#contexts.contextOf(payload, direction);
    if (context === undefined) return;
    // Behind the packet there may be padding of the link layer.
    const length = Math.min(snapLength, IPV6_HEADER_LENGTH + payloadLength(bytes));
    const comment = commentOn(direction, payload, context);
    reader.packet(uplink.interface, at, bytes.subarray(0, length), comment);
  }
}

function commentOn(direction: "out" | "in", payload: Payload, context: ContextView): string {
  const { source, destination, tag } = payload;
  const [local, peer] = direction === "out" ? [source, destination] : [destination, source];
  return [
    `payload ${direction}`,
    `context ${formatTag(context.tag)}`,
    `${context.ulids.local} > ${context.ulids.peer}`,
    `pair: ${local} > ${peer}`,
    tag === undefined ? "plain" : "with payload extension header",
  ].join("; ");
}
