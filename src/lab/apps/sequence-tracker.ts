/** Follows the numbers of a datagram stream that starts at 0 and counts up. */
export class SequenceTracker {
  #next: number | undefined;
  #received = 0;
  #lost = 0;
  #duplicates = 0;
  #reordered = 0;
  readonly #missing = new Set<number>();

  /** Takes the number of an arrival; returns how many numbers it skipped. */
  record(number: number): number {
    this.#received += 1;
    const next = this.#next ?? number;
    if (number < next) {
      this.#recordLate(number);
      return 0;
    }
    for (let missing = next; missing < number; missing++) this.#missing.add(missing);
    this.#lost += number - next;
    this.#next = number + 1;
    return number - next;
  }

  summary(): { received: number; lost: number; duplicates: number; reordered: number } {
    return {
      received: this.#received,
      lost: this.#lost,
      duplicates: this.#duplicates,
      reordered: this.#reordered,
    };
  }

  #recordLate(number: number): void {
    if (!this.#missing.delete(number)) {
      this.#duplicates += 1;
      return;
    }
    this.#reordered += 1;
    this.#lost -= 1;
  }
}
