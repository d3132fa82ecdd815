import { fingerprintOf } from "./fingerprint.ts";
import { choicesOf } from "./handshake-model.ts";
import type { Defect } from "./host.ts";
import { describeViews, findBroken, isQuiet } from "./invariants.ts";
import { establish, NOTHING } from "./scenarios.ts";
import type { Model } from "./search.ts";
import { type Budget, LOCATORS, pathKey, SIDES, shortName, TwoHosts } from "./two-hosts.ts";

/** Which one-way paths work; at least one each way. */
export interface PathSet {
  readonly name: string;
  readonly dead: ReadonlySet<string>;
}

const BUDGET: Budget = { ...NOTHING, payloads: 2, timers: 4 };

/** An ESTABLISHED session of which only some one-way paths go on working. */
export function reapModel({ dead }: PathSet, defect?: Defect): Model<TwoHosts> {
  return {
    start: () => {
      const hosts = new TwoHosts(BUDGET, defect);
      establish(hosts);
      hosts.deadPaths = dead;
      return hosts;
    },
    choices: choicesOf,
    fingerprint: fingerprintOf,
    problem: (hosts) => {
      if (hosts.settle((state) => isQuiet(state) && usesLivePaths(state))) return findBroken(hosts);
      return `no working pair found: ${describeViews(hosts)}`;
    },
  };
}

function usesLivePaths(hosts: TwoHosts): boolean {
  return SIDES.every((side) => {
    const locators = hosts.view(side, 0)?.locators;
    return locators !== undefined && !hosts.deadPaths.has(pathKey(locators.local, locators.peer));
  });
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
