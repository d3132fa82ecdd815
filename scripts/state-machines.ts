import { ESTABLISHMENT } from "../src/core/establishment.ts";
import { REAP, type ReapTransition } from "../src/core/reap.ts";

/** One cell of a machine's table, in words. */
interface Cell {
  readonly event: string;
  readonly state: string;
  /** The state that follows; `undefined` when it stays. */
  readonly next: string | undefined;
  readonly actions: readonly string[];
}

/** docs/state-machines.md, as the tables of src/core have it. */
export function stateMachinesPage(): string {
  return [
    "# State machines",
    "",
    "Generated from the tables in `src/core/establishment.ts` and `src/core/reap.ts` by",
    "`npm run diagrams`; a test holds the two in step. Don't edit this page.",
    "",
    "## Context establishment (RFC 5533 sections 7 and 12)",
    "",
    "A context in IDLE has no state at the host. What a state has no cell for is discarded.",
    "",
    ...diagram("IDLE", establishmentCells()),
    "",
    ...table(establishmentCells()),
    "",
    "## REAP (RFC 5534 section 6)",
    "",
    "Runs in ESTABLISHED. A probe carries the state that follows it. `start` leaves a running",
    "timer as it is, `restart` does not.",
    "",
    ...diagram("Operational", reapCells()),
    "",
    ...table(reapCells()),
    "",
  ].join("\n");
}

function establishmentCells(): Cell[] {
  return Object.entries(ESTABLISHMENT).flatMap(([event, row]) =>
    Object.entries(row).map(([state, { next, actions }]) => ({ event, state, next, actions })),
  );
}

function reapCells(): Cell[] {
  return Object.entries(REAP).flatMap(([event, row]) =>
    Object.entries(row).map(([state, transition]) => ({
      event,
      state,
      next: transition.next === state ? undefined : transition.next,
      actions: reapActions(transition),
    })),
  );
}

function reapActions({ message, sendTimer, keepaliveTimer }: ReapTransition): string[] {
  return [
    ...(message === undefined ? [] : [`send ${message}`]),
    ...(sendTimer === undefined ? [] : [`${sendTimer} Send`]),
    ...(keepaliveTimer === undefined ? [] : [`${keepaliveTimer} Keepalive`]),
  ];
}

/** The cells that change the state, as a mermaid diagram; one arrow for each pair of states. */
function diagram(initial: string, cells: readonly Cell[]): string[] {
  const arrows = new Map<string, string[]>();
  for (const { event, state, next } of cells) {
    if (next === undefined || next === state) continue;
    const arrow = `${mermaidId(state)} --> ${mermaidId(next)}`;
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), event]);
  }
  return [
    "```mermaid",
    "stateDiagram-v2",
    ...statesOf(cells).map((state) => `  state "${state}" as ${mermaidId(state)}`),
    `  [*] --> ${mermaidId(initial)}`,
    ...[...arrows].map(([arrow, events]) => `  ${arrow}: ${events.join(", ")}`),
    "```",
  ];
}

/** All cells, an event a row and a state a column. */
function table(cells: readonly Cell[]): string[] {
  const states = statesOf(cells);
  const events = [...new Set(cells.map((cell) => cell.event))];
  const row = (event: string) =>
    states.map((state) => cellText(cells.find((c) => c.event === event && c.state === state)));
  return [
    `| | ${states.join(" | ")} |`,
    `|---${"|---".repeat(states.length)}|`,
    ...events.map((event) => `| ${event} | ${row(event).join(" | ")} |`),
  ];
}

function cellText(cell: Cell | undefined): string {
  if (cell === undefined) return "-";
  const goTo = cell.next === undefined ? [] : [`**${cell.next}**`];
  return [...cell.actions, ...goTo].join("; ") || "-";
}

function statesOf(cells: readonly Cell[]): string[] {
  return [
    ...new Set(cells.flatMap(({ state, next }) => (next === undefined ? state : [state, next]))),
  ];
}

function mermaidId(state: string): string {
  return state.replaceAll("-", "_");
}
