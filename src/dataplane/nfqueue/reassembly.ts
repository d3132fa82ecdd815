import { type Duration, type Instant, seconds } from "../../core/time.ts";
import { MAX_REPLACEMENT_LENGTH } from "../../linux/verdict-buffer.ts";
import {
  IPV6_HEADER_LENGTH,
  nextHeaderFieldOf,
  PROTOCOL_FRAGMENT,
  SOURCE_OFFSET,
  setPayloadLength,
  walkHeaders,
} from "../../wire/ipv6.ts";
import { FRAGMENT_HEADER_LENGTH } from "../fragmentation.ts";

/** RFC 8200 section 4.5. */
const REASSEMBLY_TIMEOUT: Duration = seconds(60);
const DEFAULT_CAPACITY = 64;
const MAXIMUM_PAYLOAD_LENGTH = 65_535;

/** What {@link Reassembler.add} made of a packet. */
export type Reassembly =
  | { readonly kind: "whole"; readonly packet: Uint8Array }
  /** Kept until the rest comes. */
  | { readonly kind: "held" }
  | { readonly kind: "not-a-fragment" }
  /** Malformed or overlapping: its datagram is given up (RFC 8200 section 4.5). */
  | { readonly kind: "bad" };

interface Part {
  /** Octets from the start of the fragmentable part. */
  readonly start: number;
  readonly bytes: Uint8Array;
}

interface Datagram {
  readonly since: Instant;
  readonly parts: Part[];
  received: number;
  /** Octets of the fragmentable part; known from the last fragment. */
  total: number | undefined;
  /** The headers before the Fragment header, from the first fragment, naming what follows it. */
  headers: Uint8Array | undefined;
}

interface Fragment extends Part {
  readonly key: string;
  readonly more: boolean;
  readonly headers: Uint8Array;
}

/**
 * Puts fragments together. Where connection tracking is on, the kernel does that before our
 * inbound hook sees a packet; a Fragment header behind the Shim6 header comes to light only
 * after that, and a stateful firewall would then drop the fragments as invalid.
 */
export class Reassembler {
  readonly #datagrams = new Map<string, Datagram>();
  readonly #capacity: number;

  /** @param capacity datagrams in the making at most, of up to 64 KiB each */
  constructor(capacity = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
  }

  /** Takes a whole IPv6 packet; copies what it keeps of it. */
  add(now: Instant, packet: Uint8Array): Reassembly {
    const at = fragmentHeaderOffset(packet);
    if (at === undefined) return { kind: "not-a-fragment" };
    const fragment = readFragment(packet, at);
    this.#expire(now);
    const datagram = this.#datagrams.get(fragment.key) ?? this.#begin(now, fragment.key);
    if (!accepts(datagram, fragment)) {
      this.#datagrams.delete(fragment.key);
      return { kind: "bad" };
    }
    datagram.parts.push({ start: fragment.start, bytes: fragment.bytes });
    datagram.received += fragment.bytes.length;
    if (!fragment.more) datagram.total = fragment.start + fragment.bytes.length;
    if (fragment.start === 0) datagram.headers = fragment.headers;
    if (datagram.received !== datagram.total) return { kind: "held" };
    this.#datagrams.delete(fragment.key);
    return assemble(datagram);
  }

  #begin(now: Instant, key: string): Datagram {
    for (const oldest of this.#datagrams.keys()) {
      if (this.#datagrams.size < this.#capacity) break;
      this.#datagrams.delete(oldest);
    }
    const datagram: Datagram = {
      since: now,
      parts: [],
      received: 0,
      total: undefined,
      headers: undefined,
    };
    this.#datagrams.set(key, datagram);
    return datagram;
  }

  #expire(now: Instant): void {
    for (const [key, { since }] of this.#datagrams) {
      if (now - since < REASSEMBLY_TIMEOUT) return;
      this.#datagrams.delete(key);
    }
  }
}

function fragmentHeaderOffset(packet: Uint8Array): number | undefined {
  const chain = walkHeaders(packet);
  if (!chain.ok) return undefined;
  return chain.value.extensions.find(({ protocol }) => protocol === PROTOCOL_FRAGMENT)?.offset;
}

/** @param at where the Fragment header stands */
function readFragment(packet: Uint8Array, at: number): Fragment {
  const view = new DataView(packet.buffer, packet.byteOffset + at, FRAGMENT_HEADER_LENGTH);
  const offsetAndMore = view.getUint16(2);
  const headers = packet.slice(0, at);
  headers[nextHeaderFieldOf(packet, at)] = packet[at] as number;
  const addresses = Buffer.from(packet.buffer, packet.byteOffset + SOURCE_OFFSET, 32);
  return {
    key: `${addresses.toString("latin1")}${view.getUint32(4)}`,
    start: offsetAndMore & ~7,
    more: (offsetAndMore & 1) !== 0,
    bytes: packet.slice(at + FRAGMENT_HEADER_LENGTH),
    headers,
  };
}

function accepts(datagram: Datagram, { start, bytes, more }: Fragment): boolean {
  const end = start + bytes.length;
  if (bytes.length === 0 || end > MAXIMUM_PAYLOAD_LENGTH) return false;
  if (more && bytes.length % 8 !== 0) return false;
  if (datagram.total !== undefined && (!more || end > datagram.total)) return false;
  return datagram.parts.every((part) => {
    const beyond = !more && part.start >= end;
    return !beyond && (part.start >= end || part.start + part.bytes.length <= start);
  });
}

/** Nothing overlaps and the lengths add up, so nothing is missing. */
function assemble({ headers, parts, total }: Datagram): Reassembly {
  if (headers === undefined || total === undefined) return { kind: "bad" };
  const length = headers.length + total;
  if (length > MAX_REPLACEMENT_LENGTH) return { kind: "bad" };
  const packet = new Uint8Array(length);
  packet.set(headers);
  for (const { start, bytes } of parts) packet.set(bytes, headers.length + start);
  setPayloadLength(packet, length - IPV6_HEADER_LENGTH);
  return { kind: "whole", packet };
}
