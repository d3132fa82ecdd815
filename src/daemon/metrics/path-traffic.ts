import type { TrafficSnapshot } from "../../core/traffic.ts";
import type { ContextTag } from "../../wire/tag.ts";

/** Packets and octets of payload, IPv6 header included. */
export interface Amount {
  readonly packetsOut: number;
  readonly packetsIn: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

const NOTHING: Amount = { packetsOut: 0, packetsIn: 0, bytesOut: 0, bytesIn: 0 };

/**
 * Tells what contexts have carried since they were last looked at, and by which path: the sums
 * outlive the contexts.
 */
export class PathTraffic {
  readonly #contexts = new Map<ContextTag, { path: string; read: Amount }>();
  readonly #add: (path: string, amount: Amount) => void;

  /** @param add is told of each amount */
  constructor(add: (path: string, amount: Amount) => void) {
    this.#add = add;
  }

  /**
   * The context goes by `path` from now on; what it has carried until now went by the one before.
   * @param traffic of its life; for a context that is new here, what does not count
   */
  goesBy(tag: ContextTag, path: string, traffic: Amount | undefined): void {
    this.read(tag, traffic);
    this.#contexts.set(tag, { path, read: traffic ?? NOTHING });
  }

  read(tag: ContextTag, traffic: TrafficSnapshot | Amount | undefined): void {
    const known = this.#contexts.get(tag);
    if (known === undefined || traffic === undefined) return;
    this.#add(known.path, difference(traffic, known.read));
    known.read = traffic;
  }

  /** The last reading. */
  forget(tag: ContextTag, traffic: TrafficSnapshot | undefined): void {
    this.read(tag, traffic);
    this.#contexts.delete(tag);
  }
}

/** Never below zero: a data plane may have begun anew. */
function difference(now: Amount, before: Amount): Amount {
  return {
    packetsOut: Math.max(0, now.packetsOut - before.packetsOut),
    packetsIn: Math.max(0, now.packetsIn - before.packetsIn),
    bytesOut: Math.max(0, now.bytesOut - before.bytesOut),
    bytesIn: Math.max(0, now.bytesIn - before.bytesIn),
  };
}
