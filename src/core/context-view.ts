import type { Context } from "./context.ts";
import { inForm } from "./output.ts";
import type { PathView } from "./path-log.ts";
import type { Shim } from "./shim.ts";
import type { ContextOutline, ContextView } from "./view.ts";

export function outlineContext(context: Context): ContextOutline {
  const { tag, state, reachability, ulids, locators } = context;
  const reapState = state === "ESTABLISHED" ? reachability?.state : undefined;
  return { tag, state, reapState, ulids, locators };
}

export function viewContext(context: Context, shim: Shim): ContextView {
  return new LookAtContext(context, shim);
}

/** A class, because an accessor in a literal costs some microseconds each time. */
class LookAtContext implements ContextView {
  readonly tag;
  readonly state;
  readonly reapState;
  readonly ulids;
  readonly locators;
  readonly preferred;
  readonly pin;
  readonly betterPairs;
  readonly forkedInstance;
  readonly selector;
  readonly peerTag;
  readonly localLocators;
  readonly peerLocators;
  readonly initiator;
  readonly createdAt;
  readonly establishedAt;
  readonly lastSwitchAt;
  readonly switches;
  readonly probesSent;
  readonly probesReceived;
  readonly keepalivesSent;
  readonly keepalivesReceived;
  readonly traffic;
  readonly next;
  readonly #context: Context;

  constructor(context: Context, shim: Shim) {
    const { reachability } = context;
    const { tag, state, reapState, ulids, locators } = outlineContext(context);
    this.tag = tag;
    this.state = state;
    this.reapState = reapState;
    this.ulids = ulids;
    this.locators = locators;
    this.preferred = context.preferred;
    this.pin = context.pin;
    this.betterPairs = reachability?.betterPairs ?? [];
    this.forkedInstance = context.forkedInstance;
    this.selector = context.selector;
    this.peerTag = context.peerTag;
    this.localLocators = context.offer.map((locator) => ({
      address: locator.address,
      preference: locator.preference,
      weight: locator.weight ?? 0,
      transient: locator.transient ?? false,
      operational: shim.isOperational(locator.address),
    }));
    this.peerLocators = context.peerLocators.map((locator) => ({
      ...locator,
      reachable: context.reachable.has(locator.address),
    }));
    this.initiator = context.initiator;
    this.createdAt = context.createdAt;
    this.establishedAt = context.establishedAt;
    this.lastSwitchAt = context.lastSwitchAt;
    this.switches = context.switches;
    this.probesSent = reachability?.probesSent ?? 0;
    this.probesReceived = reachability?.probesReceived ?? 0;
    this.keepalivesSent = reachability?.keepalivesSent ?? 0;
    this.keepalivesReceived = reachability?.keepalivesReceived ?? 0;
    this.traffic = reachability?.traffic;
    this.next = context.deadline;
    this.#context = context;
  }

  /** Made for whoever reads it: there are many contexts, and more pairs. */
  get paths(): PathView[] {
    return viewPaths(this.#context);
  }
}

function viewPaths({ mayEncapsulate, offer, paths, peerLocators }: Context): PathView[] {
  const pairs = offer.flatMap(({ address: local }) =>
    peerLocators.map(({ address: peer }) => ({ local, peer })),
  );
  const inUdp = mayEncapsulate ? pairs.map((pair) => inForm(pair, true)) : [];
  return [...pairs, ...inUdp].map((pair) => paths.view(pair));
}
