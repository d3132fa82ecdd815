import { expect, test } from "vitest";
import type { Happening, MonitorEvent } from "../../src/daemon/api.ts";
import { Timeline } from "../../web/src/model/timeline.ts";
import { A1, A2, B1, B2 } from "./contexts.ts";

const OF_CONTEXT = { context: "00000000000a", localUlid: A1, peerUlid: B1 };
const FIRST = { localLocator: A1, peerLocator: B1 };
const SECOND = { localLocator: A2, peerLocator: B2 };
const ESTABLISHED: Happening = {
  ...{ ...OF_CONTEXT, ...FIRST, event: "established" },
  ...{ peerTag: "00000000000b", forkedInstance: 0 },
};
const EXPLORING: Happening = { ...OF_CONTEXT, event: "exploring", cause: "send-timeout" };
const SWITCHED: Happening = {
  ...{ ...OF_CONTEXT, event: "switched", from: FIRST, to: SECOND, cause: "exploration" },
};
const RECOVERED: Happening = {
  ...{ ...OF_CONTEXT, ...SECOND, event: "recovered", detection: 10.04, exploration: 0.012 },
  ...{ probesSent: 3, probesReceived: 2 },
};

function timelineOf(...happenings: readonly Happening[]): Timeline {
  const timeline = new Timeline();
  for (const [i, happening] of happenings.entries()) timeline.add(eventOf(happening, i + 1));
  return timeline;
}

function eventOf(happening: Happening, sequence: number): MonitorEvent {
  return { ...happening, sequence, time: "2026-01-01T00:00:00.000Z", monotonic: 1 };
}

test("a failure names the path that failed, the switch both paths, the recovery what it took", () => {
  const { entries } = timelineOf(ESTABLISHED, EXPLORING, SWITCHED, RECOVERED);
  expect(entries.map(({ title, details }) => `${title}: ${details}`)).toEqual([
    `Established: on ${A1} → ${B1}`,
    `Path failed: ${A1} → ${B1}: nothing came back within the Send Timeout; exploring`,
    `Switched: ${A1} → ${B1} left for ${A2} → ${B2} (exploration)`,
    `Recovered: on ${A2} → ${B2}: noticed after 10 s, found in 12 ms, 3 probes sent`,
  ]);
});

test("an exploration that somebody asked for is no failure", () => {
  const { entries } = timelineOf({ ...OF_CONTEXT, event: "exploring", cause: "command" });
  expect(entries[0]).toMatchObject({ title: "Exploring", tone: "busy" });
});

test("a failure that the peer notices first is there as such, once", () => {
  const inboundOk: Happening = { ...OF_CONTEXT, event: "inboundok" };
  const { entries } = timelineOf(ESTABLISHED, inboundOk, RECOVERED, EXPLORING, inboundOk);
  expect(entries.map(({ title, tone, details }) => [title, tone, details])).toEqual([
    ["Established", "good", `on ${A1} → ${B1}`],
    [
      "Peer explores",
      "bad",
      `${A1} → ${B1}: it hears nothing of ours there, or was asked to explore`,
    ],
    ["Recovered", "good", expect.any(String)],
    ["Path failed", "bad", expect.any(String)],
    ["Heard again", "busy", "packets come in again; ours may not arrive yet"],
  ]);
});

test("an event that comes twice is there once", () => {
  const timeline = timelineOf(ESTABLISHED, EXPLORING);
  timeline.add(eventOf(EXPLORING, 2));
  expect(timeline.entries).toHaveLength(2);
});

test("the oldest go when there are too many", () => {
  const timeline = new Timeline();
  for (let i = 1; i <= 22_001; i += 1) timeline.add(eventOf(EXPLORING, i));
  expect(timeline.entries).toHaveLength(20_000);
  expect(timeline.entries.at(-1)?.sequence).toBe(22_001);
});

test("uplinks and warnings are of the host", () => {
  const { entries } = timelineOf(
    ...(
      [
        ["isp1", false, "no carrier"],
        ["isp1", true, null],
      ] as const
    ).map(
      ([name, operational, problem]): Happening => ({
        ...{ event: "uplink-changed", context: null, interface: name, operational, problem },
      }),
    ),
    { event: "warning", context: null, code: "one-uplink", severity: "warning", text: "Alone." },
  );
  expect(entries.map(({ title, subject, details }) => [title, subject, details])).toEqual([
    ["Uplink failed", "isp1", "no carrier"],
    ["Uplink works", "isp1", ""],
    ["Warning", "this host", "Alone."],
  ]);
});
