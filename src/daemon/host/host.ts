import type { LocalLocator } from "../../core/config.ts";
import { after, seconds } from "../../core/time.ts";
import type { Address } from "../../wire/address.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { Warning } from "../api.ts";
import type { Clock } from "../clock.ts";
import type { DaemonConfig } from "../config/config.ts";
import type { IdentitySystem } from "../identity/address-sets.ts";
import { OwnAddresses } from "../identity/own-addresses.ts";
import { AddressLives } from "./address-life.ts";
import type { NetworkMonitor, OwnEntries } from "./network.ts";
import { preferenceOf } from "./preference.ts";
import { Repairs } from "./repairs.ts";
import { SourceRouting } from "./source-routing.ts";
import type { UlidFile } from "./ulid-file.ts";
import { UlidKeeper } from "./ulids.ts";
import { findUplinks, isCut, localLocators, type Uplink, uplinkWarnings } from "./uplinks.ts";

export type HostConfig = Pick<
  DaemonConfig,
  "uplinks" | "temporaryLocators" | "security" | "hostIdentity"
>;

export interface HostObserver {
  /** Uplinks and warnings may have changed. */
  looked(): void;
  /** The host's locators or their states changed. */
  locatorsChanged(locators: readonly LocalLocator[]): void;
  /** The host has made itself addresses, or has again those of an earlier run. */
  addressesChosen(addresses: readonly Address[]): void;
  /** The kernel or the disk refused something; the shim goes on. */
  warning(error: Error): void;
  /** Others may have changed what the data plane has in the host's tables. @returns what was missing */
  repairPlane(): number;
  /** The router that these locators leave by does not answer any more. */
  routerLost(locators: readonly Address[]): void;
  /** The network can be followed no longer: the daemon must stop. */
  failed(error: Error): void;
}

/** The host that a {@link Host} looks at and changes; tests bring their own. */
export interface HostSystem {
  readonly monitor: NetworkMonitor;
  readonly own: OwnEntries;
  readonly ulidFile: UlidFile;
  readonly identity: IdentitySystem;
}

/**
 * The host's side of the shim beyond packets: its uplinks and locators as they change, the
 * policy routing that they need, the addresses that prove each other, and the ULIDs that must stay.
 */
export class Host {
  readonly #config: HostConfig;
  readonly #monitor: NetworkMonitor;
  readonly #own: OwnEntries;
  readonly #observer: HostObserver;
  readonly #routing: SourceRouting;
  readonly #ulids: UlidKeeper;
  readonly #addresses: OwnAddresses;
  readonly #repairs: Repairs;
  readonly #clock: Clock;
  #cancelLook: (() => void) | undefined;
  #started = false;
  #uplinks: readonly Uplink[] = [];
  /** By interface index, while the link is down, too, when there is no route to it. */
  #gateways: ReadonlyMap<number, Address> = new Map();
  #locators: readonly LocalLocator[] = [];

