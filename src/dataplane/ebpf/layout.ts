import type { FlowSelector, PortRange } from "../../core/flow-selector.ts";
import { type AddressPair, isEncapsulated, type Mapping } from "../../core/output.ts";
import { type Duration, type Instant, instant } from "../../core/time.ts";
import type { Egress } from "../../linux/route-lookup.ts";
import type { TcpConnection } from "../../linux/socket-diag.ts";
import {
  ADDRESS_LENGTH,
  type Address,
  addressFromBytes,
  addressToBytes,
  writeAddress,
} from "../../wire/address.ts";
import { PAYLOAD_HEADER_LENGTH, writePayloadHeader } from "../../wire/payload-header.ts";
import type { ContextTag } from "../../wire/tag.ts";

/*
 * The structures of bpf/shim6.h, octet by octet: little-endian but for what is of the network.
 */

/** A daemon takes over only maps of its own version. */
export const LAYOUT_VERSION = 8;

/** A pair whose packets without a tag are no context's: only forks have it. */
export const NO_SLOT = 0xffff_ffff;

/** Forks of one ULID pair that the kernel looks at. */
export const FORKS_MAX = 16;

const PAIR_LENGTH = 2 * ADDRESS_LENGTH;
const WAY_LENGTH = 8 + ADDRESS_LENGTH;
const MAPPING_WAY_OFFSET = PAIR_LENGTH + PAYLOAD_HEADER_LENGTH;
const MAPPING_LENGTH = MAPPING_WAY_OFFSET + WAY_LENGTH + 4;
const PAIR_STATE_LENGTH = 16 + WAY_LENGTH + MAPPING_LENGTH;
const PLAIN_OFFSET = 16;
const PAIR_MAPPING_OFFSET = PLAIN_OFFSET + WAY_LENGTH;
const SELECTOR_LENGTH = 24;
const FORK_LENGTH = 4 + SELECTOR_LENGTH + MAPPING_LENGTH;
const TAGGED_LENGTH = 8 + PAIR_LENGTH;
export const SETTINGS_LENGTH = 48;
/** Of the settings: where the generation of what the programs may remember is, 32 bits. */
export const GENERATION = 44;
const EVENT_LENGTH = 64;
export const TCP_QUERY_LENGTH = 56;

export const NANOSECONDS_PER_MILLISECOND = 1e6;

/** Places for each processor in the map `remembered`, and the octets of one. */
export const REMEMBERED_MAX = 64;
export const REMEMBERED_LENGTH = 128;

/**
 * Nanoseconds after which a processor tells a record of what it has seen of a pair. REAP's times are
 * tens of milliseconds at least.
 */
const TELLING_INTERVAL = 1_000_000;

/** The counters of the kernel's half, in the order of `enum counter`. */
export const COUNTERS = [
  "drop-unknown-tag",
  "drop-inbound-malformed",
  "drop-outbound-malformed",
  "oversize",
  "drop-no-route",
  "passed-unmapped",
  "translated-icmp-error",
  "withheld-icmp-error",
  "passed-icmp-error",
  "event-lost",
] as const;

export function encodePair({ local, peer }: AddressPair): Uint8Array {
  const bytes = new Uint8Array(PAIR_LENGTH);
  writePair(bytes, 0, { local, peer });
  return bytes;
}

/** The place of a pair among those of a processor, as the programs have it. */
export function rememberedDigest(ulids: AddressPair): number {
  const words = viewOf(encodePair(ulids));
  let key = 0;
  for (let at = 0; at < PAIR_LENGTH; at += 4) key ^= words.getUint32(at, true);
  key ^= key >>> 16;
  return (key ^ (key >>> 8)) & (REMEMBERED_MAX - 1);
}

export function decodePair(bytes: Uint8Array): AddressPair {
  return readPair(bytes, 0);
}

function writePair(bytes: Uint8Array, at: number, { local, peer }: AddressPair): void {
  writeAddress(local, bytes, at);
  writeAddress(peer, bytes, at + ADDRESS_LENGTH);
}

function readPair(bytes: Uint8Array, at: number): AddressPair {
  return {
    local: addressFromBytes(bytes, at),
    peer: addressFromBytes(bytes, at + ADDRESS_LENGTH),
  };
}

/** A mapping and the way of its packets; `undefined` when the host has no route for it. */
export interface RoutedMapping {
  readonly mapping: Mapping;
  readonly way: Egress | undefined;
}

/** The value of the map `pairs`. */
export interface PairState {
  readonly slot: number;
  readonly mapping: RoutedMapping | undefined;
  readonly forks: number;
  /** The way of the ULIDs themselves. */
  readonly plain: Egress | undefined;
  readonly peerUlid: Address;
}

