import { expect } from "vitest";
import type { EndpointConfig, KeyedHash } from "../../../src/core/config.ts";
import { instant } from "../../../src/core/time.ts";
import { IDENTITY_PRIMITIVES } from "../../../src/daemon/crypto/primitives.ts";
import { simKeyedHash } from "../../../src/sim/random.ts";
import { recordEndpoint } from "../../../src/sim/replay/recorder.ts";
import { type ReplayedCall, Replayer } from "../../../src/sim/replay/replayer.ts";
import { parseHeader, parseTraceLine } from "../../../src/sim/replay/trace-format.ts";
import { type Replay, TraceReplay } from "../../../src/sim/replay/trace-replay.ts";
import type { Scenario } from "../../../src/sim/scenario.ts";
import { findScenario } from "../../../src/sim/scenarios.ts";
import { simulate } from "../../../src/sim/simulation.ts";

export const ABOUT = { l3shim: "0.1.0", wall: 0, at: instant(0) };

/** A simulated run of the scenario, and a trace of each endpoint that was in it. */
export function recordScenario(
  name: string,
  { keyedHash, ...changes }: { keyedHash?: KeyedHash } & Partial<Scenario> = {},
): string[][] {
  const scenario = findScenario(name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  const traces: string[][] = [];
  const makeEndpoint = (config: EndpointConfig) => {
    const lines: string[] = [];
    traces.push(lines);
    const changed = keyedHash === undefined ? config : { ...config, keyedHash };
    return recordEndpoint(changed, ABOUT, (line) => lines.push(line));
  };
  const { violation } = simulate({ ...scenario, ...changes }, { seed: 1, makeEndpoint });
  expect(violation).toBeUndefined();
  return traces;
}

const PRIMITIVES = { keyedHash: simKeyedHash, identity: IDENTITY_PRIMITIVES };

/** @throws what a replay throws */
export function replay(
  [header = "", ...lines]: readonly string[],
  keyedHash = simKeyedHash,
): ReplayedCall[] {
  const replayer = new Replayer(parseHeader(header), { ...PRIMITIVES, keyedHash });
  return lines.flatMap((text) => {
    const line = parseTraceLine(text);
    return "end" in line ? [] : [replayer.run(line)];
  });
}

/** What is found in a trace. */
export function readTrace(lines: readonly string[]): Replay {
  const trace = new TraceReplay(PRIMITIVES);
  for (const line of lines) trace.take(line);
  return trace.result();
}
