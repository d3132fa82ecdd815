import type { AddressPair } from "../core/output.ts";
import type { Instant } from "../core/time.ts";
import { type Address, parseAddress } from "../wire/address.ts";
import { Link } from "./link.ts";
import { SimRandom } from "./random.ts";
import type { Failure, HostSpec, LinkModel, UplinkName } from "./scenario.ts";

/** A host's attachment to one ISP. */
interface Uplink {
  readonly host: string;
  address: Address;
  /** The address that it has by itself, and the one that it has while renumbered. */
  readonly addresses: { readonly usual: Address; readonly other: Address };
  /** Failures in effect that renumber it. */
  renumbered: number;
  readonly up: Link;
  readonly down: Link;
}

/**
 * Hosts with uplinks around a core that is never short of anything. A packet passes the
 * sender's uplink and the receiver's; both are asked when it leaves.
 */
export class Network {
  readonly #byAddress = new Map<Address, Uplink>();
  readonly #byHost = new Map<string, readonly Uplink[]>();
  /** Paths with the number of failures that block them, by source and destination. */
  readonly #blocked = new Map<string, number>();
  readonly #partitions = new Set<ReadonlySet<string>>();

  constructor(seed: number, hosts: readonly HostSpec[], model: LinkModel) {
    for (const { name, uplinks } of hosts) {
      const number = this.#byHost.size + 1;
      const made = Array.from({ length: uplinks }, (_, i) => ({
        host: name,
        address: addressOf(number, i + 1, 1),
        addresses: { usual: addressOf(number, i + 1, 1), other: addressOf(number, i + 1, 2) },
        renumbered: 0,
        up: new Link(model, new SimRandom(seed, `up ${name} ${i}`)),
        down: new Link(model, new SimRandom(seed, `down ${name} ${i}`)),
      }));
      this.#byHost.set(name, made);
      for (const uplink of made) this.#byAddress.set(uplink.address, uplink);
    }
  }

  /** The host's present addresses, in the order of its uplinks. @throws when there is no such host. */
  addressesOf(host: string): Address[] {
    const uplinks = this.#byHost.get(host);
    if (uplinks === undefined) throw new Error(`the scenario has no host "${host}"`);
    return uplinks.map(({ address }) => address);
  }

  /** Those too that its uplinks have while renumbered. */
  allAddressesOf(host: string): Address[] {
    const uplinks = this.#byHost.get(host) ?? [];
    return uplinks.flatMap(({ addresses: { usual, other } }) => [usual, other]);
  }

  /** When the copies of a packet arrive that leaves now; empty when it is lost. */
  transmit(now: Instant, path: AddressPair, bytes: number): Instant[] {
    const source = this.#byAddress.get(path.local);
    const destination = this.#byAddress.get(path.peer);
    if (source === undefined || destination === undefined) return [];
    if (this.#isBlocked(source, destination)) return [];
    const arrivals: Instant[] = [];
    for (const at of source.up.transmit(now, bytes)) {
      arrivals.push(...destination.down.transmit(at, bytes));
    }
    return arrivals;
  }

  /** No failure, nor a loss beyond the links' model, lies on the path, in this direction. */
  isOpen(path: AddressPair): boolean {
    const source = this.#byAddress.get(path.local);
    const destination = this.#byAddress.get(path.peer);
    if (source === undefined || destination === undefined) return false;
    if (!source.up.isSound || !destination.down.isSound) return false;
    return !this.#isBlocked(source, destination);
  }

  /** A failure of links or paths begins (or ends, with `change` -1). */
  apply(failure: Failure, change: 1 | -1): void {
    if (failure.type === "uplink") {
      const uplink = this.#uplink(failure);
      if (failure.direction !== "down") uplink.up.failures += change;
      if (failure.direction !== "up") uplink.down.failures += change;
    }
    if (failure.type === "loss") {
      const { up, down } = this.#uplink(failure);
      for (const link of [up, down]) link.changeLoss(failure.share, change);
    }
    if (failure.type === "renumber") this.#renumber(this.#uplink(failure), change);
    if (failure.type === "path") {
      const path = this.#path(failure.from, failure.to);
      const failures = (this.#blocked.get(path) ?? 0) + change;
      if (failures > 0) this.#blocked.set(path, failures);
      else this.#blocked.delete(path);
    }
  }

  #renumber(uplink: Uplink, change: 1 | -1): void {
    uplink.renumbered += change;
    this.#byAddress.delete(uplink.address);
    uplink.address = uplink.renumbered > 0 ? uplink.addresses.other : uplink.addresses.usual;
    this.#byAddress.set(uplink.address, uplink);
  }

  partition(hosts: ReadonlySet<string>): void {
    this.#partitions.add(hosts);
  }

  unite(hosts: ReadonlySet<string>): void {
    this.#partitions.delete(hosts);
  }

  #uplink({ host, uplink }: UplinkName): Uplink {
    const found = this.#byHost.get(host)?.[uplink];
    if (found === undefined) throw new Error(`the scenario has no uplink ${host}/${uplink}`);
    return found;
  }

  #path(from: UplinkName, to: UplinkName): string {
    return pathKey(this.#uplink(from), this.#uplink(to));
  }

  #isBlocked(source: Uplink, destination: Uplink): boolean {
    if (this.#blocked.size > 0 && this.#blocked.has(pathKey(source, destination))) return true;
    for (const inside of this.#partitions) {
      if (inside.has(source.host) !== inside.has(destination.host)) return true;
    }
    return false;
  }
}

/** Between two uplinks, whatever their present addresses are. */
function pathKey(from: Uplink, to: Uplink): string {
  return `${from.addresses.usual} ${to.addresses.usual}`;
}

/** In the documentation prefix; ISP and host number stand in it. */
function addressOf(host: number, isp: number, last: number): Address {
  const address = parseAddress(`2001:db8:${isp.toString(16)}:${host.toString(16)}::${last}`);
  if (address === undefined) throw new Error(`no address for host ${host} at ISP ${isp}`);
  return address;
}
