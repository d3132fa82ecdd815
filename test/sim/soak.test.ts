import { expect, test } from "vitest";
import { simulate } from "../../src/sim/simulation.ts";
import { soakGroups, soakScenario } from "../../src/sim/soak.ts";
import { runSoak } from "../../src/sim/soak-run.ts";

test("an hour of 12 hosts with random failures breaks no invariant, from 4 seeds", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const scenario = soakScenario({ seed, hosts: 12, hours: 1 });
    const { violation, figures } = simulate(scenario, { seed });
    expect(violation, `seed ${seed}`).toBeUndefined();
    expect(figures.failures).toBe(12 + 20);
    expect(figures.established).toBeGreaterThan(12);
  }
});

test("a soak has every kind of failure; a host fails once an hour, and an uplink flaps each twentieth one", () => {
  const { failures } = soakScenario({ seed: 1, hosts: 50, hours: 10 });
  expect(failures).toHaveLength(500 + 25 * 20);
  expect(new Set(failures.map(({ type }) => type))).toEqual(
    new Set(["uplink", "path", "loss", "renumber", "partition", "reboot"]),
  );
});

test("every host of a soak has a flow of its own, and the flows go on to the end", () => {
  const scenario = soakScenario({ seed: 1, hosts: 6, hours: 6 });
  const { flows, trace } = simulate(scenario, { seed: 1, trace: true });
  expect(new Set(flows.map(({ from }) => from)).size).toBe(6);
  // A request every 4 s in a fifth of the time would be 1080.
  for (const { answered } of flows) expect(answered).toBeGreaterThan(300);
  const lastHour = trace.filter((line) => Number(line.trim().split(" ")[0]) > 5 * 3600);
  expect(lastHour.some((line) => line.includes("established"))).toBe(true);
  expect(lastHour.some((line) => line.includes("closed"))).toBe(true);
});

test("groups have all hosts, and seeds of their own", () => {
  const groups = soakGroups(7, { hosts: 120, hours: 2 });
  expect(groups.map(({ seed }) => seed)).toEqual([7, 8, 9]);
  expect(groups.map(({ hosts }) => hosts)).toEqual([40, 40, 40]);
  expect(soakGroups(7, { hosts: 50, hours: 2 })).toEqual([{ seed: 7, hosts: 50, hours: 2 }]);
});

test("threads change nothing, and a group alone does as it did among others", async () => {
  const size = { hosts: 102, hours: 0.1 };
  const { threads, ...one } = await runSoak(3, size, 1);
  const { threads: two, ...both } = await runSoak(3, size, 2);
  expect([threads, two]).toEqual([1, 2]);
  expect(both).toEqual(one);
  expect(one.groups).toBe(3);
  const alone = soakGroups(3, size).map((group) =>
    simulate(soakScenario(group), { seed: group.seed }),
  );
  expect(one.figures.events).toBe(alone.reduce((sum, { figures }) => sum + figures.events, 0));
  expect(one.failed).toBeUndefined();
});
