import { type AddressPair, pairKey } from "../../core/output.ts";
import type { InstalledRules } from "./rules.ts";

interface WantedPair {
  readonly pair: AddressPair;
  readonly inForce: () => void;
}

/**
 * Keeps the rules for mapped ULID pairs as they are wanted. Changes run one after another, and
 * those that come while one runs go together into the next: a storm of switches costs a few
 * runs of the command.
 */
export class MappedPairs {
  readonly #rules: Pick<InstalledRules, "changeMapped">;
  readonly #failed: (error: Error) => void;
  readonly #wanted = new Map<string, WantedPair>();
  /** The pairs whose packets certainly go to the queue. */
  readonly #applied = new Map<string, AddressPair>();
  #running: Promise<void> | undefined;

  /** @param failed gets the error when a rule cannot be changed; nothing is tried after that */
  constructor(rules: Pick<InstalledRules, "changeMapped">, failed: (error: Error) => void) {
    this.#rules = rules;
    this.#failed = failed;
  }

  /**
   * @param inForce called once the pair's packets go to the queue, at once if they do already;
   *   never if the pair is removed or added anew before. It may not throw
   */
  add(pair: AddressPair, inForce: () => void): void {
    const key = pairKey(pair);
    this.#wanted.set(key, { pair, inForce });
    if (this.#applied.has(key)) inForce();
    else this.#start();
  }

  remove(pair: AddressPair): void {
    this.#wanted.delete(pairKey(pair));
    this.#start();
  }

  /** Resolves when no change is under way any more. */
  async settled(): Promise<void> {
    await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    try {
      // Not at once: a mapping that moves is taken away and set again in one turn.
      await Promise.resolve();
      for (;;) {
        const { added, removed } = this.#difference();
        if (added.length + removed.length === 0) {
          this.#running = undefined;
          return;
        }
        // Before the change: whoever adds such a pair while it runs must wait for the next.
        for (const pair of removed) this.#applied.delete(pairKey(pair));
        await this.#rules.changeMapped(added, removed);
        for (const pair of added) this.#noteInForce(pair);
      }
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #difference(): { added: AddressPair[]; removed: AddressPair[] } {
    const added = [...this.#wanted].filter(([key]) => !this.#applied.has(key));
    const removed = [...this.#applied].filter(([key]) => !this.#wanted.has(key));
    return { added: added.map(([, { pair }]) => pair), removed: removed.map(([, pair]) => pair) };
  }

  #noteInForce(pair: AddressPair): void {
    const key = pairKey(pair);
    this.#applied.set(key, pair);
    this.#wanted.get(key)?.inForce();
  }
}
