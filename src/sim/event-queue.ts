import type { Instant } from "../core/time.ts";

interface Entry {
  readonly at: Instant;
  /** Events of one instant run in the order in which they were scheduled. */
  readonly order: number;
  readonly run: () => void;
}

/** What happens when, in a binary heap. */
export class EventQueue {
  readonly #heap: Entry[] = [];
  #order = 0;

  /** When the next event is; `undefined` when there is none. */
  get nextAt(): Instant | undefined {
    return this.#heap[0]?.at;
  }

  schedule(at: Instant, run: () => void): void {
    const entry = { at, order: this.#order++, run };
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || !precedes(entry, parent)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  /** Takes the next event off the queue, and runs it. */
  runNext(): void {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (last !== undefined && last !== first) this.#sink(last);
    first?.run();
  }

  #sink(entry: Entry): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = heap[childIndex];
      const right = heap[childIndex + 1];
      if (child !== undefined && right !== undefined && precedes(right, child)) {
        childIndex += 1;
        child = right;
      }
      if (child === undefined || !precedes(child, entry)) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = entry;
  }
}

function precedes(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
