import { describe, expect, test } from "vitest";
import { Fuzzer, MAX_CONTEXTS } from "./fuzzer.ts";
import { heapInUse } from "./heap.ts";

/** `npm run fuzz` gives ten million. */
const INPUTS = 400_000;
const SEED = 20_061;
const MEGABYTE = 2 ** 20;

describe(`${INPUTS} inputs of every kind from seed ${SEED}`, () => {
  test("raise no exception, and neither contexts, outputs nor memory grow", {
    timeout: 240_000,
  }, () => {
    const fuzzer = new Fuzzer(SEED);
    fuzzer.run(INPUTS / 4);
    const before = heapInUse();
    fuzzer.run((INPUTS * 3) / 4);
    const grown = heapInUse() - before;
    const { mostContexts, mostOutputs, events, counters } = fuzzer.report;
    expect(grown).toBeLessThan(4 * MEGABYTE);
    expect(mostContexts).toBe(MAX_CONTEXTS);
    // A change of the host's locators concerns every context: a few outputs for each.
    expect(mostOutputs).toBeLessThan(20 * MAX_CONTEXTS);
    // Inputs reach past the codec and into every part: else they would prove nothing.
    for (const event of ["established", "recovered", "failed", "closed"]) {
      expect(events[event]).toBeGreaterThan(50);
    }
    const silent = Object.keys(counters).filter((name) => counters[name] === 0);
    expect(silent.filter((name) => name !== "drop-rate-limit")).toEqual([]);
  });

  test("are the same ones for the same seed", () => {
    const runs = [1, 2].map(() => {
      const fuzzer = new Fuzzer(SEED);
      fuzzer.run(5000);
      return fuzzer.report;
    });
    expect(runs[0]).toEqual(runs[1]);
  });
});
