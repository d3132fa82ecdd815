import type { UplinkConfig } from "../config/config.ts";

/** What an uplink is used for: "backup" after ordinary ones, "metered" after all others. */
export type UplinkRole = "ordinary" | "backup" | "metered";

/**
 * How many priorities an uplink can have. Locator Preferences have 8 bits for all (RFC 5533 section
 * 5.15.3): the first third is for ordinary uplinks, the second for backups, the last for metered
 * ones, so that also peers never take one of these before one of those.
 */
export const PRIORITIES = 80;
const DEFAULT_PRIORITY = 40;

/**
 * Of addresses that are deprecated, as after a router has withdrawn the prefix: they still work, but
 * not for long.
 */
export const DEPRECATED_PREFERENCE = 255;

const ROLES: readonly UplinkRole[] = ["ordinary", "backup", "metered"];

/** @param settings of the uplink in the configuration, where it is named there */
export function roleOf(settings: UplinkConfig | undefined): UplinkRole {
  if (settings?.metered) return "metered";
  return settings?.backup ? "backup" : "ordinary";
}

/** The paper's `pref` of an uplink's locators, and their Priority on the wire: lower is tried earlier. */
export function preferenceOf(settings: UplinkConfig | undefined): number {
  return ROLES.indexOf(roleOf(settings)) * PRIORITIES + (settings?.priority ?? DEFAULT_PRIORITY);
}
