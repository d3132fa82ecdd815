import { prefixOf } from "../../identity/subnet-prefix.ts";
import type { InterfaceAddress } from "../../linux/rtnetlink.ts";
import type { Address } from "../../wire/address.ts";

/**
 * What is left of an address (RFC 4862 section 5.5.4). "ending": so little that peers must be told
 * now to leave it.
 */
export type AddressLife = "preferred" | "deprecated" | "ending";

/**
 * Seconds before the end of its valid lifetime that an address is given up: the time of an Update
 * Request and two retransmissions (RFC 5533 section 10.3), and an exploration.
 */
const FAREWELL = 20;

/** What is left of each address, and how long that holds. */
export class AddressLives {
  /** Seconds until some address is "ending"; `undefined` when none will be. */
  readonly nextEnd: number | undefined;
  readonly #lives = new Map<string, AddressLife>();

  /**
   * @param addresses with their lifetimes as of now
   * @param isOurs addresses that we made, for ever: they live as long as the others in their /64,
   *   which the router's advertisements, or whoever gave them, keep alive
   */
  constructor(
    addresses: readonly InterfaceAddress[],
    isOurs: (address: InterfaceAddress) => boolean = () => false,
  ) {
    const others = addresses.filter((address) => !isOurs(address));
    for (const address of addresses) {
      const siblings = others.filter((other) => isBeside(other, address));
      const givers = isOurs(address) && siblings.length > 0 ? siblings : [address];
      this.#lives.set(keyOf(address), best(givers.map(lifeOf)));
    }
    const ends = others.flatMap(({ validLifetime: left }) =>
      left === undefined || left <= FAREWELL ? [] : [left - FAREWELL],
    );
    this.nextEnd = ends.length === 0 ? undefined : Math.min(...ends);
  }

  of(address: { readonly address: Address; readonly link: number }): AddressLife {
    return this.#lives.get(keyOf(address)) ?? "preferred";
  }
}

function lifeOf({ deprecated, validLifetime }: InterfaceAddress): AddressLife {
  if (validLifetime !== undefined && validLifetime <= FAREWELL) return "ending";
  return deprecated ? "deprecated" : "preferred";
}

function best(lives: readonly AddressLife[]): AddressLife {
  if (lives.includes("preferred")) return "preferred";
  return lives.includes("deprecated") ? "deprecated" : "ending";
}

/** On the same link and in the same /64. */
function isBeside(a: InterfaceAddress, b: InterfaceAddress): boolean {
  return a.link === b.link && prefixOf(a.address) === prefixOf(b.address);
}

function keyOf({ link, address }: { readonly address: Address; readonly link: number }): string {
  return `${link} ${address}`;
}
