import { outlookOf } from "./fingerprint.ts";
import { describeViews, findBroken } from "./invariants.ts";
import type { TwoHosts } from "./two-hosts.ts";

/**
 * Fair runs from the states of one search: each must end as `isEnd` says with nothing broken,
 * and once payload ceases both hosts must forget their contexts. Runs join each other soon;
 * what lies behind a state that an earlier run has been through isn't run again.
 */
export class FairRuns {
  readonly #isEnd: (hosts: TwoHosts) => boolean;
  readonly #good = new Set<string>();

  constructor(isEnd: (hosts: TwoHosts) => boolean) {
    this.#isEnd = isEnd;
  }

  /** What is wrong with the end of the run; `undefined` when nothing is. Changes the state. */
  problem(hosts: TwoHosts): string | undefined {
    const passed: string[] = [];
    let joined = false;
    const ended = hosts.settle((state) => {
      const outlook = outlookOf(state);
      passed.push(outlook);
      joined = this.#good.has(outlook);
      return joined || this.#isEnd(state);
    });
    if (!ended) return `no end in agreement: ${describeViews(hosts)}`;
    const problem = findBroken(hosts);
    if (problem !== undefined) return problem;
    if (!joined && !hosts.fallSilent()) return `left over in silence: ${describeViews(hosts)}`;
    for (const outlook of passed) this.#good.add(outlook);
    return undefined;
  }
}
