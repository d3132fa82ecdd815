import { InvalidArgumentError } from "commander";
import type { FlowSelector, MarkMatch, PortRange } from "../core/flow-selector.ts";
import type { ContextStatus } from "../daemon/api.ts";
import { parseAddressPrefix } from "../wire/prefix.ts";
import { wholeNumber } from "./arguments.ts";

/** Which packets a forked context carries: from options, and in words. */

const PROTOCOLS: readonly (readonly [string, number])[] = [
  ["tcp", 6],
  ["udp", 17],
  ["icmpv6", 58],
  ["sctp", 132],
  ["dccp", 33],
  ["udplite", 136],
];

const ALL_BITS = 0xffff_ffff;

/** As text, because the daemon reads it again. */
export function parsePrefixArgument(text: string): string {
  if (parseAddressPrefix(text) !== undefined) return text;
  throw new InvalidArgumentError(
    "It must be an IPv6 prefix, such as 2001:db8::/32, with no bit set beyond its length.",
  );
}

export function parseProtocol(text: string): number {
  const named = protocolNamed(text);
  if (named !== undefined) return named;
  const value = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= 255) return value;
  const names = PROTOCOLS.map(([name]) => name).join(", ");
  throw new InvalidArgumentError(`It must be one of ${names}, or a number from 0 to 255.`);
}

/** `undefined` for what is no protocol's name. */
export function protocolNamed(text: string): number | undefined {
  return PROTOCOLS.find(([name]) => name === text.toLowerCase())?.[1];
}

/** "N" or "N-M". */
export function parsePorts(text: string): PortRange {
  const [, firstText, lastText = firstText] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [first, last] = [Number(firstText), Number(lastText)];
  if (first <= last && last <= 65_535) return { first, last };
  throw new InvalidArgumentError(
    "It must be a port from 0 to 65535, or a range of ports such as 5004-5005.",
  );
}

export const parseDscp = wholeNumber(0, 63);

/** "V" or "V/M", decimal or 0x and hexadecimal. */
export function parseMark(text: string): MarkMatch {
  const [value = Number.NaN, mask = ALL_BITS, ...rest] = text.split("/").map(parseBits);
  // Not by bitwise operators alone: those make signed numbers.
  if (value <= ALL_BITS && mask <= ALL_BITS && (value & ~mask) === 0 && rest.length === 0) {
    return { value, mask };
  }
  throw new InvalidArgumentError(
    "It must be a mark of 32 bits such as 0x10, or a mark and its mask such as 0x10/0xff, " +
      "with no bit in the mark that the mask has not.",
  );
}

function parseBits(text: string): number {
  return /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : Number.NaN;
}

/** "udp to port 5004-5005, dscp 46". */
export function formatFlow({ protocol, localPorts, peerPorts, dscp, mark }: FlowSelector): string {
  const transport = [
    protocol === undefined ? [] : formatProtocol(protocol),
    localPorts === undefined ? [] : `from port ${formatPorts(localPorts)}`,
    peerPorts === undefined ? [] : `to port ${formatPorts(peerPorts)}`,
  ];
  const criteria = [
    transport.flat().join(" ") || [],
    dscp === undefined ? [] : `dscp ${dscp}`,
    mark === undefined ? [] : `mark ${formatMark(mark)}`,
  ];
  return criteria.flat().join(", ") || "all packets";
}

/** What of its ULID pair's outbound packets the context carries. */
export function formatCarried({ forkedInstance, selector }: ContextStatus): string {
  if (forkedInstance === 0) return "what no fork carries";
  return selector === null ? "nothing" : formatFlow(selector);
}

function formatProtocol(protocol: number): string {
  return PROTOCOLS.find(([, number]) => number === protocol)?.[0] ?? `protocol ${protocol}`;
}

function formatPorts({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

function formatMark({ value, mask }: MarkMatch): string {
  const shown = `0x${value.toString(16)}`;
  return mask === ALL_BITS ? shown : `${shown}/0x${mask.toString(16)}`;
}
