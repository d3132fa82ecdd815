import type { InterfaceAddress } from "../../linux/rtnetlink.ts";
import type { OwnAddress, OwnEntries } from "../host/network.ts";

/** Puts our addresses on the interfaces, and takes them away again. */
export class AddressPlacement {
  readonly #own: OwnEntries;
  readonly #warn: (error: Error) => void;
  /** What stands, or was to, since the start. */
  readonly #placed = new Map<string, OwnAddress>();
  /** Of these, what has been seen on its interface. */
  readonly #seen = new Set<string>();
  /** Of these, what is wanted and has gone. */
  #lost: readonly OwnAddress[] = [];

  /** @param warn gets what the kernel refused; the rest is set all the same */
  constructor(own: OwnEntries, warn: (error: Error) => void) {
    this.#own = own;
    this.#warn = warn;
  }

  /**
   * Makes the interfaces have `wanted` and nothing more of ours, but for what somebody took away:
   * see {@link repair}.
   * @param present ours on the interfaces, of an earlier run too; what fits stays untouched
   */
  apply(wanted: readonly OwnAddress[], present: readonly InterfaceAddress[]): void {
    for (const address of present) {
      this.#placed.set(keyOf(address), address);
      this.#seen.add(keyOf(address));
    }
    const wantedKeys = new Set(wanted.map(keyOf));
    for (const [key, address] of this.#placed) {
      if (!wantedKeys.has(key)) this.#remove(key, address);
    }
    const standing = new Map(present.map((address) => [keyOf(address), address]));
    const isLost = (key: string) => this.#seen.has(key) && !standing.has(key);
    this.#lost = wanted.filter((address) => isLost(keyOf(address)));
    for (const address of wanted) {
      const key = keyOf(address);
      if (!isLost(key) && standing.get(key)?.deprecated !== address.deprecated) this.#set(address);
    }
  }

  /** Puts back what others took away. @returns how much that was */
  repair(): number {
    const lost = this.#lost;
    this.#lost = [];
    for (const address of lost) {
      this.#seen.delete(keyOf(address));
      this.#set(address);
    }
    return lost.length;
  }

  /** Takes all of them away. */
  clear(): void {
    for (const [key, address] of this.#placed) this.#remove(key, address);
  }

  #set(address: OwnAddress): void {
    this.#placed.set(keyOf(address), address);
    this.#try(() => this.#own.setAddress(address));
  }

  #remove(key: string, address: OwnAddress): void {
    this.#placed.delete(key);
    this.#seen.delete(key);
    this.#try(() => this.#own.removeAddress(address));
  }

  #try(change: () => void): void {
    try {
      change();
    } catch (error) {
      this.#warn(error as Error);
    }
  }
}

function keyOf({ link, address }: OwnAddress): string {
  return `${link} ${address}`;
}
