import type { ContextView } from "../../core/view.ts";
import { type Address, addressFromBytes } from "../../wire/address.ts";
import { DESTINATION_OFFSET, SOURCE_OFFSET, shim6OffsetAt, walkHeaders } from "../../wire/ipv6.ts";
import { decodePayloadHeader } from "../../wire/payload-header.ts";
import type { ContextTag } from "../../wire/tag.ts";

export interface PayloadContextsParts {
  readonly context: (tag: ContextTag) => ContextView | undefined;
  readonly contexts: () => readonly ContextView[];
  /** Of Shim6 in UDP. */
  readonly udpPort: number | undefined;
}

/** A packet of payload, by what stands in it. */
export interface Payload {
  readonly source: Address;
  readonly destination: Address;
  /** Of the payload extension header; `undefined` for a plain packet. */
  readonly tag: ContextTag | undefined;
}

interface Index {
  /** By {@link keyOf} of their ULIDs. */
  readonly plain: ReadonlyMap<string, ContextTag>;
  readonly byPeerTag: ReadonlyMap<ContextTag, readonly ContextTag[]>;
}

/** Finds the context of a packet as it is on the wire. */
export class PayloadContexts {
  readonly #parts: PayloadContextsParts;
  #index: Index | undefined;

  constructor(parts: PayloadContextsParts) {
    this.#parts = parts;
  }

  /** Events have told of contexts that are new, or other than before. */
  forget(): void {
    this.#index = undefined;
  }

  /** @param packet its beginning, with all its headers. `undefined` for what is no payload. */
  read(packet: Uint8Array): Payload | undefined {
    const chain = walkHeaders(packet);
    if (!chain.ok) return undefined;
    const { protocol, offset, fragment } = chain.value;
    const source = addressFromBytes(packet, SOURCE_OFFSET);
    const destination = addressFromBytes(packet, DESTINATION_OFFSET);
    const at =
      fragment === "later"
        ? undefined
        : shim6OffsetAt(packet, protocol, offset, this.#parts.udpPort);
    if (at === undefined) return { source, destination, tag: undefined };
    const header = decodePayloadHeader(packet.subarray(at));
    return header.ok ? { source, destination, tag: header.value.receiverContextTag } : undefined;
  }

  contextOf(payload: Payload, direction: "out" | "in"): ContextView | undefined {
    return direction === "out" ? this.#senderOf(payload) : this.#receiverOf(payload);
  }

  /** A tag in what came in is ours. */
  #receiverOf({ source, destination, tag }: Payload): ContextView | undefined {
    const ours = tag ?? this.#known.plain.get(keyOf(destination, source));
    return ours === undefined ? undefined : this.#parts.context(ours);
  }

  /** A tag in what leaves is the peer's, and may be another peer's, too. */
  #senderOf({ source, destination, tag }: Payload): ContextView | undefined {
    const { plain, byPeerTag } = this.#known;
    if (tag !== undefined) {
      const found = (byPeerTag.get(tag) ?? []).map(this.#parts.context);
      return found.find((context) => context && isPeerLocator(context, destination));
    }
    const ours = plain.get(keyOf(source, destination));
    return ours === undefined ? undefined : this.#parts.context(ours);
  }

  get #known(): Index {
    this.#index ??= indexOf(this.#parts.contexts());
    return this.#index;
  }
}

function indexOf(contexts: readonly ContextView[]): Index {
  // What has no payload extension header is the default context's (RFC 5533 section 4.2).
  const carriers = contexts.filter(({ forkedInstance }) => forkedInstance === 0);
  const byPeerTag = new Map<ContextTag, ContextTag[]>();
  for (const { tag, peerTag } of contexts) {
    if (peerTag !== undefined) byPeerTag.set(peerTag, [...(byPeerTag.get(peerTag) ?? []), tag]);
  }
  return {
    plain: new Map(carriers.map(({ tag, ulids }) => [keyOf(ulids.local, ulids.peer), tag])),
    byPeerTag,
  };
}

function keyOf(local: Address, peer: Address): string {
  return `${local} ${peer}`;
}

function isPeerLocator(context: ContextView, address: Address): boolean {
  return (
    context.locators.peer === address ||
    context.peerLocators.some((locator) => locator.address === address)
  );
}
