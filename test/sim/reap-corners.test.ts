import { expect, test } from "vitest";
import { Endpoint } from "../../src/core/endpoint.ts";
import { seconds } from "../../src/core/time.ts";
import type { EndpointMaker } from "../../src/sim/host.ts";
import type { Failure, Scenario, UplinkName } from "../../src/sim/scenario.ts";
import { type SimResult, simulate } from "../../src/sim/simulation.ts";
import { sweep } from "../../src/sim/sweep.ts";
import { lines, named, timeOf, UDP, withFailures } from "./support/runs.ts";

/** The eight one-way pairs between two hosts with two uplinks each. */
const ONE_WAY_PAIRS: readonly { readonly from: UplinkName; readonly to: UplinkName }[] = [
  ["a", "b"],
  ["b", "a"],
].flatMap(([from = "", to = ""]) =>
  [0, 1, 2, 3].map((pair) => ({
    from: { host: from, uplink: pair >> 1 },
    to: { host: to, uplink: pair & 1 },
  })),
);

/** From 30 s on only the one-way pairs whose bit is set in `working` pass packets. */
function onlyPairs(working: number): Scenario {
  const failures = ONE_WAY_PAIRS.filter((_, bit) => (working & (1 << bit)) === 0).map(
    (pair): Failure => ({ type: "path", ...pair, at: 30 }),
  );
  const scenario = withFailures(...failures);
  return { ...scenario, flows: scenario.flows.slice(0, 1) };
}

/** The last thing that REAP came to at the host; contexts begin Operational. */
function reapState(result: SimResult, host: string): string {
  const words = ["exploring", "inboundok", "recovered"];
  const last = lines(result, ` ${host} `)
    .filter((line) => timeOf(line) < 120)
    .map((line) => words.find((word) => line.includes(` ${host} ${word}`)))
    .findLast((word) => word !== undefined);
  return last === undefined || last === "recovered" ? "Operational" : last;
}

/** The flow still got answers in the scenario's last 15 seconds. */
function flowsAtEnd({ interruptions }: SimResult, { duration }: Scenario): boolean {
  return interruptions[UDP]?.every(({ from, to }) => to < duration || from > to - 15) ?? false;
}

test("of all 256 sets of one-way pairs REAP ends Operational on those that can work, and on no other", () => {
  const sets = Array.from({ length: 256 }, (_, working) => working);
  const outcomes = sets.map((working) => {
    const scenario = onlyPairs(working);
    const result = simulate(scenario, { seed: 1, trace: true });
    const operational = ["a", "b"].map((host) => reapState(result, host) === "Operational");
    const flows = flowsAtEnd(result, scenario);
    return { working, flows, operational, violation: result.violation };
  });
  const expected = sets.map((working) => {
    const twoWay = (working & 0x0f) !== 0 && (working & 0xf0) !== 0;
    return { working, flows: twoWay, operational: [twoWay, twoWay], violation: undefined };
  });
  expect(outcomes).toEqual(expected);
});

test("one working pair of 5x5 to 8x8 is found, and not later than the analytic worst case", () => {
  const { cells, failed } = sweep({
    ...{ sendTimeouts: [10], losses: [0], locators: [5, 6, 7, 8], seeds: 3 },
  });
  expect(failed).toEqual([]);
  expect(cells).toHaveLength(4);
  for (const { maximum, worstCase } of cells) expect(maximum).toBeLessThanOrEqual(worstCase);
});

test("both ends lose their first uplink at one instant", () => {
  const failure = { type: "uplink", uplink: 0, direction: "both", at: 30 } as const;
  const run = (seen: boolean): SimResult =>
    simulate(withFailures({ ...failure, host: "a", seen }, { ...failure, host: "b", seen }), {
      ...{ seed: 1, trace: true },
    });
  const seen = run(true);
  const silent = run(false);
  for (const result of [seen, silent]) {
    expect(result.violation).toBeUndefined();
    expect(lines(result, " a switched").at(-1)).toContain("to 2001:db8:2:1::1 2001:db8:2:2::1");
    expect(lines(result, " b switched").at(-1)).toContain("to 2001:db8:2:2::1 2001:db8:2:1::1");
  }
  // Neither knows of the other's loss: a pair or two is tried in vain.
  expect(seen.flows[UDP]?.longestInterruption).toBeLessThan(4);
  expect(silent.flows[UDP]?.longestInterruption).toBeLessThan(14);
});

