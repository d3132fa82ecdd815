import { describe, expect, test } from "vitest";
import { handshakeModel } from "./handshake-model.ts";
import type { Defect } from "./host.ts";
import { everyPathSet, everyRouting, reapModel, reroutedModel } from "./reap-model.ts";
import { establishAndSwitch, NOTHING, SCENARIOS } from "./scenarios.ts";
import { type Model, search } from "./search.ts";
import { LOCATORS, pathKey, TwoHosts } from "./two-hosts.ts";

/** Small bounds for CI; `npm run model -- --depth N` goes further. */
const DEPTH = 5;
const REAP_DEPTH = 2;

describe("breadth-first search", () => {
  /** Counts to ten by ones and twos. */
  const counter = (bad: number): Model<{ value: number }> => ({
    start: () => ({ value: 0 }),
    choices: ({ value }) =>
      [1, 2]
        .filter((step) => value + step <= 10)
        .map((step) => ({
          label: `+${step}`,
          run: (state) => {
            state.value += step;
          },
        })),
    fingerprint: ({ value }) => String(value),
    problem: ({ value }) => (value === bad ? `reached ${value}` : undefined),
  });

  test("sees every state once and says that it saw all", () => {
    expect(search(counter(-1), 20)).toEqual({
      ...{ states: 11, transitions: 19, depth: 5, exhausted: true },
      violation: undefined,
    });
  });

  test("says that a bound has cut it off", () => {
    expect(search(counter(-1), 2)).toMatchObject({ states: 5, depth: 2, exhausted: false });
  });

  test("finds a violation by a shortest trace", () => {
    expect(search(counter(5), 20).violation).toMatchObject({
      problem: "reached 5",
      trace: ["+1", "+2", "+2"],
    });
  });
});

describe("establishment and recovery between two endpoints", () => {
  for (const scenario of SCENARIOS) {
    test(`${scenario.name}: no reachable state breaks an invariant or deadlocks`, {
      timeout: 240_000,
    }, () => {
      const result = search(handshakeModel(scenario), DEPTH);
      console.info(
        `${scenario.name}: ${result.states} states, ${result.transitions} transitions, depth ${result.depth}`,
      );
      expect(result.violation).toBeUndefined();
      expect(result.states).toBeGreaterThan(500);
    });
  }

  test("the rewritten session of the scenario carries tags both ways", () => {
    const hosts = new TwoHosts(NOTHING);
    establishAndSwitch(hosts);
    expect(hosts.hosts.map(({ plane }) => plane.contexts[0]?.mapping?.peerTag)).toEqual([1, 1]);
  });
});

describe("a planted defect is found", () => {
  const found = (defect: Defect, name: string): string => {
    const scenario = SCENARIOS.find((candidate) => candidate.name === name);
    if (scenario === undefined) throw new Error(`no scenario ${name}`);
    const { violation } = search(handshakeModel({ ...scenario, defect }), DEPTH);
    return `${violation?.problem} after ${violation?.trace.join(", ")}`;
  };

  test("a host that ignores R1bis never agrees with a peer that crashed", () => {
    expect(found("ignores-r1bis", "recovery of a rewritten session")).toMatch(
      /^no end in agreement: .* after crash [AB]$/,
    );
  });

  test("a data plane that keeps its first mapping differs from the context", () => {
    expect(found("keeps-mapping", "recovery of a rewritten session")).toContain(
      "mapping and context differ",
    );
  });

  test("a data plane that doesn't restore ULIDs misdelivers", () => {
    expect(found("delivers-unrestored", "recovery of a rewritten session")).toMatch(/misdelivered/);
  });

  test("a peer that no message reaches is found by no exploration", () => {
    const dead = new Set(LOCATORS.A.flatMap((a) => LOCATORS.B.map((b) => pathKey(a, b))));
    const { violation } = search(reapModel({ name: "no way there", dead }), 0);
    expect(violation?.problem).toContain("no end in agreement");
  });
});

describe("REAP over every set of one-way paths between two hosts of two locators", () => {
  test("ends Operational on working paths, whatever comes first", { timeout: 240_000 }, () => {
    let states = 0;
    const sets = everyPathSet();
    for (const paths of sets) {
      const { violation, states: seen } = search(reapModel(paths), REAP_DEPTH);
      expect({ paths: paths.name, violation }).toEqual({ paths: paths.name, violation: undefined });
      states += seen;
    }
    console.info(`REAP: ${sets.length} path sets, ${states} states, depth ${REAP_DEPTH}`);
    expect(sets).toHaveLength(225);
  });

  test("ends Operational on the paths that work in the end, when others did before", {
    timeout: 240_000,
  }, () => {
    const routings = everyRouting();
    for (const routing of routings) {
      const { violation } = search(reroutedModel(routing), REAP_DEPTH);
      expect({ paths: routing.name, violation }).toEqual({
        paths: routing.name,
        violation: undefined,
      });
    }
    expect(routings).toHaveLength(15);
  });
});
