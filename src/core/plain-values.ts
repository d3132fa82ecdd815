import { parseAddress } from "../wire/address.ts";
import { fromHex } from "../wire/hex.ts";
import type { ContextTag } from "../wire/tag.ts";
import type { FlowSelector } from "./flow-selector.ts";
import { finite, parsed, partial, type Reader, record, whole } from "./plain-data.ts";
import type { Instant } from "./time.ts";
import type { Pin } from "./view.ts";

/** Readers of the protocol's values in data of unknown origin. */

const PINS = ["until-failure", "strict"] as const satisfies readonly Pin[];

export const OCTET = whole(0xff);
export const UINT32 = whole(0xffff_ffff);
export const COUNT = whole(Number.MAX_SAFE_INTEGER);
export const TAG = whole(2 ** 47 - 1) as Reader<ContextTag>;
export const INSTANT = finite as Reader<Instant>;
export const ADDRESS = parsed(parseAddress, "an IPv6 address");
export const PAIR = record({ local: ADDRESS, peer: ADDRESS });
/** Octets as hexadecimal digits, and kept so. */
export const OCTETS = parsed((text) => fromHex(text) && text, "octets in hexadecimal");
export const PIN = oneOf(PINS);

const PORT = whole(0xffff);
const PORTS = record({ first: PORT, last: PORT });

export const SELECTOR: Reader<FlowSelector> = partial({
  protocol: OCTET,
  localPorts: PORTS,
  peerPorts: PORTS,
  dscp: whole(63),
  mark: record({ value: UINT32, mask: UINT32 }),
});

/** One of these words. */
export function oneOf<const Word extends string>(words: readonly Word[]): Reader<Word> {
  return parsed((text) => words.find((word) => word === text), `one of ${words.join(", ")}`);
}
