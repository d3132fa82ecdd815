import type { Context } from "./context.ts";
import { inForm } from "./output.ts";
import type { PathView } from "./path-log.ts";
import type { Shim } from "./shim.ts";
import type { ContextView } from "./view.ts";

export function viewContext(context: Context, shim: Shim): ContextView {
  const { reachability } = context;
  return {
    tag: context.tag,
    state: context.state,
    reapState: context.state === "ESTABLISHED" ? reachability?.state : undefined,
    ulids: context.ulids,
    locators: context.locators,
    preferred: context.preferred,
    pin: context.pin,
    betterPairs: reachability?.betterPairs ?? [],
    forkedInstance: context.forkedInstance,
    selector: context.selector,
    peerTag: context.peerTag,
    localLocators: context.offer.map((locator) => ({
      address: locator.address,
      preference: locator.preference,
      weight: locator.weight ?? 0,
      transient: locator.transient ?? false,
      operational: shim.isOperational(locator.address),
    })),
    peerLocators: context.peerLocators.map((locator) => ({
      ...locator,
      reachable: context.reachable.has(locator.address),
    })),
    initiator: context.initiator,
    createdAt: context.createdAt,
    establishedAt: context.establishedAt,
    lastSwitchAt: context.lastSwitchAt,
    switches: context.switches,
    probesSent: reachability?.probesSent ?? 0,
    probesReceived: reachability?.probesReceived ?? 0,
    keepalivesSent: reachability?.keepalivesSent ?? 0,
    keepalivesReceived: reachability?.keepalivesReceived ?? 0,
    traffic: reachability?.traffic,
    next: context.deadline,
    // Made for whoever reads it: there are many contexts, and more pairs.
    get paths() {
      return viewPaths(context);
    },
  };
}

function viewPaths({ mayEncapsulate, offer, paths, peerLocators }: Context): PathView[] {
  const pairs = offer.flatMap(({ address: local }) =>
    peerLocators.map(({ address: peer }) => ({ local, peer })),
  );
  const inUdp = mayEncapsulate ? pairs.map((pair) => inForm(pair, true)) : [];
  return [...pairs, ...inUdp].map((pair) => paths.view(pair));
}
