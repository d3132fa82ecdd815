import { lookup } from "node:dns/promises";
import { InvalidArgumentError } from "commander";
import type { LocatorPairStatus } from "../daemon/api.ts";
import { parseAddress } from "../wire/address.ts";
import { formatTag, parseTag } from "../wire/tag.ts";
import { CommandError, EXIT } from "./command.ts";

/** What commands take, checked; what is wrong with it ends in exit status 2. */

export const PEER_ARGUMENT = "address or name of a peer";

export const TAG_ARGUMENT = "local context tag, as `l3shim contexts` shows it";

export function parseTagArgument(text: string): string {
  const tag = parseTag(text);
  if (tag !== undefined) return formatTag(tag);
  throw new InvalidArgumentError("It must be 1 to 12 hex digits, as `l3shim contexts` shows them.");
}

export function parseAddressArgument(text: string): string {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  throw new InvalidArgumentError("It must be an IPv6 address.");
}

/** "LOCAL,PEER". */
export function parseLocatorPair(text: string): LocatorPairStatus {
  const [local = "", peer = "", ...rest] = text.split(",");
  const localLocator = parseAddress(local);
  const peerLocator = parseAddress(peer);
  if (localLocator !== undefined && peerLocator !== undefined && rest.length === 0) {
    return { localLocator, peerLocator };
  }
  throw new InvalidArgumentError(
    "It must be a local and a peer locator, such as 2001:db8:a::1,2001:db8:b::1.",
  );
}

/** A parser of decimal numbers; what it throws names the range. */
export function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${minimum} to ${maximum}.`);
  };
}

/** @throws CommandError for a name without IPv6 address */
export async function resolvePeer(name: string): Promise<string> {
  const literal = parseAddress(name);
  if (literal !== undefined) return literal;
  try {
    const { address } = await lookup(name, { family: 6 });
    return address;
  } catch (error) {
    throw unknownName(name, error as Error);
  }
}

function unknownName(name: string, cause: Error): CommandError {
  const text = `"${name}" is no IPv6 address, and no name of a host that has one`;
  return new CommandError(text, EXIT.usage, { cause });
}
