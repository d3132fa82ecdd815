/** What the plane counts. The names are part of the control API. */
const NAMES = [
  /** Passed on unchanged though they came to the rewrite queue: no mapping (any more). */
  "passed-unmapped",
  /** Shim6 control messages that came to the rewrite queue because of extension headers. */
  "passed-control",
  "passed-icmp-error",
  "translated-icmp-error",
  /** Kept from the ULP because the shim acts on it. */
  "withheld-icmp-error",
  "drop-unknown-tag",
  /** Outbound, and not to be rewritten: truncated, a jumbogram, odd extension headers. */
  "drop-outbound-malformed",
  "drop-inbound-malformed",
  /** Too big with the payload header; a Packet Too Big went to the sender. */
  "drop-too-big",
  "fragmented",
  "reassembled",
  "drop-fragment",
  /** The system would not send it; what it said is in the log. */
  "send-failed",
  /** No route could be set or removed for a mapped pair; what the system said is in the log. */
  "route-failed",
] as const;

export type PlaneCounterName = (typeof NAMES)[number];

/** Counts that only ever grow. */
export class PlaneCounters {
  readonly #values = Object.fromEntries(NAMES.map((name) => [name, 0])) as Record<
    PlaneCounterName,
    number
  >;

  get values(): Readonly<Record<PlaneCounterName, number>> {
    return this.#values;
  }

  add(name: PlaneCounterName): void {
    this.#values[name] += 1;
  }
}
