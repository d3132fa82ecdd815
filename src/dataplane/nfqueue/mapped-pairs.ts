import { type AddressPair, pairKey } from "../../core/output.ts";
import type { InstalledRules } from "./rules.ts";

/**
 * Keeps the rules for mapped ULID pairs as they are wanted. Changes run one after another, and
 * those that come while one runs go together into the next: a storm of switches costs a few
 * runs of the command.
 */
export class MappedPairs {
  readonly #rules: Pick<InstalledRules, "changeMapped">;
  readonly #failed: (error: Error) => void;
  readonly #wanted = new Map<string, AddressPair>();
  readonly #applied = new Map<string, AddressPair>();
  #running: Promise<void> | undefined;

  /** @param failed gets the error when a rule cannot be changed; nothing is tried after that */
  constructor(rules: Pick<InstalledRules, "changeMapped">, failed: (error: Error) => void) {
    this.#rules = rules;
    this.#failed = failed;
  }

  add(pair: AddressPair): void {
    this.#wanted.set(pairKey(pair), pair);
    this.#start();
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
        const added = missing(this.#wanted, this.#applied);
        const removed = missing(this.#applied, this.#wanted);
        if (added.length + removed.length === 0) {
          this.#running = undefined;
          return;
        }
        await this.#rules.changeMapped(added, removed);
        for (const pair of added) this.#applied.set(pairKey(pair), pair);
        for (const pair of removed) this.#applied.delete(pairKey(pair));
      }
    } catch (error) {
      this.#failed(error as Error);
    }
  }
}

/** The pairs of `from` that `other` lacks. */
function missing(
  from: ReadonlyMap<string, AddressPair>,
  other: ReadonlyMap<string, AddressPair>,
): AddressPair[] {
  return [...from].filter(([key]) => !other.has(key)).map(([, pair]) => pair);
}
