import type { LocalLocator } from "../../core/config.ts";
import {
  type InterfaceAddress,
  isDefaultRoute,
  type Link,
  MAIN_TABLE,
  type Route,
} from "../../linux/rtnetlink.ts";
import type { Address } from "../../wire/address.ts";
import type { Warning } from "../api.ts";
import type { DaemonConfig, UplinkConfig } from "../config/config.ts";
import { type AddressLife, AddressLives } from "./address-life.ts";
import type { HostNetwork } from "./network.ts";
import { DEPRECATED_PREFERENCE, preferenceOf, roleOf, type UplinkRole } from "./preference.ts";

/** An interface that leads to the Internet, with the locators that it gives to the host. */
export interface Uplink {
  readonly interface: string;
  /** Interface index. */
  readonly link: number;
  /** `undefined` while there is none. */
  readonly gateway: Address | undefined;
  readonly role: UplinkRole;
  readonly preference: number;
  /** See {@link LocalLocator}. */
  readonly weight: number;
  readonly transient: boolean;
  readonly locators: readonly UplinkLocator[];
  /** Why nothing can leave here; `undefined` when it works. */
  readonly problem: string | undefined;
}

export interface UplinkLocator {
  readonly address: Address;
  readonly preference: number;
  readonly operational: boolean;
  readonly problem: string | undefined;
}

/** The problem of an uplink whose link is up and leads nowhere. */
const NO_CARRIER = "no carrier";
const IS_DOWN = "the interface is down";

/** Nothing that is sent there goes anywhere. */
export function isCut({ problem }: Pick<Uplink, "problem">): boolean {
  return problem === NO_CARRIER || problem === IS_DOWN;
}

/**
 * The host's uplinks: every interface that has, or had when last looked at, an IPv6 default
 * route, and those that the configuration names.
 * @param before the uplinks when last looked at: an uplink stays one while it is down, and a
 *   deprecated address is offered only where it was before it became so
 * @param lives what is left of the addresses
 */
export function findUplinks(
  network: HostNetwork,
  config: Pick<DaemonConfig, "uplinks" | "temporaryLocators">,
  before: readonly Uplink[] = [],
  lives = new AddressLives(network.addresses),
): Uplink[] {
  return network.links.flatMap((link) => {
    const settings = config.uplinks.find((uplink) => uplink.interface === link.name);
    const known = before.find((uplink) => uplink.link === link.index);
    const route = bestDefaultRoute(network.routes, link.index);
    if (link.loopback || settings?.exclude) return [];
    if (settings === undefined && known === undefined && route === undefined) return [];
    const problem = linkProblem(link, route, settings);
    const offered = network.addresses.filter(
      (address) =>
        address.link === link.index && isOffered(address, config.temporaryLocators, known),
    );
    return {
      interface: link.name,
      link: link.index,
      gateway: settings?.gateway ?? route?.gateway,
      role: roleOf(settings),
      preference: preferenceOf(settings),
      weight: settings?.weight ?? 0,
      transient: settings?.transient ?? false,
      locators: offered.map((address) =>
        uplinkLocator(address, lives.of(address), preferenceOf(settings), problem),
      ),
      problem: problem ?? (offered.length === 0 ? "no global address" : undefined),
    };
  });
}

/** What the endpoint is told: the uplinks' locators, an address on two interfaces once. */
export function localLocators(uplinks: readonly Uplink[]): LocalLocator[] {
  const locators = new Map<Address, LocalLocator>();
  for (const { weight, transient, locators: offered } of uplinks) {
    for (const { address, preference, operational } of offered) {
      if (locators.get(address)?.operational) continue;
      locators.set(address, { address, preference, weight, transient, operational });
    }
  }
  return [...locators.values()];
}

/** What a user should know about the uplinks. */
export function uplinkWarnings(uplinks: readonly Uplink[]): Warning[] {
  const working = uplinks.filter((uplink) => uplink.problem === undefined);
  const warnings = uplinks.flatMap(({ interface: name, problem }): Warning[] => {
    if (problem === undefined) return [];
    const text = `uplink ${name}: ${problem}`;
    return [{ code: "uplink-down", severity: "warning", text }];
  });
  if (working.length === 0) {
    const text = "no uplink works: nothing can be sent";
    warnings.push({ code: "no-uplink", severity: "error", text });
  } else if (working.length === 1) {
    const text = `${working[0]?.interface} is the only uplink that works: no way to switch to`;
    warnings.push({ code: "one-uplink", severity: "warning", text });
  }
  return warnings;
}

function bestDefaultRoute(routes: readonly Route[], link: number): Route | undefined {
  return routes
    .filter((route) => route.link === link && route.table === MAIN_TABLE && isDefaultRoute(route))
    .reduce<Route | undefined>(
      (best, route) => (best === undefined || route.metric < best.metric ? route : best),
      undefined,
    );
}

/** An interface that the configuration names may have neighbours only, and no router. */
function linkProblem(
  link: Link,
  route: Route | undefined,
  settings: UplinkConfig | undefined,
): string | undefined {
  if (!link.up) return IS_DOWN;
  if (!link.carrier || !link.running) return NO_CARRIER;
  if (route === undefined && settings === undefined) return "no default route";
  return undefined;
}

function isOffered(
  address: InterfaceAddress,
  temporary: boolean,
  known: Uplink | undefined,
): boolean {
  if (!isGlobalUnicast(address)) return false;
  if (address.temporary && !temporary) return false;
  if (!address.deprecated) return true;
  return known?.locators.some((locator) => locator.address === address.address) ?? false;
}

/** Not one of fc00::/7 (RFC 4193): those are no use as locators beyond the site. */
export function isGlobalUnicast({ address, scope }: InterfaceAddress): boolean {
  return scope === "global" && !/^f[cd][0-9a-f]{2}:/.test(address);
}

function uplinkLocator(
  address: InterfaceAddress,
  life: AddressLife,
  preference: number,
  linkProblem: string | undefined,
): UplinkLocator {
  const problem = linkProblem ?? addressProblem(address, life);
  return {
    address: address.address,
    preference: life === "preferred" ? preference : DEPRECATED_PREFERENCE,
    operational: problem === undefined,
    problem,
  };
}

function addressProblem(address: InterfaceAddress, life: AddressLife): string | undefined {
  if (life === "ending") return "its lifetime ends";
  if (address.dadFailed) return "another host on the link has this address";
  // RFC 4429: an optimistic address serves while its detection goes on.
  return address.tentative && !address.optimistic
    ? "duplicate address detection is not finished"
    : undefined;
}
