import type { Instant } from "./time.ts";

interface Entry<Item> {
  readonly at: Instant;
  readonly item: Item;
}

/** Stale entries, beyond as many as there are items, that aren't worth tidying up. */
const STALE_MAX = 64;

/**
 * Items by their next deadline, in a binary heap. An item whose deadline moves gets a new
 * entry; the old one is recognized as stale and dropped when it comes to the top, or when stale
 * entries outnumber the others: a peer that moves a deadline with each message fills no memory.
 */
export class DeadlineQueue<Item> {
  readonly #heap: Entry<Item>[] = [];
  readonly #current = new Map<Item, Entry<Item>>();

  /** Sets the item's deadline; `undefined` takes it off the queue. */
  set(item: Item, at: Instant | undefined): void {
    if (this.#current.get(item)?.at === at) return;
    if (at === undefined) {
      this.#current.delete(item);
      return;
    }
    const entry = { at, item };
    this.#current.set(item, entry);
    this.#heap.push(entry);
    this.#siftUp(this.#heap.length - 1);
    if (this.#heap.length > 2 * this.#current.size + STALE_MAX) this.#dropStale();
  }

  /** The item with the earliest deadline. */
  peek(): Entry<Item> | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.#current.get(top.item) === top) return top;
      this.#removeTop();
    }
    return undefined;
  }

  /** Takes off one item whose deadline has come. */
  popDue(now: Instant): Item | undefined {
    const top = this.peek();
    if (top === undefined || top.at > now) return undefined;
    this.#removeTop();
    this.#current.delete(top.item);
    return top.item;
  }

  #dropStale(): void {
    this.#heap.length = 0;
    for (const entry of this.#current.values()) {
      this.#heap.push(entry);
      this.#siftUp(this.#heap.length - 1);
    }
  }

  #removeTop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown(0);
  }

  #siftUp(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  #siftDown(start: number): void {
    let index = start;
    for (;;) {
      const left = 2 * index + 1;
      const child = this.#earlier(left + 1, left) ? left + 1 : left;
      if (!this.#swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  #earlier(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    return first !== undefined && second !== undefined && first.at < second.at;
  }

  #swapIfEarlier(lower: number, upper: number): boolean {
    const below = this.#heap[lower];
    const above = this.#heap[upper];
    if (below === undefined || above === undefined || below.at >= above.at) return false;
    this.#heap[upper] = below;
    this.#heap[lower] = above;
    return true;
  }
}