export function encodePairState(state: PairState): Uint8Array {
  const bytes = new Uint8Array(PAIR_STATE_LENGTH);
  const view = viewOf(bytes);
  view.setUint32(0, state.slot, true);
  view.setUint32(4, state.mapping === undefined ? 0 : 1, true);
  view.setUint32(8, state.forks, true);
  writeWay(bytes, PLAIN_OFFSET, state.plain, state.peerUlid);
  if (state.mapping !== undefined) writeMapping(bytes, PAIR_MAPPING_OFFSET, state.mapping);
  return bytes;
}

/** A destination on the link is its own next hop. */
function writeWay(
  bytes: Uint8Array,
  at: number,
  way: Egress | undefined,
  destination: Address,
): void {
  if (way === undefined) return;
  const view = viewOf(bytes);
  view.setUint32(at, way.link, true);
  view.setUint32(at + 4, way.mtu, true);
  writeAddress(way.gateway ?? destination, bytes, at + 8);
}

function writeMapping(bytes: Uint8Array, at: number, { mapping, way }: RoutedMapping): void {
  writePair(bytes, at, mapping.locators);
  writePayloadHeader(bytes, at + PAIR_LENGTH, 0, mapping.peerTag);
  writeWay(bytes, at + MAPPING_WAY_OFFSET, way, mapping.locators.peer);
  const encapsulated = isEncapsulated(mapping.locators) ? 1 : 0;
  viewOf(bytes).setUint32(at + MAPPING_WAY_OFFSET + WAY_LENGTH, encapsulated, true);
}

/** The key of the map `forks`: index 0 is asked first. */
export function encodeForkKey(ulids: AddressPair, index: number): Uint8Array {
  const bytes = new Uint8Array(PAIR_LENGTH + 4);
  writePair(bytes, 0, ulids);
  viewOf(bytes).setUint32(PAIR_LENGTH, index, true);
  return bytes;
}

export function decodeForkKey(bytes: Uint8Array): { ulids: AddressPair; index: number } {
  return { ulids: readPair(bytes, 0), index: viewOf(bytes).getUint32(PAIR_LENGTH, true) };
}

export function encodeFork(slot: number, routed: RoutedMapping): Uint8Array {
  const bytes = new Uint8Array(FORK_LENGTH);
  viewOf(bytes).setUint32(0, slot, true);
  writeSelector(bytes, 4, routed.mapping.selector ?? {});
  writeMapping(bytes, 4 + SELECTOR_LENGTH, routed);
  return bytes;
}

const SELECT = { protocol: 1, localPorts: 2, peerPorts: 4, dscp: 8, mark: 16 } as const;

function writeSelector(bytes: Uint8Array, at: number, selector: FlowSelector): void {
  const { protocol, localPorts, peerPorts, dscp, mark } = selector;
  const view = viewOf(bytes);
  const criteria = Object.entries(SELECT)
    .filter(([name]) => selector[name as keyof FlowSelector] !== undefined)
    .reduce((sum, [, bit]) => sum | bit, 0);
  view.setUint32(at, criteria, true);
  view.setUint32(at + 4, mark?.value ?? 0, true);
  view.setUint32(at + 8, mark?.mask ?? 0, true);
  writePorts(view, at + 12, localPorts);
  writePorts(view, at + 16, peerPorts);
  bytes[at + 20] = protocol ?? 0;
  bytes[at + 21] = dscp ?? 0;
}

function writePorts(view: DataView, at: number, ports: PortRange | undefined): void {
  view.setUint16(at, ports?.first ?? 0, true);
  view.setUint16(at + 2, ports?.last ?? 0, true);
}

/** The key of the map `tags`. */
export function encodeTag(tag: ContextTag): Uint8Array {
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, BigInt(tag), true);
  return bytes;
}

export function decodeTag(bytes: Uint8Array, at = 0): ContextTag {
  return Number(viewOf(bytes).getBigUint64(at, true)) as ContextTag;
}

/** The key of the map `peer_tags`. */
export function encodePeerTag(locator: Address, tag: ContextTag): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_LENGTH + 8);
  writeAddress(locator, bytes);
  bytes.set(encodeTag(tag), ADDRESS_LENGTH);
  return bytes;
}

/** The value of the maps `tags` and `peer_tags`. */
export function encodeTagged(slot: number, ulids: AddressPair): Uint8Array {
  const bytes = new Uint8Array(TAGGED_LENGTH);
  viewOf(bytes).setUint32(0, slot, true);
  writePair(bytes, 8, ulids);
  return bytes;
}

export function decodeTagged(bytes: Uint8Array): { slot: number; ulids: AddressPair } {
  return { slot: viewOf(bytes).getUint32(0, true), ulids: readPair(bytes, 8) };
}

