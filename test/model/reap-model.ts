import { FairRuns } from "./fair-runs.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { choicesOf } from "./handshake-model.ts";
import type { Defect } from "./host.ts";
import { findBroken, isQuiet } from "./invariants.ts";
import { establish, NOTHING } from "./scenarios.ts";
import type { Choice, Model } from "./search.ts";
import { type Budget, LOCATORS, pathKey, SIDES, shortName, TwoHosts } from "./two-hosts.ts";

/** Which one-way paths work; at least one each way. */
export interface PathSet {
  readonly name: string;
  readonly dead: ReadonlySet<string>;
}

/** One-way paths that change while the hosts look for each other. */
export interface Routing {
  readonly name: string;
  /** One of these at a time, the first one first. */
  readonly dead: readonly ReadonlySet<string>[];
}

/** What may happen to a session of which only some one-way paths go on working. */
const BUDGET: Budget = { ...NOTHING, payloads: 2, timers: 4, losses: 1, duplicates: 1 };
const REROUTES = 2;

/** An ESTABLISHED session of which only some one-way paths go on working. */
export function reapModel({ dead }: PathSet, defect?: Defect): Model<TwoHosts> {
  return modelOf([dead], BUDGET, defect);
}

/** The same while the paths change. */
export function reroutedModel({ dead }: Routing): Model<TwoHosts> {
  return modelOf(dead, { ...BUDGET, reroutes: REROUTES });
}

function modelOf(
  dead: readonly ReadonlySet<string>[],
  budget: Budget,
  defect?: Defect,
): Model<TwoHosts> {
  const fairRuns = new FairRuns((hosts) => isQuiet(hosts) && usesLivePaths(hosts));
  return {
    start: () => {
      const hosts = new TwoHosts(budget, defect);
      establish(hosts);
      hosts.deadPaths = dead[0] ?? new Set();
      return hosts;
    },
    choices: (hosts) => [...choicesOf(hosts), ...reroutes(hosts, dead)],
    fingerprint: fingerprintOf,
    problem: (hosts) => findBroken(hosts) ?? fairRuns.problem(hosts),
  };
}

/** What is under way has passed already. */
function reroutes(
  { budget, deadPaths }: TwoHosts,
  dead: readonly ReadonlySet<string>[],
): Choice<TwoHosts>[] {
  if (budget.reroutes === 0) return [];
  return dead.flatMap((paths, i) => {
    const run = (hosts: TwoHosts): void => {
      hosts.spend("reroutes");
      hosts.deadPaths = paths;
    };
    return paths === deadPaths ? [] : [{ label: `reroute ${i + 1}`, run }];
  });
}

function usesLivePaths(hosts: TwoHosts): boolean {
  return SIDES.every((side) => {
    const locators = hosts.view(side, 0)?.locators;
    return locators !== undefined && !hosts.deadPaths.has(pathKey(locators.local, locators.peer));
  });
}

/** From each way to lose all but one path there and one back to another one of these. */
export function everyRouting(): Routing[] {
  const single = everyPathSet().filter(({ dead }) => dead.size === 6);
  const [first] = single;
  return single
    .filter((paths) => paths !== first)
    .map((paths) => ({
      name: `${first?.name} / ${paths.name}`,
      dead: [first?.dead ?? new Set(), paths.dead],
    }));
}

/** All sets of working paths between two hosts of two locators with a way there and a way back. */
export function everyPathSet(): PathSet[] {
  const there = someOf(pathsBetween("A", "B"));
  const back = someOf(pathsBetween("B", "A"));
  return there.flatMap((a) =>
    back.map((b) => ({ name: `${a.name} | ${b.name}`, dead: new Set([...a.dead, ...b.dead]) })),
  );
}

interface Path {
  readonly key: string;
  readonly name: string;
}

function pathsBetween(from: "A" | "B", to: "A" | "B"): Path[] {
  return LOCATORS[from].flatMap((source) =>
    LOCATORS[to].map((destination) => ({
      key: pathKey(source, destination),
      name: `${shortName(source)}>${shortName(destination)}`,
    })),
  );
}

/** Every way for at least one of the paths to work. */
function someOf(paths: readonly Path[]): { name: string; dead: string[] }[] {
  return Array.from({ length: 2 ** paths.length - 1 }, (_, i) => {
    const works = (_path: Path, bit: number): boolean => (((i + 1) >> bit) & 1) === 1;
    return {
      name: paths
        .filter(works)
        .map(({ name }) => name)
        .join(" "),
      dead: paths.filter((path, bit) => !works(path, bit)).map(({ key }) => key),
    };
  });
}
