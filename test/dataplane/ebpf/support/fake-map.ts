import type { BpfMapEntry } from "../../../../src/linux/bpf-map.ts";

export function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

/** A hash of the kernel's, in this process. Tells what is done to it, by its name. */
export class FakeMap {
  readonly values = new Map<string, BpfMapEntry>();
  readonly #name: string;
  readonly #journal: string[];

  constructor(name: string, journal: string[] = []) {
    this.#name = name;
    this.#journal = journal;
  }

  update(key: Uint8Array, value: Uint8Array): void {
    this.#journal.push(`set ${this.#name}`);
    this.values.set(hex(key), { key: key.slice(), value: value.slice() });
  }

  delete(key: Uint8Array): boolean {
    const found = this.values.delete(hex(key));
    if (found) this.#journal.push(`delete ${this.#name}`);
    return found;
  }

  *entries(): IterableIterator<BpfMapEntry> {
    yield* [...this.values.values()];
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.values.get(hex(key))?.value;
  }
}
