import type { LocalLocator, SecurityMode } from "../../core/config.ts";
import { prefixOf } from "../../identity/subnet-prefix.ts";
import type { Address } from "../../wire/address.ts";
import type { HostLocator, Warning } from "../api.ts";

/** How peers can know that the address is ours; see {@link HostLocator}. */
export function proofOf(address: Address, locators: readonly LocalLocator[]): HostLocator["proof"] {
  const members = locators.filter(({ prover }) => prover !== undefined);
  if (members.some((member) => member.address === address)) return "hba";
  const prefix = prefixOf(address);
  // Another address in a member's network leads nowhere that the member does not.
  const isNeeded = !members.some((member) => prefixOf(member.address) === prefix);
  return isNeeded && members.some(({ prover }) => prover?.sign !== undefined) ? "cga" : null;
}

/** What a user should know where locators must be proven and none can be. */
export function proofWarnings(
  security: SecurityMode,
  locators: readonly LocalLocator[],
): Warning[] {
  const isProven = locators.some(({ prover, operational }) => operational && prover !== undefined);
  if (security === "unverified" || isProven) return [];
  const text =
    "security is verified, and the host has no HBA or CGA address that works: no extra locators " +
    "are offered, because none can be proven; look into the log, at identity.addresses in the " +
    "configuration, and whether an uplink has a global address with a /64";
  return [{ code: "no-verified-locators", severity: "error", text }];
}
