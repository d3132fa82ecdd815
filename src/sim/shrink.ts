import { hostsOf, type Scenario } from "./scenario.ts";
import { type SimOptions, type SimResult, simulate } from "./simulation.ts";

/** A failing scenario made small, and its run with the trace. */
export interface Shrunk {
  readonly scenario: Scenario;
  readonly result: SimResult;
  /** Runs that it took. */
  readonly runs: number;
}

/**
 * Leaves out hosts, failures, flows and time as long as the run still breaks the same invariant.
 * Smallest in the sense that no single further step of these kinds fails too, unless `maxRuns`
 * came first.
 * @param scenario one whose run with `options` breaks an invariant
 * @param maxRuns 1 or more
 */
export function shrink(scenario: Scenario, options: SimOptions, maxRuns = 500): Shrunk {
  const first = simulate(scenario, options);
  if (first.violation === undefined) throw new Error(`"${scenario.name}" breaks no invariant`);
  let best = { scenario, result: first };
  let runs = 1;
  for (let improved = true; improved && runs < maxRuns; ) {
    improved = false;
    for (const candidate of smaller(best.scenario, best.result)) {
      if (runs >= maxRuns) break;
      runs += 1;
      const result = simulate(candidate, options);
      if (result.violation?.invariant !== first.violation.invariant) continue;
      best = { scenario: candidate, result };
      improved = true;
      break;
    }
  }
  return { ...best, result: simulate(best.scenario, { ...options, trace: true }), runs: runs + 1 };
}

/** Scenarios with something left out, the largest steps first. */
function* smaller(scenario: Scenario, { violation }: SimResult): Generator<Scenario> {
  const { hosts, failures, flows, duration } = scenario;
  const concerned = violation?.hosts ?? [];
  if (concerned.length > 0 && concerned.length < hosts.length) {
    yield withHosts(scenario, new Set(concerned));
    const flowing = flows.filter(
      ({ from, to }) => concerned.includes(from) || concerned.includes(to),
    );
    const reached = new Set(flowing.flatMap(({ from, to }) => [from, to]));
    if (reached.size < hosts.length) yield withHosts(scenario, reached);
  }
  const end = Math.ceil(violation?.at ?? duration);
  for (const shorter of [end, duration / 2]) {
    if (shorter < duration && shorter >= 1) yield { ...scenario, duration: Math.ceil(shorter) };
  }
  for (const left of withoutChunks(failures)) yield { ...scenario, failures: left };
  for (const left of withoutChunks(flows)) yield { ...scenario, flows: left };
  for (const left of withoutChunks(hosts)) {
    yield withHosts(scenario, new Set(left.map(({ name }) => name)));
  }
}

/** The list without its halves, quarters and so on down to single items. */
function* withoutChunks<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let size = Math.ceil(items.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < items.length; start += size) {
      yield [...items.slice(0, start), ...items.slice(start + size)];
    }
  }
}

/** The scenario with these hosts only, and what concerns them. Addresses may change. */
function withHosts(scenario: Scenario, kept: ReadonlySet<string>): Scenario {
  return {
    ...scenario,
    hosts: scenario.hosts.filter(({ name }) => kept.has(name)),
    flows: scenario.flows.filter(({ from, to }) => kept.has(from) && kept.has(to)),
    failures: scenario.failures.filter((failure) =>
      hostsOf(failure).every((name) => kept.has(name)),
    ),
  };
}
