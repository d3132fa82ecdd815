/** What happens in user space; the kernel's half has counters of its own. */
const NAMES = [
  /** Too big with the payload header; a Packet Too Big went to the sender. */
  "drop-too-big",
  "fragmented",
  "drop-outbound-malformed",
  /** The system would not send it; what it said is in the log. */
  "send-failed",
  /** No route could be found, set or removed; what the system said is in the log. */
  "route-failed",
  /** The kernel's maps are full: the context is not protected. */
  "context-refused",
  /** More forks of one ULID pair than the kernel looks at: what it selects goes with the rest. */
  "fork-refused",
] as const;

export type EbpfCounterName = (typeof NAMES)[number];

/** Counts that only ever grow. */
export class EbpfCounters {
  readonly #values = Object.fromEntries(NAMES.map((name) => [name, 0])) as Record<
    EbpfCounterName,
    number
  >;

  add(name: EbpfCounterName): void {
    this.#values[name] += 1;
  }

  /** With those of the kernel's half; what both count is added up. */
  with(kernel: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
    const sums: Record<string, number> = { ...this.#values };
    for (const [name, count] of Object.entries(kernel)) sums[name] = (sums[name] ?? 0) + count;
    return sums;
  }
}
