import { type AddressPair, samePair } from "../../core/output.ts";
import { inboundState, outboundState, type PathState } from "../../core/path-log.ts";
import type { Instant } from "../../core/time.ts";
import type { ContextView } from "../../core/view.ts";
import type { PairStatus } from "../api.ts";
import { type Clock, inSeconds, isoTime } from "../clock.ts";
import { locatorPair } from "./report.ts";

/** What is known of each locator pair of the context, in the form of the control API. */
export function pairStatuses(view: ContextView, clock: Clock): PairStatus[] {
  const now = clock.now();
  const time = (at: Instant | undefined) => (at === undefined ? null : isoTime(clock, at));
  return view.paths.map((path) => ({
    ...locatorPair(path.locators),
    inUse: samePair(path.locators, view.locators),
    roundTrip: path.roundTrip === undefined ? null : inSeconds(path.roundTrip),
    out: {
      state: stateOf(view, path.locators) ?? outboundState(now, path),
      lastProbe: time(path.out.lastProbeAt),
    },
    in: {
      state: stateOf(view, path.locators) ?? inboundState(path),
      lastProbe: time(path.in.lastProbeAt),
    },
  }));
}

/** What the context and its locators tell without any probe, of both directions alike. */
function stateOf(view: ContextView, pair: AddressPair): PathState | undefined {
  const { local, peer } = pair;
  const isDown = view.localLocators.some((own) => own.address === local && !own.operational);
  const isBroken = view.peerLocators.some(({ address, broken }) => address === peer && broken);
  if (isDown || isBroken) return "dead";
  const works = view.reapState === "Operational" && samePair(pair, view.locators);
  return works ? "confirmed" : undefined;
}
