import type { Instant } from "../../core/time.ts";
import { ACQUAINTED_AFTER, type TriggerPolicy } from "../dataplane.ts";
import { PairTable } from "./pair-table.ts";

/** Pairs remembered at most; about 20 MB. */
const DEFAULT_TRIGGER_PAIRS = 65_536;

/** What a pair has just come to. Whose pair crosses the trigger is acquainted, too. */
type Milestone = "acquainted" | "triggered";

interface Count {
  packets: number;
  readonly first: Instant;
  triggered: boolean;
}

/**
 * Counts the packets of pairs that have no context, until they are worth one (the paper: 50
 * packets). Holds a bounded number of pairs and forgets the oldest first, so that a flood of
 * forged addresses costs memory for no more than that.
 */
export class TriggerTable {
  readonly #policy: TriggerPolicy;
  readonly #capacity: number;
  readonly #counts = new PairTable<Count>();

  constructor(policy: TriggerPolicy, capacity = DEFAULT_TRIGGER_PAIRS) {
    this.#policy = policy;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#counts.size;
  }

  /**
   * Counts a packet of the pair whose addresses stand at these offsets. Each milestone comes
   * once, until {@link arm}.
   */
  count(now: Instant, packet: Uint8Array, local: number, peer: number): Milestone | undefined {
    const known = this.#counts.get(packet, local, peer);
    if (known?.triggered) return undefined;
    const count = known ?? this.#add(now, packet, local, peer);
    count.packets += 1;
    count.triggered = this.#isDue(now, count);
    if (count.triggered) return "triggered";
    return count.packets === ACQUAINTED_AFTER ? "acquainted" : undefined;
  }

  /** The pair counts from zero again. */
  arm(pair: Uint8Array, local: number, peer: number): void {
    this.#counts.delete(pair, local, peer);
  }

  #add(now: Instant, packet: Uint8Array, local: number, peer: number): Count {
    while (this.#counts.size >= this.#capacity) this.#counts.deleteOldest();
    const count: Count = { packets: 0, first: now, triggered: false };
    this.#counts.set(packet, local, peer, count);
    return count;
  }

  #isDue(now: Instant, { packets, first }: Count): boolean {
    const { packets: limit, age } = this.#policy;
    return packets >= limit || (age !== undefined && now - first >= age);
  }
}