  constructor(config: HostConfig, system: HostSystem, observer: HostObserver) {
    const warn = (error: Error) => observer.warning(error);
    this.#config = config;
    this.#monitor = system.monitor;
    this.#own = system.own;
    this.#observer = observer;
    this.#routing = new SourceRouting(system.own, warn);
    this.#ulids = new UlidKeeper(system.own, system.ulidFile, warn);
    this.#addresses = new OwnAddresses(config, system.own, system.identity, {
      warning: warn,
      chosen: (addresses) => observer.addressesChosen(addresses),
      made: () => this.#refresh(),
    });
    this.#clock = system.identity.clock;
    this.#repairs = new Repairs(
      this.#clock,
      () => this.#refresh(),
      ({ text }) => observer.warning(new Error(text)),
    );
  }

  get uplinks(): readonly Uplink[] {
    return this.#uplinks;
  }

  /** Rules, routes and addresses that others took away, and that were put back. */
  get repaired(): number {
    return this.#repairs.count;
  }

  /** What a user should know about the host's side. */
  warnings(): Warning[] {
    return [...uplinkWarnings(this.#uplinks), ...this.#repairs.warnings()];
  }

  /** With the ULIDs in use that no uplink has any more, which are not operational. */
  get locators(): readonly LocalLocator[] {
    return this.#locators;
  }

  /**
   * Removes what an earlier run left behind and begins to follow the network.
   * @param expected ULIDs of contexts that go on from that run: they stay until `settle`
   * @throws SystemError without the privilege to; IdentityFileError, StateDirectoryError
   */
  start(expected: readonly Address[] = []): void {
    this.#started = true;
    this.#addresses.start(expected);
    this.#ulids.removeLeftovers(expected);
    this.#monitor.start({
      changed: () => this.#refresh(),
      unreachable: (link, neighbor) => this.#handleUnreachable(link, neighbor),
      failed: (error) => this.#observer.failed(error),
    });
    this.#refresh();
  }

  /** The contexts that go on hold their ULIDs now: what the others had is given up. */
  settle(): void {
    const before = this.#ulids.held.length;
    this.#ulids.settle();
    if (this.#ulids.held.length < before) this.#refresh();
  }

  /** Ends, and leaves everything to a successor. Safe to call twice, and without a start. */
  release(): void {
    this.#close();
    this.#addresses.release();
    this.#started = false;
    this.#own.close();
  }

  /** Takes away what runs before have left, without a start. @throws SystemError, StateDirectoryError */
  flush(): void {
    try {
      this.#monitor.start({
        changed: () => undefined,
        unreachable: () => undefined,
        failed: (error) => this.#observer.failed(error),
      });
      this.#ulids.removeLeftovers([]);
      this.#addresses.flush(this.#monitor.network);
      this.#routing.clear();
    } finally {
      this.#monitor.close();
      this.#own.close();
    }
  }

  /** Leaves the host as it was. Safe to call twice, and without a start. */
  stop(): void {
    this.#close();
    if (this.#started) {
      this.#ulids.releaseAll();
      this.#addresses.stop();
      this.#routing.clear();
    }
    this.#started = false;
    this.#own.close();
  }

  /** A context needs its local ULID from now on. */
  hold(tag: ContextTag, ulid: Address): void {
    this.#ulids.hold(tag, ulid);
  }

  /** The context is gone. */
  letGo(tag: ContextTag): void {
    if (this.#ulids.release(tag)) this.#refresh();
  }

  /**
   * Drops what waits for the gateway of a link that is down or without carrier. Linux lets it wait
   * there for three seconds, and TCP does not send again on the new path what it believes still
   * waiting. What is rewritten in the kernel is sent to the gateway though the routes are gone.
   * To be called when sessions have left such a link: for good, or while what leads them by another
   * was taken away.
   */
  dropStranded(): void {
    for (const { link } of this.#uplinks.filter(isCut)) {
      const gateway = this.#gateways.get(link);
      if (gateway === undefined) continue;
      try {
        this.#own.dropWaiting(link, gateway);
      } catch (error) {
        this.#observer.warning(error as Error);
      }
    }
  }

  /** Routing first: what the endpoint sends from a new locator takes its way already. */
  #refresh(): void {
    const { network } = this.#monitor;
    this.#uplinks = findUplinks(network, this.#config, this.#uplinks, this.#lookAtLives());
    this.#gateways = lastGateways(this.#uplinks, this.#gateways);
    this.#addresses.apply(this.#uplinks, network, this.#ulids.held);
    const locators = this.#withHeldUlids(localLocators(this.#uplinks)).map((locator) =>
      this.#withProver(locator),
    );
    const changed = !sameLocators(locators, this.#locators);
    this.#locators = locators;
    const isRouted = this.#routing.apply(this.#uplinks);
    this.#repairs.attempt(() => this.#repair(isRouted));
    this.#observer.looked();
    if (changed) this.#observer.locatorsChanged(locators);
  }

  /** The kernel tells only of the end itself: looks again before one. */
  #lookAtLives(): AddressLives {
    const { addresses } = this.#monitor.network;
    const isMortal = addresses.some(({ validLifetime }) => validLifetime !== undefined);
    const current = isMortal ? this.#own.readAddresses() : addresses;
    const lives = new AddressLives(current, (address) => this.#addresses.isOurs(address));
    this.#cancelLook?.();
    this.#cancelLook =
      lives.nextEnd === undefined
        ? undefined
        : this.#clock.schedule(after(this.#clock.now(), seconds(lives.nextEnd)), () =>
            this.#refresh(),
          );
    return lives;
  }

  #handleUnreachable(link: number, neighbor: Address): void {
    const uplink = this.#uplinks.find((each) => each.link === link && each.gateway === neighbor);
    if (uplink === undefined || uplink.locators.length === 0) return;
    this.#observer.routerLost(uplink.locators.map(({ address }) => address));
  }

  /** Follows nothing any more. */
  #close(): void {
    this.#monitor.close();
    this.#repairs.close();
    this.#cancelLook?.();
  }

  /**
   * Puts back what others or the kernel took away of what stood.
   * @param isRouted source routing has just been brought up to date
   * @returns how much that was
   */
  #repair(isRouted: boolean): number {
    const present = this.#own.read();
    const routing = isRouted ? 0 : this.#routing.repair(present);
    const addresses = this.#ulids.repair(present) + this.#addresses.repair();
    const repaired = routing + addresses + this.#observer.repairPlane();
    if (repaired > 0) this.dropStranded();
    return repaired;
  }

  #withHeldUlids(present: readonly LocalLocator[]): LocalLocator[] {
    const gone = this.#ulids.held
      .filter((ulid) => !present.some((locator) => locator.address === ulid))
      .map((ulid) => ({ ...this.#lastKnown(ulid), operational: false }));
    return [...present, ...gone];
  }

  #withProver(locator: LocalLocator): LocalLocator {
    const prover = this.#addresses.proverOf(locator.address);
    return prover === undefined ? locator : { ...locator, prover };
  }

  #lastKnown(address: Address): Omit<LocalLocator, "operational"> {
    return (
      this.#locators.find((locator) => locator.address === address) ?? {
        address,
        preference: preferenceOf(undefined),
      }
    );
  }
}

function sameLocators(a: readonly LocalLocator[], b: readonly LocalLocator[]): boolean {
  const facts = (locators: readonly LocalLocator[]) =>
    JSON.stringify(locators.map((locator) => ({ ...locator, prover: undefined })));
  return facts(a) === facts(b) && a.every(({ prover }, i) => prover === b[i]?.prover);
}

function lastGateways(
  uplinks: readonly Uplink[],
  before: ReadonlyMap<number, Address>,
): Map<number, Address> {
  return new Map(
    uplinks.flatMap(({ link, gateway = before.get(link) }) =>
      gateway === undefined ? [] : [[link, gateway] as const],
    ),
  );
}
