import type { InterfaceAddress } from "../../linux/rtnetlink.ts";
import type { OwnAddress, OwnEntries } from "../host/network.ts";

/** Puts our addresses on the interfaces, and takes them away again. */
export class AddressPlacement {
  readonly #own: OwnEntries;
  readonly #warn: (error: Error) => void;
  /** What stands, or was to, since the start. */
  readonly #placed = new Map<string, OwnAddress>();

  /** @param warn gets what the kernel refused; the rest is set all the same */
  constructor(own: OwnEntries, warn: (error: Error) => void) {
    this.#own = own;
    this.#warn = warn;
  }

  /**
   * Makes the interfaces have `wanted` and nothing more of ours.
   * @param present ours on the interfaces, of an earlier run too; what fits stays untouched
   */
  apply(wanted: readonly OwnAddress[], present: readonly InterfaceAddress[]): void {
    for (const address of present) this.#placed.set(keyOf(address), address);
    const wantedKeys = new Set(wanted.map(keyOf));
    for (const [key, address] of this.#placed) {
      if (!wantedKeys.has(key)) this.#remove(key, address);
    }
    const standing = new Map(present.map((address) => [keyOf(address), address]));
    for (const address of wanted) {
      const known = standing.get(keyOf(address));
      if (known?.deprecated !== address.deprecated) this.#set(address);
    }
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
