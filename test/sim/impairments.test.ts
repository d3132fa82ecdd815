import { expect, test } from "vitest";
import type { LinkModel, Scenario } from "../../src/sim/scenario.ts";
import { type SimResult, simulate } from "../../src/sim/simulation.ts";
import { lines, timeOf, UDP, withFailures } from "./support/runs.ts";

/** A lively udp flow for a minute over links of this kind. */
function over(link: LinkModel, interval = 0.05): SimResult {
  const flows: Scenario["flows"] = [{ kind: "udp", from: "a", to: "b", interval }];
  const result = simulate(
    { ...withFailures(), link, flows, duration: 60 },
    { seed: 1, trace: true },
  );
  expect(result.violation).toBeUndefined();
  return result;
}

function shareAnswered({ flows }: SimResult): number {
  return (flows[UDP]?.answered ?? 0) / (flows[UDP]?.sent ?? 0);
}

test("a plain link loses nothing", () => {
  const result = over({ delay: 0.01 });
  expect(result.figures.lostPackets).toBe(0);
  expect(shareAnswered(result)).toBeCloseTo(1);
});

test("bursts of loss interrupt a flow for longer than as much independent loss", () => {
  // Both lose a tenth of a link's packets.
  const bursty = over({ delay: 0.01, burst: { enter: 0.0025, leave: 0.0225, loss: 1 } });
  const independent = over({ delay: 0.01, loss: 0.1 });
  expect(bursty.figures.lostPackets).toBeGreaterThan(100);
  const [longest = 0, other = 0] = [bursty, independent].map(
    ({ flows }) => flows[UDP]?.longestInterruption,
  );
  expect(longest).toBeGreaterThan(2 * other);
});

test("reordering makes answers come out of order, and loses none", () => {
  const result = over({ delay: 0.01, reorder: { share: 0.3, by: 0.3 } });
  expect(result.figures.lostPackets).toBe(0);
  // The flow takes no answer that a later one has overtaken.
  expect(shareAnswered(result)).toBeLessThan(0.9);
});

test("duplicates reach the endpoints, and open no second context", () => {
  const result = over({ delay: 0.01, duplicate: 0.9 });
  const copied = result.trace.filter((line) => / (I1|R1|I2|R2) .*(twice|times)$/.test(line));
  expect(copied.length).toBeGreaterThan(2);
  expect(lines(result, " established")).toHaveLength(2);
  expect(result.flows[UDP]?.answered).toBeLessThanOrEqual(result.flows[UDP]?.sent ?? 0);
});

test("a slow link delays packets up to its queue, and drops what is too much", () => {
  // 100 octets each 50 ms are 16 kbit/s.
  const enough = over({ delay: 0.01, rate: { bitsPerSecond: 32_000, queue: 0.5 } });
  const half = over({ delay: 0.01, rate: { bitsPerSecond: 8000, queue: 0.5 } });
  expect(shareAnswered(enough)).toBeGreaterThan(0.99);
  expect(shareAnswered(half)).toBeGreaterThan(0.4);
  expect(shareAnswered(half)).toBeLessThan(0.6);
});

test("a lossy uplink takes its share while it lasts, and no longer", () => {
  const flows: Scenario["flows"] = [{ kind: "udp", from: "a", to: "b", interval: 0.05 }];
  const loss = { type: "loss", host: "a", uplink: 0, share: 0.5, at: 30, lasts: 20 } as const;
  const { flows: reports, figures } = simulate({ ...withFailures(loss), flows }, { seed: 1 });
  const [{ sent, answered } = { sent: 0, answered: 0 }] = reports;
  // Of 400 requests half get there, of their answers half come back.
  expect(sent - answered).toBeGreaterThan(260);
  expect(sent - answered).toBeLessThan(340);
  expect(figures.lostPackets).toBeLessThan(400);
});

test("a renumbered uplink is told to the peer, and serves the next failure", () => {
  const result = simulate(
    withFailures(
      { type: "renumber", host: "a", uplink: 1, at: 30 },
      { type: "uplink", host: "a", uplink: 0, direction: "both", seen: false, at: 40 },
    ),
    { seed: 1, trace: true },
  );
  expect(result.violation).toBeUndefined();
  expect(lines(result, " a UpdateRequest").map(timeOf)[0]).toBe(30);
  expect(lines(result, " b peer-locators-changed", "2001:db8:2:1::2").map(timeOf)[0]).toBeLessThan(
    31,
  );
  expect(lines(result, " a switched")[0]).toContain("to 2001:db8:2:1::2");
});

test("a session outlives its own address", () => {
  const result = simulate(
    withFailures({ type: "renumber", host: "a", uplink: 0, at: 30, lasts: 60 }),
    { seed: 1, trace: true },
  );
  expect(result.violation).toBeUndefined();
  expect(lines(result, " a switched").map(timeOf)[0]).toBeLessThan(31);
  expect(result.flows[UDP]?.longestInterruption).toBeLessThanOrEqual(1.1);
});
