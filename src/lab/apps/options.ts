import { parseArgs } from "node:util";

/**
 * Reads `--name value` pairs; every name must be given.
 * @throws Error naming the option that is missing or unknown.
 */
export function readOptions<Name extends string>(...names: readonly Name[]): Record<Name, string> {
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const { values } = parseArgs({ options, strict: true });
  const missing = names.find((name) => values[name] === undefined);
  if (missing !== undefined) throw new Error(`--${missing} is missing`);
  return values as Record<Name, string>;
}
