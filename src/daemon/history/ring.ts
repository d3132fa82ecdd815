/** Keeps the newest values only, the oldest first. */
export class Ring<Value> {
  readonly #capacity: number;
  readonly #values: Value[] = [];
  #oldest = 0;
  #dropped = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** How many have been pushed out. */
  get dropped(): number {
    return this.#dropped;
  }

  push(value: Value): void {
    if (this.#values.length < this.#capacity) {
      this.#values.push(value);
      return;
    }
    this.#values[this.#oldest] = value;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
    this.#dropped += 1;
  }

  *[Symbol.iterator](): Iterator<Value> {
    yield* this.#values.slice(this.#oldest);
    yield* this.#values.slice(0, this.#oldest);
  }
}
