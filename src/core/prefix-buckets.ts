import { prefixOf } from "../identity/subnet-prefix.ts";
import type { Address } from "../wire/address.ts";
import { BoundedMap } from "./bounded-map.ts";
import { BUDGETED_PREFIXES } from "./defaults.ts";
import type { Instant } from "./time.ts";
import { TokenBucket } from "./token-bucket.ts";

/** A token bucket for each /64. A prefix that is forgotten among many begins with a full one. */
export class PrefixBuckets {
  readonly #rate: number;
  readonly #burst: number;
  readonly #buckets = new BoundedMap<TokenBucket>(BUDGETED_PREFIXES);

  constructor(rate: number, burst: number) {
    this.#rate = rate;
    this.#burst = burst;
  }

  /** Takes one token of the address's prefix; false when none is left. */
  take(now: Instant, address: Address): boolean {
    const prefix = prefixOf(address);
    const known = this.#buckets.get(prefix);
    const bucket = known ?? new TokenBucket(this.#rate, this.#burst);
    if (known === undefined) this.#buckets.set(prefix, bucket);
    return bucket.take(now);
  }
}
