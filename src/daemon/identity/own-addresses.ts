import type { Prover } from "../../identity/prove-locators.ts";
import type { SubnetPrefix } from "../../identity/subnet-prefix.ts";
import { type InterfaceAddress, L3SHIM_ROUTE_PROTOCOL } from "../../linux/rtnetlink.ts";
import type { Address } from "../../wire/address.ts";
import type { DaemonConfig } from "../config/config.ts";
import type { HostNetwork, OwnAddress, OwnEntries } from "../host/network.ts";
import type { Uplink } from "../host/uplinks.ts";
import { AddressLabels } from "./address-labels.ts";
import { AddressPlacement } from "./address-placement.ts";
import { AddressSets, type IdentitySystem, type SetsObserver } from "./address-sets.ts";
import { type OnLinkPrefix, onLinkPrefixes } from "./on-link.ts";
import type { OwnSet } from "./own-set.ts";

export type OwnAddressesConfig = Pick<DaemonConfig, "security" | "uplinks" | "hostIdentity">;

/** Prefixes in one set: their parameters must leave room in a message (1280 octets). */
const PREFIXES_MAX = 8;

/**
 * The addresses that the host makes for itself, so that its locators can be proven: an HBA set
 * over the prefixes of its uplinks, on their interfaces.
 */
export class OwnAddresses {
  readonly #config: OwnAddressesConfig;
  readonly #sets: AddressSets;
  readonly #placement: AddressPlacement;
  readonly #labels: AddressLabels;
  /** Another host has them; nobody gets one by asking again. */
  readonly #taken = new Set<Address>();

  constructor(
    config: OwnAddressesConfig,
    own: OwnEntries,
    system: IdentitySystem,
    observer: SetsObserver,
  ) {
    const warn = (error: Error) => observer.warning(error);
    this.#config = config;
    this.#sets = new AddressSets(config.hostIdentity, system, observer);
    this.#placement = new AddressPlacement(own, warn);
    this.#labels = new AddressLabels(own, warn);
  }

  /**
   * Reads what former runs made.
   * @param ulids in use by sessions that go on from such a run
   * @throws IdentityFileError
   */
  start(ulids: readonly Address[]): void {
    if (this.#areMade) this.#sets.load(ulids);
  }

  /** Makes what the prefixes of the uplinks need, and takes away what they don't. */
  apply(uplinks: readonly Uplink[], network: HostNetwork, ulids: readonly Address[]): void {
    const present = this.#presentIn(network);
    const isOurs = (address: InterfaceAddress) => present.includes(address);
    const onLink = this.#areMade ? onLinkPrefixes(uplinks, network, this.#config, isOurs) : [];
    this.#handleCollisions(present);
    this.#sets.want(this.#wantedPrefixes(onLink));
    this.#sets.prune(ulids);
    this.#placement.apply(this.#wantedAddresses(onLink), present);
    const usable = present.filter(({ address, deprecated, tentative }) => {
      return this.#isCurrent(address) && !deprecated && !tentative;
    });
    this.#labels.apply(usable.map(({ address }) => address));
  }

  /** Puts back the addresses that others took away. @returns how many */
  repair(): number {
    return this.#placement.repair();
  }

  /** What proves the locators of contexts whose ULID the address is. */
  proverOf(address: Address): Prover | undefined {
    return this.#sets.find(address)?.proverOf(address);
  }

  /** Ends, and leaves the addresses where they are. */
  release(): void {
    this.#sets.close();
  }

  /** Takes away what runs before have left, whatever the configuration says now. */
  flush(network: HostNetwork): void {
    this.#sets.load([]);
    this.#labels.apply([]);
    this.#placement.apply([], this.#presentIn(network));
  }

  /** Leaves the host as it was; the next start makes the same addresses. */
  stop(): void {
    this.#sets.close();
    this.#labels.apply([]);
    this.#placement.clear();
  }

  get #areMade(): boolean {
    return this.#config.security === "verified" && this.#config.hostIdentity.addresses;
  }

  /** By its mark, or because nobody else makes an address out of our key. */
  isOurs({ protocol, address }: InterfaceAddress): boolean {
    return protocol === L3SHIM_ROUTE_PROTOCOL || this.#sets.find(address) !== undefined;
  }

  #presentIn({ links, addresses }: HostNetwork): InterfaceAddress[] {
    const loopback = links.filter((link) => link.loopback).map(({ index }) => index);
    return addresses.filter((address) => !loopback.includes(address.link) && this.isOurs(address));
  }

  #handleCollisions(present: readonly InterfaceAddress[]): void {
    const failed = present
      .filter(({ address, dadFailed }) => dadFailed && !this.#taken.has(address))
      .map(({ address }) => address);
    for (const address of failed) this.#taken.add(address);
    if (failed.some((address) => this.#isCurrent(address))) this.#sets.handleCollision();
  }

  #isCurrent(address: Address): boolean {
    return this.#sets.current?.proverOf(address) !== undefined;
  }

  #wantedPrefixes(onLink: readonly OnLinkPrefix[]): SubnetPrefix[] {
    const lasting = onLink.flatMap(({ prefix, deprecated }) => (deprecated ? [] : [prefix]));
    if (lasting.length === 0) return [];
    const prefixes = new Set([...lasting, ...this.#config.hostIdentity.prefixes]);
    return [...prefixes].slice(0, PREFIXES_MAX);
  }

  #wantedAddresses(onLink: readonly OnLinkPrefix[]): OwnAddress[] {
    const { current, former } = this.#sets;
    const sets = current === undefined ? former : [current, ...former];
    return onLink.flatMap(({ prefix, link, deprecated }) =>
      sets.flatMap((set: OwnSet): OwnAddress[] => {
        const address = set.addressIn(prefix);
        if (address === undefined || this.#taken.has(address)) return [];
        return [{ address, link, deprecated: deprecated || set !== current }];
      }),
    );
  }
}
