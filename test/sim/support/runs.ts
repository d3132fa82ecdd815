import type { Failure, Scenario } from "../../../src/sim/scenario.ts";
import { findScenario } from "../../../src/sim/scenarios.ts";
import type { SimResult } from "../../../src/sim/simulation.ts";

/** The scenario that ships under the name. */
export function named(name: string): Scenario {
  const scenario = findScenario(name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  return scenario;
}

/** Hosts a and b with two uplinks each, a udp and a tcp flow, for two minutes. */
export function withFailures(...failures: Failure[]): Scenario {
  return { ...named("paper"), duration: 120, failures };
}

/** Position of the udp flow in the scenarios that ship. */
export const UDP = 0;

/** Lines of the trace that hold all of the words. */
export function lines({ trace }: SimResult, ...words: string[]): string[] {
  return trace.filter((line) => words.every((word) => line.includes(word)));
}

/** When the line of a trace was written, in seconds. */
export function timeOf(line: string): number {
  return Number(line.trim().split(" ")[0]);
}
