import * as v from "valibot";
import { parsePrefix } from "../identity/subnet-prefix.ts";
import { parseAddress } from "../wire/address.ts";

/**
 * What configuration file and control API have in common: values as their writers write them,
 * and what they read when a value does not fit.
 */

/** A value that does not fit, by the keys that lead to it. */
export interface Problem {
  readonly path: readonly (string | number)[];
  readonly text: string;
}

export function integer(minimum: number, maximum: number, unit = "") {
  const range = `must be a whole number from ${minimum} to ${maximum}${unit && ` ${unit}`}`;
  return v.pipe(
    v.number(range),
    v.integer(range),
    v.minValue(minimum, range),
    v.maxValue(maximum, range),
  );
}

/** RFC 5534 section 7 recommends 10 to 100; shorter ones get a warning. */
export const sendTimeoutSeconds = integer(1, 100, "(seconds)");

export const ipv6Address = v.pipe(
  v.string("must be an IPv6 address in quotes"),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const address = parseAddress(dataset.value);
    if (address !== undefined) return address;
    addIssue({ message: "must be an IPv6 address" });
    return NEVER;
  }),
);

/** In the text of {@link SubnetPrefix}. */
export const prefix64 = v.pipe(
  v.string("must be a 64-bit prefix in quotes"),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const prefix = parsePrefix(dataset.value);
    if (prefix !== undefined) return prefix;
    addIssue({ message: 'must be a 64-bit prefix, such as "2001:db8:1:2::/64"' });
    return NEVER;
  }),
);

/** These keys and no others. @param noun what the writer calls the whole, as "a table" */
export function strict<const Entries extends v.ObjectEntries>(entries: Entries, noun: string) {
  return v.strictObject(entries, ({ expected, received }) => {
    if (expected === "never") return `unknown key; known here: ${Object.keys(entries).join(", ")}`;
    return received === "undefined" ? "this key is required" : `must be ${noun}`;
  });
}

export function problemOf(issue: v.BaseIssue<unknown>): Problem {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  return { path, text: `${issue.message}${received(issue)}` };
}

/** Of an unknown or a missing key there is no value to show. */
function received({ expected, input }: v.BaseIssue<unknown>): string {
  if (expected === "never" || input === undefined || typeof input === "object") return "";
  return `, but is ${JSON.stringify(input)}`;
}
