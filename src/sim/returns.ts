import { FAIL_BACK_CALM } from "../core/defaults.ts";
import { type AddressPair, type ContextEvent, pairKey } from "../core/output.ts";
import { between, type Duration, type Instant, scale, seconds } from "../core/time.ts";
import { formatTag } from "../wire/tag.ts";
import type { Host } from "./host.ts";
import { InvariantViolation } from "./invariants.ts";
import type { Scenario } from "./scenario.ts";

type Switch = ContextEvent & { readonly event: "switched" };

/** What a context knows of a pair that it has left. */
interface LeftPair {
  readonly leftAt: Instant;
  /** Failures in use that nothing calm lies between. */
  readonly failures: number;
}

/**
 * Watches that contexts go back to a better pair as rarely as they should: not before it has been
 * away for its hold time, which doubles with each failure. So an uplink that flaps does not take
 * its sessions with it each time.
 */
export class Returns {
  readonly #hold: Duration;
  readonly #maxHold: Duration;
  readonly #left = new Map<string, LeftPair>();

  constructor({ failBack = { hold: 0, maxHold: 0 } }: Scenario) {
    this.#hold = seconds(failBack.hold);
    this.#maxHold = seconds(failBack.maxHold);
  }

  /** @throws InvariantViolation */
  handleSwitch(host: Host, event: Switch): void {
    if (event.cause === "fail-back") this.#check(host, event);
    const key = keyOf(host, event, event.from);
    const { failures = 0, leftAt = event.at } = this.#left.get(key) ?? {};
    const isCalm = between(leftAt, event.at) >= scale(this.#maxHold, FAIL_BACK_CALM);
    const before = isCalm ? 0 : failures;
    const failed = event.cause === "exploration" ? 1 : 0;
    this.#left.set(key, { leftAt: event.at, failures: before + failed });
  }

  #check(host: Host, event: Switch): void {
    const left = this.#left.get(keyOf(host, event, event.to));
    if (left === undefined) return;
    const hold = Math.min(this.#maxHold, this.#hold * 2 ** Math.max(0, left.failures - 1));
    const away = between(left.leftAt, event.at);
    if (away >= hold) return;
    const message =
      `${host.name}'s context ${formatTag(event.tag)} went back to ${pairKey(event.to)} after ` +
      `${(away / 1000).toFixed(1)} s, though it had failed ${left.failures} times`;
    throw new InvariantViolation("returns-damped", [host.name], message);
  }
}

function keyOf(host: Host, { tag }: Switch, pair: AddressPair): string {
  return `${host.name} ${formatTag(tag)} ${pairKey(pair)}`;
}
