import { type AddressPrefix, parseAddressPrefix, prefixContains } from "../../wire/prefix.ts";
import { failure, type Result, success } from "../../wire/result.ts";
import type { Uplink } from "../host/uplinks.ts";

/**
 * The uplink that a user means by its interface, by a locator of it, or by a prefix of locators.
 * Fails with a sentence.
 */
export function chooseUplink(text: string, uplinks: readonly Uplink[]): Result<Uplink, string> {
  const prefix = parseAddressPrefix(text);
  const [chosen, ...others] = uplinks.filter(
    (uplink) => uplink.interface === text || (prefix && hasLocatorIn(uplink, prefix)),
  );
  const known = uplinks.map((uplink) => uplink.interface).join(", ");
  if (chosen === undefined) {
    return failure(`"${text}" is no uplink, and no locator of one; uplinks here: ${known}`);
  }
  if (others.length === 0) return success(chosen);
  return failure(`more than one uplink has locators in ${text}; name one of ${known}`);
}

/** Why the rehearsal would leave sessions no way to go on; `undefined` when some uplink works. */
export function lackOfAnother(uplink: Uplink, uplinks: readonly Uplink[]): string | undefined {
  const others = uplinks.filter((other) => other !== uplink && other.problem === undefined);
  if (others.length > 0) return undefined;
  return (
    `without ${uplink.interface} no uplink works: all sessions of the shim would stand still ` +
    "until the end of the drill; --force does it all the same"
  );
}

function hasLocatorIn({ locators }: Uplink, prefix: AddressPrefix): boolean {
  return locators.some(({ address }) => prefixContains(prefix, address));
}
