import type { Address } from "../../wire/address.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { OwnEntries, OwnState } from "./network.ts";
import type { UlidFile } from "./ulid-file.ts";

/**
 * Keeps the local ULID of every context usable: sockets are bound to it, whatever becomes of
 * the interface that it came from. It stands on the loopback interface too, as long as a
 * context needs it, and from the beginning: there is no moment without it when the interface
 * loses it, not even when the daemon has crashed by then.
 */
export class UlidKeeper {
  readonly #own: OwnEntries;
  readonly #file: UlidFile;
  readonly #warn: (error: Error) => void;
  readonly #users = new Map<Address, Set<ContextTag>>();
  readonly #contexts = new Map<ContextTag, Address>();
  /** What we put on the loopback interface: not always all that is in use. */
  readonly #added = new Set<Address>();
  /** Of contexts of an earlier run, which go on in this one. */
  readonly #expected = new Set<Address>();

  /** @param warn gets what the kernel or the disk refused */
  constructor(own: OwnEntries, file: UlidFile, warn: (error: Error) => void) {
    this.#own = own;
    this.#file = file;
    this.#warn = warn;
  }

  /** The local ULIDs of all contexts, and of those that are to go on. */
  get held(): readonly Address[] {
    return [...new Set([...this.#users.keys(), ...this.#expected])];
  }

  /**
   * Removes what an earlier run left behind.
   * @param expected of contexts that go on: stay, until `settle` at least
   * @throws StateDirectoryError
   */
  removeLeftovers(expected: readonly Address[]): void {
    for (const ulid of expected) this.#expected.add(ulid);
    const leftovers = new Set([...this.#own.read().ulids, ...this.#file.read()]);
    for (const ulid of leftovers) {
      if (this.#expected.has(ulid)) this.#added.add(ulid);
      else this.#try(() => this.#own.removeUlid(ulid));
    }
    this.#file.write([...this.#added]);
  }

  /** The contexts that go on hold their ULIDs now: gives up those of the others. */
  settle(): void {
    this.#expected.clear();
    for (const ulid of [...this.#added]) {
      if (!this.#users.has(ulid)) this.#try(() => this.#remove(ulid));
    }
  }

  hold(tag: ContextTag, ulid: Address): void {
    this.#contexts.set(tag, ulid);
    const users = this.#users.get(ulid);
    if (users !== undefined) {
      users.add(tag);
      return;
    }
    this.#users.set(ulid, new Set([tag]));
    this.#try(() => this.#add(ulid));
  }

  /** True when it was the ULID's last context. */
  release(tag: ContextTag): boolean {
    const ulid = this.#contexts.get(tag);
    if (ulid === undefined) return false;
    this.#contexts.delete(tag);
    const users = this.#users.get(ulid);
    users?.delete(tag);
    if (users?.size !== 0) return false;
    this.#users.delete(ulid);
    this.#try(() => this.#remove(ulid));
    return true;
  }

  /**
   * Puts back what others took from the loopback interface.
   * @param present ours that stand there now
   * @returns how many were missing
   */
  repair({ ulids: present }: Pick<OwnState, "ulids">): number {
    const missing = [...this.#added].filter((ulid) => !present.includes(ulid));
    let repaired = 0;
    for (const ulid of missing) {
      // Kernels that cannot mark ours do not list them either.
      this.#try(() => {
        if (this.#own.addUlid(ulid)) repaired += 1;
      });
    }
    return repaired;
  }

  /** Gives up every ULID. */
  releaseAll(): void {
    for (const tag of [...this.#contexts.keys()]) this.release(tag);
  }

  /**
   * On record before it stands, so that a crash in between leaves nothing unknown. One that an
   * earlier run added is ours, also where the kernel cannot say so.
   */
  #add(ulid: Address): void {
    this.#file.write([...new Set([...this.#added, ulid])]);
    if (this.#own.addUlid(ulid)) this.#added.add(ulid);
    else this.#file.write([...this.#added]);
  }

  #remove(ulid: Address): void {
    if (!this.#added.delete(ulid)) return;
    this.#own.removeUlid(ulid);
    this.#file.write([...this.#added]);
  }

  #try(change: () => void): void {
    try {
      change();
    } catch (error) {
      this.#warn(error as Error);
    }
  }
}
