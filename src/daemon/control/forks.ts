import type { Endpoint } from "../../core/endpoint.ts";
import type { FlowSelector } from "../../core/flow-selector.ts";
import type { AddressPair } from "../../core/output.ts";
import type { Instant } from "../../core/time.ts";
import type { ContextView, Pin } from "../../core/view.ts";
import { type AddressPrefix, prefixContains } from "../../wire/prefix.ts";
import { failure, type Result, success } from "../../wire/result.ts";
import { type ContextTag, formatTag } from "../../wire/tag.ts";
import type { Fork } from "../api.ts";

/** Which contexts to fork, and for which packets. */
export interface ForkOrder {
  readonly flow: FlowSelector;
  /** The contexts' ULIDs lie in these; `undefined` for any. */
  readonly localPrefix: AddressPrefix | undefined;
  readonly peerPrefix: AddressPrefix | undefined;
  /** Only this one, which may be a fork already; `undefined` for all default contexts. */
  readonly context: ContextTag | undefined;
  readonly preferred: AddressPair | undefined;
}

/** Forks each context that the order means. Fails with a reason when none could be forked. */
export function forkContexts(
  endpoint: Endpoint,
  now: Instant,
  order: ForkOrder,
): Result<Fork[], string> {
  const { flow, preferred } = order;
  const forks: Fork[] = [];
  let problem = NONE_FITS;
  for (const view of meant(endpoint, order)) {
    const tag = endpoint.fork(now, view.tag, flow, preferred);
    if (tag === undefined) problem = pairProblem(view, preferred) ?? NO_ROOM;
    else forks.push({ context: formatTag(view.tag), fork: formatTag(tag) });
  }
  return forks.length === 0 ? failure(problem) : success(forks);
}

const NONE_FITS =
  "no ESTABLISHED context has its ULIDs in these prefixes; " +
  "`l3shim contexts` lists the contexts, `l3shim open` establishes one";

const NO_ROOM =
  "there is no room for a further context: max-contexts or max-contexts-per-prefix is reached";

/** Prefers the pair in a context that exists. Fails with a reason. */
export function preferPair(
  endpoint: Endpoint,
  now: Instant,
  tag: ContextTag,
  pair: AddressPair | undefined,
): Result<true, string> {
  return endpoint.prefer(now, tag, pair) ? success(true) : refusal(endpoint, tag, pair);
}

/** Pins a context that exists to the pair. Fails with a reason. */
export function pinPair(
  endpoint: Endpoint,
  now: Instant,
  tag: ContextTag,
  pair: AddressPair | undefined,
  pin: Pin,
): Result<true, string> {
  return endpoint.pin(now, tag, pair, pin) ? success(true) : refusal(endpoint, tag, pair);
}

function refusal(
  endpoint: Endpoint,
  tag: ContextTag,
  pair: AddressPair | undefined,
): Result<never, string> {
  const view = endpoint.context(tag);
  return failure((view && pairProblem(view, pair)) ?? "the context is gone");
}

/** Without a tag forks are left out, and what is not ESTABLISHED yet. */
function meant(endpoint: Endpoint, { context, localPrefix, peerPrefix }: ForkOrder): ContextView[] {
  return endpoint
    .contexts()
    .filter(({ tag, state, forkedInstance }) =>
      context === undefined ? state === "ESTABLISHED" && forkedInstance === 0 : tag === context,
    )
    .filter(
      ({ ulids }) =>
        (localPrefix === undefined || prefixContains(localPrefix, ulids.local)) &&
        (peerPrefix === undefined || prefixContains(peerPrefix, ulids.peer)),
    );
}

/** Why the core would not use this pair in the context; `undefined` when that is not why. */
function pairProblem(view: ContextView, pair: AddressPair | undefined): string | undefined {
  const tag = formatTag(view.tag);
  if (view.state !== "ESTABLISHED") {
    return `context ${tag} is not ESTABLISHED but ${view.state}; try again when it is`;
  }
  if (pair === undefined) return undefined;
  const local = view.localLocators.map(({ address }) => address);
  const peer = view.peerLocators.map(({ address }) => address);
  if (local.includes(pair.local) && peer.includes(pair.peer)) return undefined;
  return (
    `${pair.local} > ${pair.peer} is no locator pair of context ${tag}: ` +
    `its local locators are ${local.join(", ")}, its peer locators ${peer.join(", ")}`
  );
}
