import type { ContextView } from "../../core/view.ts";
import { formatTag } from "../../wire/tag.ts";

/** With more contexts only their number is told: Wireshark shows these comments in a dialog. */
const CONTEXTS_MAX = 100;

/** What a capture says of itself: what is in it, and how the contexts stood when it began. */
export function openingComments(
  contexts: readonly ContextView[],
  snapLength: number | undefined,
): string[] {
  const payload =
    snapLength === undefined ? "" : `, and payload: ${snapLength} octets of each packet at most`;
  const omitted = contexts.length - CONTEXTS_MAX;
  return [
    `l3shim: control messages${payload}`,
    ...contexts.slice(0, CONTEXTS_MAX).map(describeContext),
    ...(omitted > 0 ? [`and ${omitted} more contexts`] : []),
  ];
}

function describeContext(context: ContextView): string {
  const { tag, ulids, locators } = context;
  return [
    `context ${formatTag(tag)}`,
    `${ulids.local} > ${ulids.peer}`,
    `pair: ${locators.local} > ${locators.peer}`,
    `state: ${stateOf(context)}`,
  ].join("; ");
}

/** Of REAP where it runs, else of the context's establishment. */
export function stateOf({ state, reapState }: ContextView): string {
  return reapState ?? state;
}
