import { describe, expect, test } from "vitest";
import { ESTABLISHMENT } from "../../src/core/establishment.ts";
import { REAP } from "../../src/core/reap.ts";
import { Fuzzer } from "./fuzzer.ts";
import { heapInUse } from "./heap.ts";
import { ESTABLISHMENT_CELLS, REAP_CELLS } from "./reachable-cells.ts";
import { watchTable } from "./table-coverage.ts";
import { MAX_CONTEXTS } from "./target.ts";

/** Enough to reach every cell; `npm run fuzz` gives ten million. */
const INPUTS = 300_000;
const SEED = 20_061;
/** Too few inputs a second for a rate limit, no proofs in mode "unverified", no such limit set. */
const UNREACHED = new Set([
  ...["drop-rate-limit", "drop-cga-parameters", "drop-signature-budget", "drop-prefix-limit"],
  "fail-back-postponed",
  // Fuzzed as RFC 5534 has it.
  ...["suspicion", "suspicion-confirmed"],
]);
const MEGABYTE = 2 ** 20;

describe(`${INPUTS} inputs of every kind from seed ${SEED}`, () => {
  test("raise no exception, reach every cell of the tables, and neither contexts, outputs nor memory grow", {
    timeout: 240_000,
  }, () => {
    const establishment = watchTable(ESTABLISHMENT);
    const reap = watchTable(REAP);
    const fuzzer = new Fuzzer(SEED);
    fuzzer.run(INPUTS / 4);
    const before = heapInUse();
    fuzzer.run((INPUTS * 3) / 4);
    const grown = heapInUse() - before;
    const { mostContexts, mostOutputs, mappingsInUdp, counters } = fuzzer.report;
    expect(grown).toBeLessThan(4 * MEGABYTE);
    expect(mostContexts).toBe(MAX_CONTEXTS);
    // A change of the host's locators concerns every context: a few outputs for each.
    expect(mostOutputs).toBeLessThan(20 * MAX_CONTEXTS);
    // Inputs reach past the codec and into every part: else they would prove nothing.
    expect([...establishment].sort()).toEqual(ESTABLISHMENT_CELLS.toSorted());
    expect([...reap].sort()).toEqual(REAP_CELLS.toSorted());
    expect(mappingsInUdp).toBeGreaterThan(500);
    const silent = Object.keys(counters).filter((name) => counters[name] === 0);
    expect(silent.filter((name) => !UNREACHED.has(name))).toEqual([]);
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
