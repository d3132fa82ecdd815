import { samePair } from "../../src/core/output.ts";
import type { ContextView } from "../../src/core/view.ts";
import type { ModelHost } from "./host.ts";
import { SIDES, type TwoHosts, ULIDS } from "./two-hosts.ts";

/** What must hold in every state, whatever the network does. */
export function findBroken(hosts: TwoHosts): string | undefined {
  for (const host of hosts.hosts) {
    if (host.misdelivered !== undefined) return `payload misdelivered: ${host.misdelivered}`;
    const problem = findConfusion(host) ?? findStrayMapping(host);
    if (problem !== undefined) return `${host.name}: ${problem}`;
  }
  return undefined;
}

/** RFC 5533 section 7.6: one tag of one peer names one context. */
function findConfusion({ endpoint }: ModelHost): string | undefined {
  const established = endpoint.contexts().filter(({ state }) => state === "ESTABLISHED");
  const confused = established.some((context, i) =>
    established
      .slice(i + 1)
      .some((other) => other.peerTag === context.peerTag && overlap(context, other)),
  );
  return confused ? "two contexts with one tag of one peer" : undefined;
}

function overlap(a: ContextView, b: ContextView): boolean {
  return a.peerLocators.some(({ address }) =>
    b.peerLocators.some((locator) => locator.address === address),
  );
}

/** What the data plane does is what the context says. */
function findStrayMapping({ endpoint, plane }: ModelHost): string | undefined {
  for (const { tag, mapping } of plane.contexts) {
    const context = endpoint.context(tag);
    if (context === undefined) return "the data plane keeps a context that is gone";
    if (context.state !== "ESTABLISHED") continue;
    const same = samePair(mapping?.locators ?? context.ulids, context.locators);
    const sameTag = mapping === undefined || mapping.peerTag === context.peerTag;
    if (!same || !sameTag) return "mapping and context differ";
  }
  return undefined;
}

/** Nothing is under way, and each ULID pair is ESTABLISHED at both ends, in agreement, or at none. */
export function isQuiet(hosts: TwoHosts): boolean {
  return hosts.flights.length === 0 && [...ULIDS.keys()].every((pair) => agrees(hosts, pair));
}

function agrees(hosts: TwoHosts, pair: number): boolean {
  const [a, b] = SIDES.map((side) => hosts.view(side, pair));
  if (a === undefined && b === undefined) return true;
  return (
    a?.reapState === "Operational" &&
    b?.reapState === "Operational" &&
    a.peerTag === b.tag &&
    b.peerTag === a.tag &&
    knowsLocators(b, a) &&
    knowsLocators(a, b)
  );
}

/** What the one believes of the other's locators is what the other says of them. */
function knowsLocators({ peerLocators }: ContextView, { localLocators }: ContextView): boolean {
  return (
    peerLocators.length === localLocators.length &&
    peerLocators.every(({ address, broken }) =>
      localLocators.some((own) => own.address === address && own.operational !== broken),
    )
  );
}

/** How far the ends are apart, for a problem's text. */
export function describeViews(hosts: TwoHosts): string {
  return SIDES.flatMap((side) =>
    [...ULIDS.keys()].map((pair) => {
      const view = hosts.view(side, pair);
      return `${side}${pair + 1} ${view?.reapState ?? view?.state ?? "none"}`;
    }),
  ).join(", ");
}