test("a link that flaps each second for a minute sends no storm, and the session outlives it", () => {
  const flaps = Array.from({ length: 60 }, (_, i): Failure => {
    const uplink = { type: "uplink", host: "a", uplink: i % 2, direction: "both" } as const;
    return { ...uplink, seen: true, at: 30 + i, lasts: 0.7 };
  });
  const scenario = withFailures(...flaps);
  for (let seed = 1; seed <= 5; seed++) {
    const result = simulate(scenario, { seed, trace: true });
    expect(result.violation).toBeUndefined();
    expect(flowsAtEnd(result, scenario)).toBe(true);
    expect(lines(result, " a recovered").length).toBeGreaterThan(10);
  }
});

test("a context gets its peer back by I2bis while it explores and data flows", () => {
  const scenario = withFailures(
    { type: "uplink", host: "a", uplink: 0, direction: "both", seen: false, at: 30 },
    { type: "reboot", host: "b", at: 35, lasts: 2 },
    { type: "loss", host: "a", uplink: 1, share: 0.5, at: 35, lasts: 30 },
  );
  let repeated = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const result = simulate(scenario, { seed, trace: true });
    expect(result.violation).toBeUndefined();
    const [exploring] = lines(result, " a exploring");
    const [i2bis] = lines(result, " a I2bis");
    const [recovered] = lines(result, " a recovered");
    const times = [exploring, i2bis, recovered].map((line) => timeOf(line ?? "NaN"));
    expect(times).toEqual(times.toSorted((x, y) => x - y));
    expect(result.figures.renewals).toBeGreaterThan(0);
    expect(flowsAtEnd(result, scenario)).toBe(true);
    if (lines(result, " a I2bis").length > 1) repeated += 1;
  }
  expect(repeated).toBeGreaterThan(0);
});

test("an idle context sends nothing until it is collected", () => {
  const phases = { active: 60, silent: 1e9 };
  const scenario: Scenario = {
    ...withFailures(),
    ...{ duration: 1500, flows: [{ kind: "udp", from: "a", to: "b", interval: 0.5, phases }] },
  };
  const result = simulate(scenario, { seed: 1, trace: true });
  const [closed] = lines(result, " a closed", "idle");
  const closedAt = timeOf(closed ?? "NaN");
  const idleSince = closedAt - scenario.contextIdleTimeout;
  expect(idleSince).toBeGreaterThan(10);
  const control = result.trace.filter((line) => line.includes(">") && timeOf(line) < closedAt);
  // The last payload came from b: a's keepalives go on for b's Send Timeout (RFC 5534 section 4.1).
  expect(control.filter((line) => line.includes("Keepalive")).length).toBeLessThanOrEqual(3);
  expect(control.filter((line) => timeOf(line) > idleSince + scenario.sendTimeout + 1)).toEqual([]);
});

test("with different Send Timeouts the end with the shorter one finds the failure for both", () => {
  for (const [a, b] of [
    [4, 20],
    [20, 4],
  ] as const) {
    const timeouts = [a, b];
    const makeEndpoint: EndpointMaker = (config) =>
      new Endpoint({ ...config, sendTimeout: seconds(timeouts.shift() ?? Number.NaN) });
    const failure = { type: "uplink", host: "a", uplink: 0, direction: "both" } as const;
    const scenario = withFailures({ ...failure, seen: false, at: 30 });
    const result = simulate(scenario, { seed: 1, trace: true, makeEndpoint });
    expect(result.violation).toBeUndefined();
    const [first] = lines(result, "exploring", "send-timeout");
    expect(first).toContain(a < b ? " a exploring" : " b exploring");
    expect(result.flows[UDP]?.longestInterruption).toBeGreaterThan(4);
    expect(result.flows[UDP]?.longestInterruption).toBeLessThan(6.5);
  }
});

test("with different Send Timeouts an application that pauses makes no end explore", () => {
  // b's timer runs from its answer to the next request: only keepalives stop it.
  const timeouts = [30, 3];
  const makeEndpoint: EndpointMaker = (config) =>
    new Endpoint({ ...config, sendTimeout: seconds(timeouts.shift() ?? Number.NaN) });
  const scenario: Scenario = {
    ...named("paper"),
    ...{ failures: [], flows: [{ kind: "udp", from: "a", to: "b", interval: 8 }], trigger: 3 },
  };
  const result = simulate(scenario, { seed: 1, trace: true, makeEndpoint });
  expect(lines(result, " established")).toHaveLength(2);
  expect(lines(result, " a Keepalive").length).toBeGreaterThan(10);
  expect(lines(result, "exploring")).toEqual([]);
});
