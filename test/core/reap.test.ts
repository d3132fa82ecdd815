import { describe, expect, test } from "vitest";
import type { LocalLocator } from "../../src/core/config.ts";
import { REAP, type ReapEvent, type ReapTransition } from "../../src/core/reap.ts";
import { after, type Instant, milliseconds, minutes, seconds } from "../../src/core/time.ts";
import type { ReapState } from "../../src/core/view.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage } from "../../src/wire/message.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { address, type Host, type Packet, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const ULIDS = { local: address(A1), peer: address(B1) };
const REVERSED = { local: address(B1), peer: address(A1) };

interface Lab {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
}

function established(
  aLocators: readonly (string | LocalLocator)[] = [A1, A2],
  bLocators: readonly (string | LocalLocator)[] = [B1, B2],
): Lab {
  const world = new World();
  const a = world.host(11, aLocators);
  const b = world.host(12, bLocators);
  a.open(A1, B1);
  world.run(seconds(1));
  expect(a.endpoint.contexts()[0]?.state).toBe("ESTABLISHED");
  world.sent.length = 0;
  return { world, a, b };
}

/** Payload every 100 ms for a time, from A, or from both. */
function talk({ world, a, b }: Lab, span: number, both = true): void {
  const end = after(world.now, milliseconds(span));
  const tick = (): void => {
    a.send(ULIDS);
    if (both) b.send(REVERSED);
    if (world.now + 100 < end) world.in(milliseconds(100), tick);
  };
  tick();
}

/** Loses what goes between these two addresses, in the named direction or both. */
function cut(...paths: readonly (readonly [string, string])[]): (packet: Packet) => boolean {
  return ({ source, destination }) =>
    paths.some(([from, to]) => source === from && destination === to);
}

const BOTH_WAYS_1 = [
  [A1, B1],
  [B1, A1],
] as const;

function states({ a, b }: Lab): (string | undefined)[] {
  return [a, b].map((host) => host.endpoint.contexts()[0]?.reapState);
}

function pairs({ a, b }: Lab): unknown[] {
  return [a, b].map((host) => host.endpoint.contexts()[0]?.locators);
}

function eventNames(host: Host): string[] {
  return host.events.map(({ event }) => event);
}

describe("the table is RFC 5534 section 6, cell by cell", () => {
  const cells: [ReapEvent, ReapState, string][] = [
    ["payload-in", "Operational", "STOP Send; START Keepalive"],
    ["payload-in", "Exploring", "SEND Probe; RESTART Send; GOTO InboundOk"],
    ["payload-in", "InboundOk", "STOP Send"],
    ["payload-out", "Operational", "START Send; STOP Keepalive"],
    ["payload-out", "Exploring", "-"],
    ["payload-out", "InboundOk", "START Send"],
    ["keepalive-timeout", "Operational", "SEND Keepalive; STOP Keepalive"],
    ["keepalive-timeout", "Exploring", "-"],
    ["keepalive-timeout", "InboundOk", "-"],
    ["send-timeout", "Operational", "SEND Probe; STOP Send; STOP Keepalive; GOTO Exploring"],
    ["send-timeout", "Exploring", "-"],
    ["send-timeout", "InboundOk", "SEND Probe; STOP Send; STOP Keepalive; GOTO Exploring"],
    ["retransmission", "Operational", "-"],
    ["retransmission", "Exploring", "SEND Probe"],
    ["retransmission", "InboundOk", "SEND Probe; START Send"],
    ["keepalive", "Operational", "STOP Send"],
    ["keepalive", "Exploring", "SEND Probe; RESTART Send; GOTO InboundOk"],
    ["keepalive", "InboundOk", "STOP Send"],
    ["probe-exploring", "Operational", "SEND Probe; RESTART Send; STOP Keepalive; GOTO InboundOk"],
    ["probe-exploring", "Exploring", "SEND Probe; RESTART Send; GOTO InboundOk"],
    ["probe-exploring", "InboundOk", "SEND Probe; RESTART Send; GOTO InboundOk"],
    [
      "probe-inboundok",
      "Operational",
      "SEND Probe; RESTART Send; STOP Keepalive; GOTO Operational",
    ],
    ["probe-inboundok", "Exploring", "SEND Probe; RESTART Send; STOP Keepalive; GOTO Operational"],
    ["probe-inboundok", "InboundOk", "SEND Probe; RESTART Send; STOP Keepalive; GOTO Operational"],
    ["probe-operational", "Operational", "STOP Send; START Keepalive; GOTO Operational"],
    ["probe-operational", "Exploring", "STOP Send; START Keepalive; GOTO Operational"],
    ["probe-operational", "InboundOk", "STOP Send; START Keepalive; GOTO Operational"],
  ];

  test.each(cells)("%s in %s: %s", (event, state, expected) => {
    expect(spell(REAP[event][state])).toBe(expected);
  });

  test("an exploration that is asked for begins as one after a Send Timeout, in Operational only", () => {
    expect(REAP.explore.Operational).toEqual(REAP["send-timeout"].Operational);
    expect(REAP.explore.Exploring).toEqual({});
    expect(REAP.explore.InboundOk).toEqual({});
  });
});

function spell({ message, sendTimer, keepaliveTimer, next }: ReapTransition): string {
  const words = [
    message && `SEND ${message === "probe" ? "Probe" : "Keepalive"}`,
    sendTimer && `${sendTimer.toUpperCase()} Send`,
    keepaliveTimer && `${keepaliveTimer.toUpperCase()} Keepalive`,
    next && `GOTO ${next}`,
  ];
  return words.filter((word) => word !== undefined).join("; ") || "-";
}

describe("the examples of RFC 5534 appendix A", () => {
  test("1: without payload there is no message at all", () => {
    const { world } = established();
    world.run(minutes(5));
    expect(world.messages).toEqual([]);
  });

  test("2: payload both ways needs no message", () => {
    const lab = established();
    talk(lab, 60_000);
    lab.world.run(seconds(60));
    expect(lab.world.messages).toEqual([]);
    expect(states(lab)).toEqual(["Operational", "Operational"]);
  });

  test("3: payload one way is answered by keepalives within the Send Timeout", () => {
    const lab = established();
    talk(lab, 60_000, false);
    lab.world.run(seconds(60));
    expect(new Set(lab.world.messages)).toEqual(new Set(["Keepalive"]));
    expect(
      lab.world.sent.filter(({ control, source }) => control && source === B1).length,
    ).toBeGreaterThanOrEqual(11);
    expect(states(lab)).toEqual(["Operational", "Operational"]);
  });

  test("4: A has one address; when B1 fails both ends move to (A, B2)", () => {
    const lab = established([A1], [B1, B2]);
    talk(lab, 40_000);
    lab.world.in(seconds(5), () => {
      lab.world.loses = cut(...BOTH_WAYS_1);
    });
    lab.world.run(seconds(40));
    expect(pairs(lab)).toEqual([
      { local: A1, peer: B2 },
      { local: B2, peer: A1 },
    ]);
    expect(states(lab)).toEqual(["Operational", "Operational"]);
    expect(lab.b.events.find(({ event }) => event === "exploring")).toMatchObject({
      cause: "send-timeout",
    });
  });

  // The RFC's B tries its current pair first and so keeps it; we try that one last (decision 16).
  test("5: only A1 -> B1 fails; both ends move to a pair that works", () => {
    const lab = established();
    talk(lab, 60_000);
    lab.world.in(seconds(5), () => {
      lab.world.loses = cut([A1, B1]);
    });
    lab.world.run(seconds(60));
    expect(pairs(lab)).toEqual([
      { local: A2, peer: B2 },
      { local: B2, peer: A2 },
    ]);
    expect(states(lab)).toEqual(["Operational", "Operational"]);
    expect(lab.b.events.find(({ event }) => event === "exploring")).toMatchObject({
      cause: "send-timeout",
    });
    expect(eventNames(lab.a)).not.toContain("exploring");
  });
});

describe("failure and recovery", () => {
  test("payload flows again after Send Timeout plus one exchange, tagged, on the other locators", () => {
    const lab = established();
    talk(lab, 60_000);
    const failure = after(lab.world.now, seconds(5));
    lab.world.at(failure, () => {
      lab.world.loses = cut(...BOTH_WAYS_1);
    });
    lab.world.run(seconds(60));
    const resumed = lab.b.delivered.find(({ at }) => at > failure + 50)?.at ?? 0;
    expect(resumed - failure).toBeGreaterThan(14_800);
    expect(resumed - failure).toBeLessThan(15_000 * 1.05 + 300);
    const mapping = [...lab.a.mappings.values()][0];
    expect(mapping).toMatchObject({ ulids: ULIDS, locators: { local: A2, peer: B2 } });
    expect(mapping?.peerTag).toBe(lab.b.endpoint.contexts()[0]?.tag);
    expect(lab.b.delivered.every(({ ulids }) => ulids.local === B1 && ulids.peer === A1)).toBe(
      true,
    );
    const recovered = lab.a.events.find(({ event }) => event === "recovered");
    expect(recovered).toMatchObject({ locators: { local: A2, peer: B2 } });
    expect(recovered?.event === "recovered" && recovered.detection).toBeGreaterThan(14_800);
    expect(recovered?.event === "recovered" && recovered.exploration).toBeLessThan(600);
  });

  test("when the second path fails after the first came back, the ULIDs carry payload again, untagged", () => {
    const lab = established();
    talk(lab, 120_000);
    lab.world.in(seconds(5), () => {
      lab.world.loses = cut(...BOTH_WAYS_1);
    });
    lab.world.in(seconds(40), () => {
      lab.world.loses = ({ source, destination }) =>
        ![A1, B1].includes(source) || ![A1, B1].includes(destination);
    });
    lab.world.run(seconds(120));
    expect(pairs(lab)).toEqual([ULIDS, REVERSED]);
    expect(lab.a.mappings.size + lab.b.mappings.size).toBe(0);
    expect(lab.a.endpoint.contexts()[0]?.switches).toBe(2);
    expect(states(lab)).toEqual(["Operational", "Operational"]);
  });

  test("a lost local locator starts the exploration at once", () => {
    const lab = established();
    talk(lab, 20_000);
    lab.world.run(seconds(5));
    const lostAt = lab.world.now;
    lab.world.loses = ({ source, destination }) => source === A1 || destination === A1;
    lab.a.setOperational(A1, false);
    lab.world.run(seconds(10));
    const recovered = lab.a.events.find(({ event }) => event === "recovered");
    expect(lab.a.events.find(({ event }) => event === "exploring")).toMatchObject({
      cause: "local-locator-lost",
      at: lostAt,
    });
    expect((recovered?.at ?? 0) - lostAt).toBeLessThan(100);
    expect(pairs(lab)[0]).toMatchObject({ local: A2 });
    expect(pairs(lab)[1]).toMatchObject({ peer: A2 });
  });

  test("probes go to pairs that share nothing with the failed one first, to the failed one last", () => {
    const lab = established();
    lab.world.loses = () => true;
    lab.a.send(ULIDS);
    lab.world.run(seconds(19));
    const probes = lab.world.sent.filter(({ control }) => control?.message.type === "Probe");
    expect(probes.map(({ source, destination }) => [source, destination])).toEqual([
      [A2, B2],
      [A1, B2],
      [A2, B1],
      [A1, B1],
      [A2, B2],
    ]);
  });

  test("probes: four at half a second, then doubling to a minute", () => {
    const lab = established();
    lab.world.loses = () => true;
    lab.a.send(ULIDS);
    lab.world.run(minutes(9));
    const times = lab.world.sent
      .filter(({ control }) => control?.message.type === "Probe")
      .map(({ at }) => at);
    const gaps = times.slice(1).map((at, i) => (at - (times[i] as Instant)) / 1000);
    expect(gaps.slice(0, 3)).toEqual([0.5, 0.5, 0.5]);
    for (const [i, nominal] of [1, 2, 4, 8, 16, 32, 60, 60].entries()) {
      expect(gaps[3 + i]).toBeGreaterThan(nominal * 0.8);
      expect(gaps[3 + i]).toBeLessThan(nominal * 1.2);
    }
  });

  test("preferences decide among pairs of one kind", () => {
    const A3 = "2001:db8:a3::1";
    const lab = established([
      { address: address(A1), preference: 0, operational: true },
      { address: address(A2), preference: 9, operational: true },
      { address: address(A3), preference: 1, operational: true },
    ]);
    lab.world.loses = () => true;
    lab.a.send(ULIDS);
    lab.world.run(seconds(17));
    const first = lab.world.sent.find(({ control }) => control?.message.type === "Probe");
    expect([first?.source, first?.destination]).toEqual([A3, B2]);
    expect(lab.b.endpoint.contexts()[0]?.peerLocators.map(({ preference }) => preference)).toEqual([
      0, 1, 9,
    ]);
  });

  test("no payload, no exploration: a dead path without traffic costs nothing", () => {
    const lab = established();
    lab.world.loses = () => true;
    lab.world.run(minutes(5));
    expect(lab.world.messages).toEqual([]);
  });

  test("with all local locators gone the context waits, and goes on when one returns", () => {
    const lab = established();
    talk(lab, 60_000);
    lab.world.run(seconds(2));
    lab.world.loses = ({ source, destination }) =>
      [source, destination].some((end) => end === A1 || end === A2);
    lab.a.setOperational(A1, false);
    lab.a.setOperational(A2, false);
    lab.world.run(seconds(20));
    expect(states(lab)[0]).toBe("Exploring");
    lab.world.loses = ({ source, destination }) => [source, destination].some((end) => end === A1);
    lab.a.setOperational(A2, true);
    const back = lab.world.now;
    lab.world.run(seconds(10));
    expect(states(lab)).toEqual(["Operational", "Operational"]);
    expect(
      (lab.a.events.filter(({ event }) => event === "recovered").at(-1)?.at ?? 0) - back,
    ).toBeLessThan(2100);
  });
});

describe("every combination of one-way pairs that leaves a way each way is found", () => {
  const all = [A1, A2].flatMap((a) => [B1, B2].map((b) => [a, b] as const));
  const combinations = all.flatMap((there) => all.map((back) => [there, back] as const));

  test.each(combinations)(
    "A to B only on %j, B to A only on the reverse of %j",
    ([from, to], [backTo, backFrom]) => {
      const lab = established();
      talk(lab, 120_000);
      lab.world.in(seconds(1), () => {
        lab.world.loses = ({ source, destination }) =>
          !(
            (source === from && destination === to) ||
            (source === backFrom && destination === backTo)
          );
      });
      lab.world.run(seconds(120));
      expect(states(lab)).toEqual(["Operational", "Operational"]);
      expect(pairs(lab)).toEqual([
        { local: from, peer: to },
        { local: backFrom, peer: backTo },
      ]);
      const lastIn = [lab.a, lab.b].map((host) => host.delivered.at(-1)?.at ?? 0);
      for (const at of lastIn) expect(lab.world.now - at).toBeLessThan(500);
    },
  );
});

describe("what a peer says is checked (decision 15)", () => {
  test("a report whose nonce isn't ours moves nothing", () => {
    const lab = established();
    talk(lab, 1000);
    lab.world.run(seconds(2));
    const context = lab.a.endpoint.contexts()[0];
    const tag = context?.tag;
    if (tag === undefined) throw new Error("no context");
    lab.a.receive(
      control(B1, A1, {
        type: "Probe",
        receiverContextTag: tag,
        state: "inboundok",
        sentProbes: [{ source: address(B1), destination: address(A1), nonce: 5, data: 0 }],
        receivedProbes: [{ source: address(A2), destination: address(B2), nonce: 6, data: 0 }],
        options: [],
      }),
    );
    expect(lab.a.endpoint.contexts()[0]?.locators).toEqual(ULIDS);
    expect(eventNames(lab.a)).not.toContain("switched");
  });

  test("a probe from an address outside the peer's locators is counted and answered by R1bis", () => {
    const lab = established();
    const tag = lab.a.endpoint.contexts()[0]?.tag;
    if (tag === undefined) throw new Error("no context");
    const stranger = "2001:db8:bad::1";
    lab.a.receive(
      control(stranger, A1, {
        type: "Probe",
        receiverContextTag: tag,
        state: "exploring",
        sentProbes: [{ source: address(stranger), destination: address(A1), nonce: 5, data: 0 }],
        receivedProbes: [],
        options: [],
      }),
    );
    expect(lab.a.endpoint.counters["drop-wrong-locator"]).toBe(1);
    expect(states(lab)[0]).toBe("Operational");
    expect(lab.world.messages).toEqual(["R1bis"]);
  });

  test("a keepalive for a tag that nobody has is counted and answered by R1bis", () => {
    const lab = established();
    const known = lab.a.endpoint.contexts()[0]?.tag ?? 0;
    lab.a.receive(
      control(B1, A1, {
        type: "Keepalive",
        receiverContextTag: contextTag(known ^ 1),
        options: [],
      }),
    );
    expect(lab.world.messages).toEqual(["R1bis"]);
    expect(lab.a.endpoint.counters["drop-unknown-context"]).toBe(1);
  });
});

function control(source: string, destination: string, message: ControlMessage): Packet {
  return {
    source: address(source),
    destination: address(destination),
    control: { bytes: encodeControl(message), message },
  };
}
