import { addFigures, noFigures, type SimFigures } from "./figures.ts";
import type { FlowSpec, Scenario } from "./scenario.ts";
import { simulate } from "./simulation.ts";

/** What adaptive detection does on a path that is bad and alive, over all runs of one kind of flow. */
export interface FalseAlarms {
  readonly flow: string;
  /** Simulated, all runs together. */
  readonly minutes: number;
  /** Payload and control messages. */
  readonly packets: number;
  /** Probes and answers to them. */
  readonly probes: number;
  /** Payload moved to another pair: never, if all is well. */
  readonly switches: number;
  /** Runs that broke an invariant. */
  readonly violations: number;
}

const MINUTES = 10;
/** A packet passes two uplinks: 50 to 250 ms each way, and 2 of 100 are lost. */
const BAD_LINK = { delay: 0.025, jitter: 0.1, loss: 1 - Math.sqrt(0.98) };

const FLOWS: Readonly<Record<string, readonly FlowSpec[]>> = {
  "TCP, 10 at once": Array.from({ length: 10 }, () => flow("tcp", 0.01)),
  "UDP, 50/s, answered": [flow("udp", 0.02)],
  "UDP, 50/s, one way": [flow("one-way", 0.02)],
};

/** @param seeds runs of 10 minutes for each kind of flow */
export function measureFalseAlarms(seeds: number): FalseAlarms[] {
  return Object.entries(FLOWS).map(([name, flows]) => measureFlow(name, flows, seeds));
}

function measureFlow(name: string, flows: readonly FlowSpec[], seeds: number): FalseAlarms {
  let figures: Readonly<SimFigures> = noFigures();
  let violations = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const result = simulate(aliveScenario(name, flows), { seed });
    figures = addFigures(figures, result.figures);
    if (result.violation !== undefined) violations += 1;
  }
  const { payloadPackets, controlPackets, probes, switches } = figures;
  const packets = payloadPackets + controlPackets;
  return { flow: name, minutes: seeds * MINUTES, packets, probes, switches, violations };
}

function aliveScenario(name: string, flows: readonly FlowSpec[]): Scenario {
  return {
    name: `false alarms: ${name}`,
    summary: "a path that loses and delays, and lives",
    hosts: ["a", "b"].map((host) => ({ name: host, uplinks: 2 })),
    link: BAD_LINK,
    flows,
    failures: [],
    duration: MINUTES * 60,
    sendTimeout: 15,
    detect: "adaptive",
    contextIdleTimeout: 300,
    trigger: 50,
  };
}

function flow(kind: FlowSpec["kind"], interval: number): FlowSpec {
  return { kind, from: "a", to: "b", interval };
}
