import { describe, expect, test } from "vitest";
import type { Scenario } from "../../src/sim/scenario.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import { simulate } from "../../src/sim/simulation.ts";
import { lines, named, timeOf, UDP, withFailures } from "./support/runs.ts";

test("the same seed gives the same trace, another seed another one", () => {
  const run = (seed: number): readonly string[] =>
    simulate(named("rough"), { seed, trace: true }).trace;
  expect(run(4)).toEqual(run(4));
  expect(run(4)).not.toEqual(run(5));
  expect(run(4).length).toBeGreaterThan(30);
});

describe("every scenario that ships recovers", () => {
  for (const scenario of SCENARIOS) {
    test(`${scenario.name}: invariants hold and flows go on, from 5 seeds`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const { violation, flows, interruptions } = simulate(scenario, { seed });
        expect(violation, `seed ${seed}`).toBeUndefined();
        for (const { answered } of flows) expect(answered).toBeGreaterThan(100);
        // What the end of the run cuts off is short.
        const unended = interruptions.flat().filter(({ to }) => to === scenario.duration);
        for (const { from } of unended) expect(from).toBeGreaterThan(scenario.duration - 30);
      }
    });
  }
});

test("a silent failure costs the Send Timeout and a little", () => {
  const { flows } = simulate(named("paper"), { seed: 1 });
  expect(flows[UDP]?.longestInterruption).toBeGreaterThan(10);
  expect(flows[UDP]?.longestInterruption).toBeLessThan(12);
});

test("a failure that the host sees costs no timeout", () => {
  const { flows } = simulate(named("cable"), { seed: 1 });
  expect(flows[UDP]?.longestInterruption).toBeLessThanOrEqual(1);
});

test("a one-way failure takes one direction only", () => {
  const result = simulate(
    withFailures({ type: "uplink", host: "a", uplink: 0, direction: "up", seen: false, at: 30 }),
    { seed: 1, trace: true },
  );
  expect(lines(result, " a Probe", "2001:db8:1:1::1 >").every((line) => /lost/.test(line))).toBe(
    true,
  );
  expect(lines(result, " a switched", "to 2001:db8:2:1::1")).toHaveLength(1);
  expect(result.violation).toBeUndefined();
});

test("a blocked path takes its own direction of its own pair", () => {
  const from = { host: "a", uplink: 0 };
  const to = { host: "b", uplink: 0 };
  const result = simulate(withFailures({ type: "path", from, to, at: 30 }), {
    seed: 1,
    trace: true,
  });
  expect(lines(result, " a switched")).toHaveLength(1);
  expect(lines(result, "lost", "Probe", "2001:db8:1:2::1 > 2001:db8:1:1::1")).toEqual([]);
});

test("nothing passes a partition until it ends", () => {
  const result = simulate(withFailures({ type: "partition", hosts: ["a"], at: 30, lasts: 40 }), {
    seed: 1,
    trace: true,
  });
  const inside = lines(result, ">").filter((line) => {
    const at = timeOf(line);
    return at > 30 && at < 70 && !line.includes("failure");
  });
  expect(inside.length).toBeGreaterThan(5);
  expect(inside.every((line) => line.endsWith("lost"))).toBe(true);
  expect(result.interruptions[UDP]).toHaveLength(1);
});

test("a rebooted host has forgotten its contexts, and its session comes back by R1bis", () => {
  const result = simulate(named("reboot"), { seed: 1, trace: true });
  expect(lines(result, " b R1bis").length).toBeGreaterThan(0);
  expect(lines(result, " b established")).toHaveLength(2);
  expect(result.violation).toBeUndefined();
});

test("overlapping failures of one uplink end with the last of them", () => {
  const failure = { type: "uplink", host: "a", uplink: 0, direction: "both", seen: true } as const;
  const result = simulate(
    withFailures({ ...failure, at: 30, lasts: 30 }, { ...failure, at: 40, lasts: 50 }),
    { seed: 1, trace: true },
  );
  const times = lines(result, " a local-locators-changed").map(timeOf);
  expect(times).toEqual([30, 90]);
});

test("a scenario that names an unknown host is refused", () => {
  const result = simulate(withFailures({ type: "reboot", host: "z", at: 30 }), { seed: 1 });
  expect(result.violation?.message).toContain('the scenario has no host "z"');
});

test("answers a flow's interval apart are no interruption, however long the interval", () => {
  const { failures } = named("paper");
  const scenario: Scenario = {
    ...withFailures(...failures),
    flows: [{ kind: "udp", from: "a", to: "b", interval: 3 }],
    trigger: 6,
  };
  const { interruptions } = simulate(scenario, { seed: 1 });
  expect(interruptions[UDP]).toHaveLength(1);
  expect(interruptions[UDP]?.[0]?.from).toBeCloseTo(30, -1);
});
