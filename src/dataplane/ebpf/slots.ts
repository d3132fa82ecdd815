/** Gives out the records of the kernel's map, one for each context. */
export class Slots {
  readonly #free: number[] = [];
  readonly #taken: Set<number>;
  readonly #capacity: number;
  #next = 0;

  /** @param taken those that contexts of an earlier run have */
  constructor(capacity: number, taken: Iterable<number> = []) {
    this.#capacity = capacity;
    this.#taken = new Set(taken);
  }

  /** `undefined` when none is left. */
  take(): number | undefined {
    const slot = this.#free.pop() ?? this.#fresh();
    if (slot !== undefined) this.#taken.add(slot);
    return slot;
  }

  give(slot: number): void {
    if (this.#taken.delete(slot)) this.#free.push(slot);
  }

  #fresh(): number | undefined {
    while (this.#taken.has(this.#next)) this.#next++;
    return this.#next < this.#capacity ? this.#next++ : undefined;
  }
}
