/** How much each prefix has of something that is scarce, and who has most. */
export class PrefixShares<Item> {
  /** Items of each prefix in the order in which they came. */
  readonly #items = new Map<string, Set<Item>>();
  /** The prefixes with each number of items. */
  readonly #bySize = new Map<number, Set<string>>();
  #largest = 0;

  /** Items of the prefix. */
  sizeOf(prefix: string): number {
    return this.#items.get(prefix)?.size ?? 0;
  }

  add(prefix: string, item: Item): void {
    const items = this.#items.get(prefix) ?? new Set();
    const before = items.size;
    this.#items.set(prefix, items.add(item));
    this.#move(prefix, before, items.size);
  }

  remove(prefix: string, item: Item): void {
    const items = this.#items.get(prefix);
    if (items === undefined) return;
    const before = items.size;
    items.delete(item);
    if (items.size === 0) this.#items.delete(prefix);
    this.#move(prefix, before, items.size);
  }

  /** A prefix than which none has more; `undefined` when nobody has anything. */
  largest(): string | undefined {
    const [first] = this.#bySize.get(this.#largest) ?? [];
    return first;
  }

  /** The items that the prefix has had for longest, at most `count`. */
  oldest(prefix: string, count: number): Item[] {
    const found: Item[] = [];
    for (const item of this.#items.get(prefix) ?? []) {
      if (found.length === count) break;
      found.push(item);
    }
    return found;
  }

  /** Sizes change by one, so that the largest is never far. */
  #move(prefix: string, before: number, now: number): void {
    if (before === now) return;
    const left = this.#bySize.get(before);
    left?.delete(prefix);
    if (left?.size === 0) this.#bySize.delete(before);
    if (now > 0) {
      const joined = this.#bySize.get(now) ?? new Set();
      this.#bySize.set(now, joined.add(prefix));
    }
    if (now > this.#largest || (before === this.#largest && left?.size === 0)) this.#largest = now;
  }
}
