/** One thing that can happen next. A state is made again by running the choices that led to it. */
export interface Choice<State> {
  readonly label: string;
  readonly run: (state: State) => void;
}

/** What a breadth-first search needs to know of a model. */
export interface Model<State> {
  /** A fresh initial state, always the same one. */
  readonly start: () => State;
  readonly choices: (state: State) => Choice<State>[];
  /** Equal for states that the search need not tell apart. */
  readonly fingerprint: (state: State) => string;
  /** What is wrong in the state; `undefined` when nothing is. May change the state. */
  readonly problem: (state: State) => string | undefined;
}

export interface SearchResult {
  readonly states: number;
  readonly transitions: number;
  /** Choices from the start to the last state that was seen. */
  readonly depth: number;
  /** Every reachable state was seen: the bound on the depth cut nothing off. */
  readonly exhausted: boolean;
  readonly violation: { readonly problem: string; readonly trace: readonly string[] } | undefined;
}

interface Node<State> {
  readonly depth: number;
  readonly parent: Node<State> | undefined;
  readonly choice: Choice<State> | undefined;
  readonly choices: readonly Choice<State>[];
}

/**
 * Breadth-first search by replay, since endpoints have no copies: the first violation found has
 * the shortest trace. Stops there, or when no state within `depth` choices is left.
 */
export function search<State>(model: Model<State>, depth: number): SearchResult {
  const seen = new Set<string>();
  let transitions = 0;
  let deepest = 0;
  let exhausted = true;
  const finish = (violation: SearchResult["violation"]): SearchResult => ({
    states: seen.size,
    transitions,
    depth: deepest,
    exhausted: exhausted && violation === undefined,
    violation,
  });

  const queue: Node<State>[] = [];
  /** The problem of a state that is new; new states without one wait for their turn. */
  const visit = (parent?: Node<State>, choice?: Choice<State>): string | undefined => {
    const state = replay(model, parent, choice);
    const fingerprint = model.fingerprint(state);
    if (seen.has(fingerprint)) return undefined;
    seen.add(fingerprint);
    deepest = parent === undefined ? 0 : parent.depth + 1;
    queue.push({ depth: deepest, parent, choice, choices: model.choices(state) });
    return model.problem(state);
  };

  const problem = visit();
  if (problem !== undefined) return finish({ problem, trace: [] });
  // The array grows while it is read: it is the queue.
  for (const node of queue) {
    if (node.depth >= depth) {
      exhausted &&= node.choices.length === 0;
      continue;
    }
    for (const choice of node.choices) {
      transitions += 1;
      const found = visit(node, choice);
      if (found !== undefined) return finish({ problem: found, trace: labels(node, choice) });
    }
  }
  return finish(undefined);
}

function replay<State>(model: Model<State>, parent?: Node<State>, choice?: Choice<State>): State {
  const state = model.start();
  for (const each of path(parent)) each.run(state);
  choice?.run(state);
  return state;
}

function labels<State>(parent: Node<State>, last: Choice<State>): string[] {
  return [...path(parent), last].map(({ label }) => label);
}

function path<State>(node: Node<State> | undefined): Choice<State>[] {
  const choices: Choice<State>[] = [];
  for (let each = node; each?.choice !== undefined; each = each.parent) choices.push(each.choice);
  return choices.reverse();
}
