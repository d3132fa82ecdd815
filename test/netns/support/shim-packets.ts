import fc from "fast-check";
import type { AddressPair } from "../../../src/core/output.ts";
import type { RoutedMapping } from "../../../src/dataplane/ebpf/layout.ts";
import { literal } from "../../../src/lab/topology.ts";
import { addressToBytes } from "../../../src/wire/address.ts";
import { DESTINATION_OFFSET, SOURCE_OFFSET } from "../../../src/wire/ipv6.ts";
import { addPayloadHeader } from "../../../src/wire/payload.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import { bytes } from "../../wire/support/arbitraries.ts";
import {
  authentication,
  extension,
  fragment,
  ipv6,
  type Part,
  upperLayer,
} from "../../wire/support/packets.ts";

/** As the host under test sees them. */
export const ULIDS: AddressPair = { local: literal("2001:db8:1::1"), peer: literal("fd00::2") };
export const LOCATORS: AddressPair = {
  local: literal("2001:db8:2::1"),
  peer: literal("3fff:2::2"),
};
export const OUR_TAG = contextTag(0x1234_5678_9abc);
export const PEER_TAG = contextTag(0x7edc_ba98_7654);

export const LOCAL_ULID = addressToBytes(ULIDS.local);
export const PEER_ULID = addressToBytes(ULIDS.peer);
export const LOCAL_LOCATOR = addressToBytes(LOCATORS.local);
export const PEER_LOCATOR = addressToBytes(LOCATORS.peer);

/** Limits of bpf/shim6.bpf.c: what stands before a Shim6 header. */
const HEADERS_MAX = 4;
const EXTENSIONS_MAX = 256;

export const MAPPING: RoutedMapping = {
  mapping: { ulids: ULIDS, locators: LOCATORS, peerTag: PEER_TAG },
  way: { link: 1, gateway: undefined, mtu: 9000 },
};

const routingSublayer = fc
  .tuple(fc.constantFrom(0, 43, 60), fc.oneof({ weight: 4, arbitrary: fc.nat(4) }, fc.nat(40)))
  .map(([protocol, units]) => extension(protocol, units, 0xa5));

const otherExtension = fc.oneof(
  fc.tuple(fc.nat(100), fc.boolean()).map(([offset, more]) => fragment(offset, more)),
  fc.nat(4).map((units) => authentication(2 * units)),
);

/** Chains that a Shim6 header goes in, some of them too long. */
const chain = fc
  .tuple(
    fc.array(routingSublayer, { maxLength: 6 }),
    fc.array(fc.oneof(otherExtension, routingSublayer), { maxLength: 3 }),
  )
  .map((parts) => parts.flat());

const ports = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }));

/** An upper layer that the shim counts as payload, with small port numbers where it has some. */
const payload: fc.Arbitrary<Part> = fc
  .tuple(fc.constantFrom(6, 17, 33, 50, 58, 59, 132), ports, bytes(200))
  .map(([protocol, [local, peer], rest]) => {
    const head = protocol === 58 ? [128, 0, 0, 0] : [0, local, 0, peer];
    return upperLayer(protocol, Uint8Array.from([...head, ...rest]));
  });

const firstWord = bytes(4, 4).map((word) =>
  Uint8Array.from(word, (octet, i) => (i ? octet : 0x60 | (octet & 15))),
);

/** Packets between two addresses with any traffic class, flow label, hop limit and headers. */
export function packetBetween(
  source: Uint8Array,
  destination: Uint8Array,
): fc.Arbitrary<Uint8Array> {
  return fc.tuple(chain, payload, firstWord, fc.nat(255)).map(([extensions, upper, word, hops]) => {
    const packet = ipv6(source, destination, [...extensions, upper]);
    packet.set(word);
    packet[7] = hops;
    return packet;
  });
}

/** What Ethernet puts behind a packet that is too short for it. */
export const padding = fc.oneof(fc.constant(new Uint8Array(0)), bytes(20, 1));

/** Whether the kernel's half can put a Shim6 header into the packet. */
export function isWithinLimits(packet: Uint8Array): boolean {
  let at = 40;
  let insertion = at;
  let protocol = packet[6] as number;
  let headers = 0;
  while ((protocol === 0 && at === 40) || protocol === 43 || protocol === 60) {
    headers++;
    const next = at + 8 * ((packet[at + 1] as number) + 1);
    if (protocol !== 60) insertion = next;
    protocol = packet[at] as number;
    at = next;
  }
  return headers <= HEADERS_MAX && insertion - 40 <= EXTENSIONS_MAX;
}

/** The packet between ULIDs as it is on the wire, from `source` to `destination`. */
export function rewritten(
  packet: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  tag = PEER_TAG,
): Uint8Array {
  const added = addPayloadHeader(packet, source, destination, tag);
  if (!added.ok) throw new Error(added.error);
  return added.value;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Compared many times faster than octets. */
export function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

/** The packet with other addresses. */
export function readdressed(
  packet: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): Uint8Array {
  const copy = Uint8Array.from(packet);
  copy.set(source, SOURCE_OFFSET);
  copy.set(destination, DESTINATION_OFFSET);
  return copy;
}
