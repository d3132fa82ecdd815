import type { FlowSelector, PortRange } from "../../core/flow-selector.ts";
import type { ContextStatus } from "../../daemon/api.ts";

/** What is known of a flow; `null` for what is not. */
export interface Flow {
  readonly local: string | null;
  readonly peer: string | null;
  readonly protocol: number | null;
  readonly localPort: number | null;
  readonly peerPort: number | null;
}

/** Whether a context carries a flow; "perhaps": not enough of the flow is known. */
export type Carries = "yes" | "perhaps" | "no";

export interface Carrier {
  readonly context: ContextStatus;
  readonly carries: Exclude<Carries, "no">;
}

/** The contexts that may carry what this host sends of the flow, the likeliest last. */
export function carriersOf(flow: Flow, contexts: readonly ContextStatus[]): Carrier[] {
  const between = contexts.filter(
    ({ localUlid, peerUlid }) =>
      (flow.local ?? localUlid) === localUlid && (flow.peer ?? peerUlid) === peerUlid,
  );
  return between
    .filter(({ forkedInstance }) => forkedInstance === 0)
    .flatMap((origin) => carriersBeside(origin, flow, between));
}

/** Of several forks that a packet fits the newest carries it, and what no fork fits, the origin. */
function carriersBeside(
  origin: ContextStatus,
  flow: Flow,
  contexts: readonly ContextStatus[],
): Carrier[] {
  const carriers: Carrier[] = [];
  for (const context of forksOf(origin, contexts)) {
    const carries = fits(context.selector, flow);
    if (carries !== "no") carriers.push({ context, carries });
    if (carries === "yes") return carriers;
  }
  carriers.push({ context: origin, carries: carriers.length === 0 ? "yes" : "perhaps" });
  return carriers;
}

/** The newest first. */
function forksOf(origin: ContextStatus, contexts: readonly ContextStatus[]): ContextStatus[] {
  return contexts
    .filter(({ forkedInstance }) => forkedInstance !== 0)
    .filter((fork) => fork.localUlid === origin.localUlid && fork.peerUlid === origin.peerUlid)
    .toReversed();
}

function fits(selector: FlowSelector | null, flow: Flow): Carries {
  if (selector === null) return "no";
  const answers = [
    fitsValue(selector.protocol, flow.protocol),
    fitsPort(selector.localPorts, flow.localPort),
    fitsPort(selector.peerPorts, flow.peerPort),
    // Nobody knows these of a flow: packets have them.
    fitsValue(selector.dscp, null),
    selector.mark === undefined ? "yes" : "perhaps",
  ];
  if (answers.includes("no")) return "no";
  return answers.includes("perhaps") ? "perhaps" : "yes";
}

function fitsValue(wanted: number | undefined, value: number | null): Carries {
  return fitsPort(wanted === undefined ? undefined : { first: wanted, last: wanted }, value);
}

function fitsPort(wanted: PortRange | undefined, port: number | null): Carries {
  if (wanted === undefined) return "yes";
  if (port === null) return "perhaps";
  return wanted.first <= port && port <= wanted.last ? "yes" : "no";
}
