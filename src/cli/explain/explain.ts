import type { ContextStatus, StatusReply } from "../../daemon/api.ts";
import { type Absence, type Surroundings, whyItFailed, whyNoContext } from "./absence.ts";
import { type Carries, carriersOf, type Flow } from "./flow.ts";
import { ifUplinkDied, type Timers, type UplinkDeath } from "./what-if.ts";

/** Why a flow goes the way that it goes. */
export interface Explanation {
  readonly flow: Flow;
  /** The contexts that carry it, or may, the likeliest last; none where it is plain IPv6. */
  readonly carriers: readonly CarrierExplanation[];
  /** Why no context protects it; empty where one does. */
  readonly absences: readonly Absence[];
}

export interface CarrierExplanation {
  /** "perhaps": not enough of the flow is known. */
  readonly carries: Exclude<Carries, "no">;
  readonly context: ContextStatus;
  /** `null` unless the context is Operational: else there is nothing to lose. */
  readonly ifUplinkDied: UplinkDeath | null;
}

/** What the daemon says. */
export interface Answers extends Surroundings {
  readonly status: Timers & Pick<StatusReply, "trigger">;
}

/** Pure: from what the daemon has answered. */
export function explainFlow(flow: Flow, answers: Answers): Explanation {
  const found = carriersOf(flow, answers.contexts);
  const failed = found.filter(({ context }) => isHeldDown(context));
  const carriers = found
    .filter(({ context }) => !isHeldDown(context))
    .map((carrier) => ({ ...carrier, ifUplinkDied: deathOf(carrier.context, answers.status) }));
  if (found.length === 0) return { flow, carriers, absences: [whyNoContext(flow, answers)] };
  return {
    flow,
    carriers,
    absences: failed.map(({ context }) => whyItFailed(context, answers.events)),
  };
}

/** Explains one context, whatever it carries. */
export function explainContext(context: ContextStatus, answers: Answers): Explanation {
  const { localUlid: local, peerUlid: peer } = context;
  const flow = { local, peer, protocol: null, localPort: null, peerPort: null };
  if (isHeldDown(context)) {
    return { flow, carriers: [], absences: [whyItFailed(context, answers.events)] };
  }
  const death = deathOf(context, answers.status);
  return { flow, carriers: [{ carries: "yes", context, ifUplinkDied: death }], absences: [] };
}

function isHeldDown({ state }: ContextStatus): boolean {
  return state === "E-FAILED" || state === "NO-SUPPORT";
}

function deathOf(context: ContextStatus, timers: Timers): UplinkDeath | null {
  return context.reapState === "Operational" ? ifUplinkDied(context, timers) : null;
}
