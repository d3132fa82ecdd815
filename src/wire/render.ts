import type {
  ControlDescription,
  Json,
  MalformedDescription,
  OptionDescription,
  PacketDescription,
} from "./describe.ts";

type Fields = { readonly [field: string]: Json | undefined };

/** What a line begins with, and what programs want rather than people: not among its fields. */
const PLACED: ReadonlySet<string> = new Set([
  "kind",
  "type",
  "name",
  "critical",
  "source",
  "destination",
  "encapsulated",
  "hdrExtLen",
  "checksum",
  "options",
]);

/**
 * A description as text: one line for the packet, and one, indented, for each option and each
 * entry of a list.
 */
export function renderPacket(description: PacketDescription): string[] {
  switch (description.kind) {
    case "control":
      return renderControl(description);
    case "payload":
      return [line("payload", renderAddresses(description), ...renderScalars({ ...description }))];
    case "malformed":
      return [line("malformed", renderAddresses(description), renderError(description))];
  }
}

function renderControl(description: ControlDescription): string[] {
  const { type, nextHeader, checksum, options, ...fields } = description;
  const sum = `checksum ${hex(checksum.value, 4)} ${checksum.valid ? "valid" : "INVALID"}`;
  // 59 says that nothing follows, as in every message that the RFCs define.
  const following = nextHeader === 59 ? "" : `nextHeader ${nextHeader}`;
  const first = line(type, renderAddresses(description), ...renderScalars(fields), sum, following);
  return [first, ...renderLists(fields, "  "), ...options.flatMap(renderOption)];
}

function renderOption(option: OptionDescription): string[] {
  const { name, type, critical } = option;
  const title = `  option ${name} (${type})${critical ? " critical" : ""}`;
  return [line(title, ...renderScalars(option)), ...renderLists(option, "    ")];
}

function renderError({ error, code, offset }: MalformedDescription): string {
  return `${code} at octet ${offset}: ${error}`;
}

/** Unknown addresses as "?"; nothing when both are. */
function renderAddresses(fields: {
  readonly source?: string;
  readonly destination?: string;
  readonly encapsulated?: boolean;
}) {
  const { source, destination, encapsulated = false } = fields;
  if (source === undefined && destination === undefined) return "";
  return `${source ?? "?"} > ${destination ?? "?"}${encapsulated ? " in UDP" : ""}`;
}

function renderScalars(fields: Fields): string[] {
  return Object.entries(fields)
    .filter(([name, value]) => !PLACED.has(name) && !Array.isArray(value))
    .map(([name, value]) => renderScalar(name, value));
}

function renderLists(fields: Fields, indent: string): string[] {
  return Object.entries(fields)
    .filter(([name, value]) => !PLACED.has(name) && Array.isArray(value))
    .flatMap(([name, value]) =>
      (value as readonly Fields[]).map(
        (entry) => `${indent}${name}: ${line(renderAddresses(entry), ...renderScalars(entry))}`,
      ),
    );
}

function renderScalar(name: string, value: Json | undefined): string {
  if (typeof value === "number" && /nonce$/i.test(name)) return `${name} ${hex(value, 8)}`;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `${name} ${text === "" ? "(empty)" : text}`;
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

function line(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("  ");
}
