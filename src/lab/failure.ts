import type { Address } from "../wire/address.ts";
import { addFilter, removeFilter } from "./filter.ts";
import type { Network } from "./network.ts";
import { ipBatchIn, sleep } from "./shell.ts";
import { CORE, uplinkSpec } from "./topology.ts";

/** A way in which an uplink fails; each can be undone. */
export type Failure =
  /** The ISP's router drops in silence: what one host sends or gets, or (no `host`) everything. */
  | {
      readonly kind: "silent-loss";
      readonly isp: string;
      readonly host?: string;
      readonly direction: "both" | "to-host" | "from-host";
    }
  /** The host's interface is set down; Linux takes its IPv6 addresses and routes with it. */
  | { readonly kind: "link-down"; readonly host: string; readonly isp: string }
  /** The router's end goes down: the host's interface loses its carrier. */
  | { readonly kind: "carrier-lost"; readonly host: string; readonly isp: string }
  /** The host's interface is unplugged, and gets another index when it comes back. */
  | { readonly kind: "interface-removed"; readonly host: string; readonly isp: string }
  /** The uplink's address is deleted from the host's interface, as the paper's authors did. */
  | { readonly kind: "address-deleted"; readonly host: string; readonly isp: string }
  /** The ISP's router answers nothing any more, while the cable keeps its carrier. */
  | { readonly kind: "router-dead"; readonly isp: string }
  /** The ISP takes the prefix of an autoconfigured host back, at once; or gives it another one. */
  | { readonly kind: "prefix-withdrawn"; readonly host: string; readonly isp: string }
  | {
      readonly kind: "prefix-renumbered";
      readonly host: string;
      readonly isp: string;
      /** An address in the new network. */
      readonly successor: Address;
    }
  /** All these ISPs lose everything in silence; after `gap` ms the last one works again. */
  | { readonly kind: "blackout"; readonly isps: readonly string[]; readonly gap: number };

export interface InjectedFailure {
  /** Unix time in ms, taken just before the failing command was started. */
  readonly at: number;
  /** Undoes the failure: the uplink is again as it was. */
  heal(): Promise<void>;
}

const LOSS_TABLE = "silent_loss";
const DEAD_TABLE = "router_dead";

/** @throws LabError when a command of the injection fails. */
export async function inject(network: Network, failure: Failure): Promise<InjectedFailure> {
  const at = Date.now();
  switch (failure.kind) {
    case "silent-loss": {
      const router = network.namespace(failure.isp);
      await addFilter(router, { table: LOSS_TABLE, hook: "forward", rules: lossRules(failure) });
      return { at, heal: () => removeFilter(router, LOSS_TABLE) };
    }
    case "link-down":
      await setLink(network, failure.host, failure.isp, "down");
      return { at, heal: () => raiseUplink(network, failure.host, failure.isp) };
    case "carrier-lost":
      await setLink(network, failure.isp, failure.host, "down");
      return { at, heal: () => setLink(network, failure.isp, failure.host, "up") };
    case "interface-removed": {
      const host = network.host(failure.host);
      await ipBatchIn(network.namespace(failure.host), [`link delete dev ${failure.isp}`]);
      return { at, heal: () => network.plugIn(host, uplinkSpec(host, failure.isp)) };
    }
    case "address-deleted": {
      const { host, isp } = failure;
      const uplink = uplinkSpec(network.host(host), isp);
      await ipBatchIn(network.namespace(host), [`address del ${uplink.address}/64 dev ${isp}`]);
      return { at, heal: () => network.configureUplink(network.host(host), uplink) };
    }
    case "router-dead": {
      const router = network.namespace(failure.isp);
      for (const hook of ["input", "forward", "output"] as const) {
        await addFilter(router, { table: DEAD_TABLE, hook, policy: "drop", rules: [] });
      }
      return { at, heal: () => removeFilter(router, DEAD_TABLE) };
    }
    case "prefix-withdrawn":
    case "prefix-renumbered": {
      const host = network.host(failure.host);
      const uplink = uplinkSpec(host, failure.isp);
      const successor =
        failure.kind === "prefix-renumbered"
          ? { isp: failure.isp, address: failure.successor }
          : undefined;
      await network.withdrawPrefix(host, uplink, successor);
      return { at, heal: () => network.restorePrefix(host, uplink) };
    }
    case "blackout":
      return await blackOut(network, failure, at);
  }
}

/** The last ISP comes back by itself, the others by `heal`. */
async function blackOut(
  network: Network,
  { isps, gap }: Failure & { kind: "blackout" },
  at: number,
): Promise<InjectedFailure> {
  const losses = await Promise.all(
    isps.map((isp) => inject(network, { kind: "silent-loss", isp, direction: "both" })),
  );
  const last = losses.pop();
  await sleep(gap);
  await last?.heal();
  const heal = async () => {
    for (const loss of losses) await loss.heal();
  };
  return { at, heal };
}

/** What happened, in words for people. */
export function describeFailure(failure: Failure): string {
  switch (failure.kind) {
    case "silent-loss": {
      if (failure.host === undefined) return `${failure.isp} drops every packet in silence`;
      const what = { both: "to and from", "to-host": "to", "from-host": "from" }[failure.direction];
      return `${failure.isp} drops every packet ${what} host ${failure.host} in silence`;
    }
    case "link-down":
      return `host ${failure.host}'s interface ${failure.isp} goes down`;
    case "carrier-lost":
      return `host ${failure.host}'s interface ${failure.isp} loses its carrier`;
    case "interface-removed":
      return `host ${failure.host}'s interface ${failure.isp} is unplugged`;
    case "address-deleted":
      return `host ${failure.host}'s address of ${failure.isp} is deleted`;
    case "router-dead":
      return `the router of ${failure.isp} dies, the cable keeps its carrier`;
    case "prefix-withdrawn":
      return `${failure.isp} takes host ${failure.host}'s prefix back`;
    case "prefix-renumbered":
      return `${failure.isp} gives host ${failure.host} another prefix in place of its own`;
    case "blackout":
      return `${failure.isps.join(" and ")} drop every packet in silence, the last one for ${failure.gap / 1000} s`;
  }
}

function lossRules(failure: Failure & { kind: "silent-loss" }): string[] {
  const { host, direction } = failure;
  if (host === undefined) return [`iifname != "${CORE}" drop`, `oifname != "${CORE}" drop`];
  const rules: string[] = [];
  if (direction !== "to-host") rules.push(`iifname "${host}" drop`);
  if (direction !== "from-host") rules.push(`oifname "${host}" drop`);
  return rules;
}

async function setLink(network: Network, node: string, device: string, state: "up" | "down") {
  await ipBatchIn(network.namespace(node), [`link set dev ${device} ${state}`]);
}

async function raiseUplink(network: Network, host: string, isp: string): Promise<void> {
  await setLink(network, host, isp, "up");
  const spec = network.host(host);
  await network.configureUplink(spec, uplinkSpec(spec, isp));
}
