import type { FlowSpec, HostSpec, LinkModel, Scenario } from "./scenario.ts";

const TWO_HOSTS: readonly HostSpec[] = [
  { name: "a", uplinks: 2 },
  { name: "b", uplinks: 2 },
];

/** 20 ms from end to end. */
const LINK: LinkModel = { delay: 0.01 };

const FLOWS: readonly FlowSpec[] = [
  { kind: "udp", from: "a", to: "b", interval: 0.5 },
  { kind: "tcp", from: "b", to: "a", interval: 0.5 },
];

const COMMON = {
  hosts: TWO_HOSTS,
  link: LINK,
  flows: FLOWS,
  sendTimeout: 10,
  contextIdleTimeout: 300,
  trigger: 20,
};

/** The scenarios that ship, by name. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...COMMON,
    name: "paper",
    summary: "the paper's experiment: a host's first uplink dies silently, and comes back",
    duration: 180,
    failures: [
      { type: "uplink", host: "a", uplink: 0, direction: "both", seen: false, at: 30, lasts: 90 },
    ],
  },
  {
    ...COMMON,
    name: "cable",
    summary: "a host sees its first uplink go, and the second one when the first is back",
    duration: 240,
    failures: [
      { type: "uplink", host: "a", uplink: 0, direction: "both", seen: true, at: 30, lasts: 60 },
      { type: "uplink", host: "a", uplink: 1, direction: "both", seen: true, at: 150, lasts: 60 },
    ],
  },
  {
    ...COMMON,
    name: "one-way",
    summary: "one direction at a time: only a pair per direction is left, and not the same one",
    duration: 600,
    failures: [
      { type: "uplink", host: "a", uplink: 0, direction: "up", seen: false, at: 30, lasts: 500 },
      { type: "uplink", host: "a", uplink: 1, direction: "down", seen: false, at: 30, lasts: 500 },
    ],
  },
  {
    ...COMMON,
    name: "both-ends",
    summary: "both hosts lose their first uplink within a second",
    duration: 300,
    failures: [
      { type: "uplink", host: "a", uplink: 0, direction: "both", seen: false, at: 30 },
      { type: "uplink", host: "b", uplink: 0, direction: "both", seen: false, at: 30.5 },
    ],
  },
  {
    ...COMMON,
    name: "reboot",
    summary: "after a switch a host reboots, loses all state, and gets its session back",
    duration: 300,
    failures: [
      { type: "uplink", host: "a", uplink: 0, direction: "both", seen: false, at: 30 },
      { type: "reboot", host: "b", at: 90, lasts: 20 },
    ],
  },
  {
    ...COMMON,
    name: "partition",
    summary: "no pair works for two minutes, then all do",
    duration: 600,
    failures: [{ type: "partition", hosts: ["a"], at: 30, lasts: 120 }],
  },
  {
    ...COMMON,
    name: "flapping",
    summary: "the uplinks of a take turns to be dead for 20 seconds",
    duration: 400,
    failures: Array.from({ length: 12 }, (_, i) => ({
      ...{ type: "uplink" as const, host: "a", uplink: i % 2, direction: "both" as const },
      ...{ seen: false, at: 30 + 25 * i, lasts: 20 },
    })),
  },
  {
    ...COMMON,
    name: "flaky",
    summary:
      "the first uplink of a is dead for 3 of every 10 seconds, then well; sessions go back to it",
    detect: "adaptive",
    failBack: { hold: 30, maxHold: 600 },
    duration: 2400,
    failures: Array.from({ length: 60 }, (_, i) => ({
      ...{ type: "uplink" as const, host: "a", uplink: 0, direction: "both" as const },
      ...{ seen: false, at: 30 + 10 * i, lasts: 3 },
    })),
  },
  {
    ...COMMON,
    name: "rough",
    summary: "bursts of loss, reordering, duplicates and a slow link, besides the failure",
    link: {
      delay: 0.04,
      loss: 0.02,
      burst: { enter: 0.01, leave: 0.2, loss: 0.7 },
      reorder: { share: 0.1, by: 0.2 },
      duplicate: 0.05,
      rate: { bitsPerSecond: 64_000, queue: 0.5 },
    },
    duration: 600,
    failures: [
      { type: "uplink", host: "a", uplink: 0, direction: "both", seen: false, at: 60, lasts: 300 },
      { type: "path", from: { host: "b", uplink: 0 }, to: { host: "a", uplink: 1 }, at: 200 },
    ],
  },
];

export function findScenario(name: string): Scenario | undefined {
  return SCENARIOS.find((scenario) => scenario.name === name);
}