export interface KernelSettings {
  /** Interface index of the ULID device's host side. */
  readonly ulidDevice: number;
  readonly triggerPackets: number;
  readonly triggerAge: Duration | undefined;
  readonly acquaintedPackets: number;
  /** Of Shim6 in UDP; `undefined` where there is none. */
  readonly udpPort: number | undefined;
  /** Nanoseconds, below 2 ** 32; see {@link TELLING_INTERVAL}, which it is unless it is given. */
  readonly tellingInterval?: number;
}

/** The uplink that is rehearsed as dead, by its interface index, and until when. */
export interface KernelDrill {
  readonly link: number;
  readonly until: Instant;
}

/** All that stands before {@link GENERATION}. */
export function encodeSettings(settings: KernelSettings, drill?: KernelDrill): Uint8Array {
  const bytes = new Uint8Array(GENERATION);
  const view = viewOf(bytes);
  const age = (settings.triggerAge ?? 0) * NANOSECONDS_PER_MILLISECOND;
  view.setUint32(0, LAYOUT_VERSION, true);
  view.setUint32(4, settings.ulidDevice, true);
  view.setBigUint64(8, BigInt(Math.round(age)), true);
  view.setUint32(16, settings.triggerPackets, true);
  view.setUint32(20, settings.acquaintedPackets, true);
  view.setUint32(24, settings.udpPort ?? 0, true);
  view.setUint32(28, drill?.link ?? 0, true);
  const until = (drill?.until ?? 0) * NANOSECONDS_PER_MILLISECOND;
  view.setBigUint64(32, BigInt(Math.round(until)), true);
  view.setUint32(40, settings.tellingInterval ?? TELLING_INTERVAL, true);
  return bytes;
}

export function layoutVersionOf(settings: Uint8Array): number {
  return viewOf(settings).getUint32(0, true);
}

/** What the kernel's half reports: `struct event`. */
export interface KernelEvent {
  readonly kind: (typeof KINDS)[number];
  readonly time: Instant;
  readonly tag: ContextTag;
  /** For an unknown tag source (`local`) and destination (`peer`) of the packet. */
  readonly addresses: AddressPair;
  readonly slot: number;
  /** It had the payload header; of an unknown tag: in UDP. */
  readonly tagged: boolean;
  /** The packet from its IPv6 header on, where one follows. Valid only in the call. */
  readonly packet: Uint8Array;
}

const KINDS = [
  "trigger",
  "unknown-tag",
  "inbound-payload",
  "icmp-error",
  "oversize",
  "acquainted",
  "traffic-resumed",
] as const;

/** `undefined` for a kind that this version does not know. */
export function decodeEvent(record: Uint8Array): KernelEvent | undefined {
  const view = viewOf(record);
  const kind = KINDS[view.getUint32(0, true) - 1];
  if (kind === undefined) return undefined;
  const length = view.getUint32(4, true);
  return {
    kind,
    time: instant(Number(view.getBigUint64(8, true)) / NANOSECONDS_PER_MILLISECOND),
    tag: decodeTag(record, 16),
    addresses: readPair(record, 24),
    slot: view.getUint32(56, true),
    tagged: view.getUint32(60, true) === 1,
    packet: record.subarray(EVENT_LENGTH, EVENT_LENGTH + length),
  };
}

/** The value of `tcp_query`: the kernel looks sockets up as a packet from the peer would. */
export function encodeTcpQuery(ulids: AddressPair, connection: TcpConnection): Uint8Array {
  const bytes = new Uint8Array(TCP_QUERY_LENGTH);
  bytes.set(addressToBytes(ulids.peer), 0);
  bytes.set(addressToBytes(ulids.local), ADDRESS_LENGTH);
  const view = viewOf(bytes);
  view.setUint16(PAIR_LENGTH, connection.peerPort);
  view.setUint16(PAIR_LENGTH + 2, connection.localPort);
  return bytes;
}

/** A TCP socket that waits for an acknowledgement. */
export interface TcpState {
  /** The first sequence number without one, and the next that it will use. */
  readonly unacknowledged: number;
  readonly next: number;
  /** Segments that it takes for lost. */
  readonly lost: number;
  /** Retransmission timeouts since its last progress. */
  readonly timeouts: number;
}

/** `undefined` when there is no such socket or nothing is on its way. */
export function decodeTcpQuery(bytes: Uint8Array): TcpState | undefined {
  const view = viewOf(bytes);
  const field = (index: number): number => view.getUint32(PAIR_LENGTH + 4 + 4 * index, true);
  const state = { unacknowledged: field(1), next: field(2), lost: field(3), timeouts: field(4) };
  return field(0) === 1 && state.unacknowledged !== state.next ? state : undefined;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
