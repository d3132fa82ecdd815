import type { ContextStatus, MonitorEvent } from "../../../src/daemon/api.ts";

/** Which contexts are listed. */
export type Filter = "all" | "operational" | "exploring" | "other";

function groupOf(context: ContextStatus): Exclude<Filter, "all"> {
  const { reapState } = context;
  if (reapState === "Operational") return "operational";
  return reapState === null ? "other" : "exploring";
}

export interface Selection {
  readonly filter: Filter;
  /** What somebody looks for in addresses and tags. */
  readonly text: string;
}

/** Those that somebody wants to see, in the daemon's order. */
export function selectContexts(
  contexts: Iterable<ContextStatus>,
  { filter, text }: Selection,
): ContextStatus[] {
  const wanted = text.trim().toLowerCase();
  const selected: ContextStatus[] = [];
  for (const context of contexts) {
    if (filter !== "all" && groupOf(context) !== filter) continue;
    if (wanted === "" || namesOf(context).some((name) => name.includes(wanted))) {
      selected.push(context);
    }
  }
  return selected;
}

function namesOf(context: ContextStatus): string[] {
  const { localUlid, peerUlid, localLocator, peerLocator, localTag } = context;
  return [localUlid, peerUlid, localLocator, peerLocator, localTag];
}

/** How many are in each group. */
export function countGroups(contexts: Iterable<ContextStatus>): Record<Filter, number> {
  const counts = { all: 0, operational: 0, exploring: 0, other: 0 };
  for (const context of contexts) {
    counts.all += 1;
    counts[groupOf(context)] += 1;
  }
  return counts;
}

/** The context as an event leaves it, until the daemon is asked; `undefined` when it is gone. */
export function afterEvent(context: ContextStatus, event: MonitorEvent): ContextStatus | undefined {
  switch (event.event) {
    case "exploring":
      return { ...context, reapState: "Exploring" };
    case "inboundok":
      return { ...context, reapState: "InboundOk" };
    case "recovered":
      return { ...context, reapState: "Operational" };
    case "switched":
      return { ...context, ...event.to, switches: context.switches + 1, lastSwitchAt: event.time };
    case "closed":
      return undefined;
    default:
      return context;
  }
}
