import { describe, expect, test } from "vitest";
import type { EndpointConfig, LocalLocator } from "../../src/core/config.ts";
import type { AddressPair, ContextEvent } from "../../src/core/output.ts";
import { after, type Instant, milliseconds, minutes, seconds } from "../../src/core/time.ts";
import type { ContextView, Pin } from "../../src/core/view.ts";
import type { ContextTag } from "../../src/wire/tag.ts";
import { address, type Host, type Packet, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const ULIDS = { local: address(A1), peer: address(B1) };
const REVERSED = { local: address(B1), peer: address(A1) };
const FAIL_BACK = { failBack: { hold: seconds(30), maxHold: minutes(4) } };

interface Lab {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
}

interface Setting {
  readonly a?: readonly (string | LocalLocator)[];
  readonly b?: readonly (string | LocalLocator)[];
  readonly ofA?: Partial<EndpointConfig>;
  readonly ofB?: Partial<EndpointConfig>;
}

/** Both ends send every 200 ms from then on. */
function established(setting: Setting = {}): Lab {
  const world = new World();
  const a = world.host(61, setting.a ?? [A1, A2], setting.ofA ?? FAIL_BACK);
  const b = world.host(62, setting.b ?? [B1, B2], setting.ofB ?? FAIL_BACK);
  a.open(A1, B1);
  world.run(seconds(1));
  const tick = (): void => {
    a.send(ULIDS);
    b.send(REVERSED);
    world.in(milliseconds(200), tick);
  };
  tick();
  return { world, a, b };
}

function context(host: Host): ContextView {
  const [only] = host.endpoint.contexts();
  if (only === undefined) throw new Error("no context");
  return only;
}

function locator(text: string, preference: number, rest: Partial<LocalLocator> = {}): LocalLocator {
  return { address: address(text), preference, operational: true, ...rest };
}

function uses(...addresses: readonly string[]): (packet: Packet) => boolean {
  return ({ source, destination }) =>
    addresses.some((text) => source === text || destination === text);
}

const NOTHING_LOST = (): boolean => false;

/** A's first uplink is dead until both ends are elsewhere, and then works again. */
function failOver({ world, a, b }: Lab): Instant {
  world.loses = uses(A1);
  world.run(seconds(25));
  expect([context(a).locators.local, context(b).locators.peer]).toEqual([A2, A2]);
  world.loses = NOTHING_LOST;
  return world.now;
}

function switches(host: Host, since: Instant): Extract<ContextEvent, { event: "switched" }>[] {
  return host.events.filter((event) => event.event === "switched").filter(({ at }) => at >= since);
}

/** The first instant at which the host's pair is this one, by steps of 100 ms. */
function whenOn({ world }: Lab, host: Host, pair: AddressPair, within = 600): number {
  const start = world.now;
  for (let i = 0; i < within * 10; i++) {
    const { locators } = context(host);
    if (locators.local === pair.local && locators.peer === pair.peer) {
      return (world.now - start) / 1000;
    }
    world.run(milliseconds(100));
  }
  throw new Error("never");
}

function probesOver({ world }: Lab, from: string, since: Instant): number[] {
  return world.sent
    .filter(({ source, control, at }) => {
      return at >= since && source === from && control?.message.type === "Probe";
    })
    .map(({ at }) => (at - since) / 1000);
}

describe("a pair that failed and works again", () => {
  test("is returned to by both ends once it has been good for the hold time", () => {
    const lab = established();
    const restored = failOver(lab);
    lab.world.run(seconds(120));
    for (const host of [lab.a, lab.b]) {
      const [back, ...others] = switches(host, restored);
      expect(others).toEqual([]);
      expect(back).toMatchObject({ cause: "fail-back" });
      expect(((back?.at ?? 0) - restored) / 1000).toBeGreaterThan(30);
      expect(context(host).locators).toEqual(context(host).ulids);
    }
  });

  test("is asked without disturbing anybody: no end leaves Operational, no payload is lost", () => {
    const lab = established();
    const restored = failOver(lab);
    const before = [lab.a, lab.b].map(({ delivered }) => delivered.length);
    lab.world.run(seconds(120));
    for (const [i, host] of [lab.a, lab.b].entries()) {
      const events = host.events.filter(({ at }) => at > restored).map(({ event }) => event);
      expect(events).toEqual(["switched"]);
      expect(host.delivered.length - (before[i] ?? 0)).toBeGreaterThanOrEqual(5 * 120 - 1);
    }
  });

  test("is returned to beside a peer that knows of no such thing, which stays where it is", () => {
    const lab = established({ ofB: {} });
    failOver(lab);
    lab.world.run(seconds(120));
    expect(context(lab.a).locators).toEqual(ULIDS);
    expect(context(lab.b).locators.peer).toBe(A2);
    expect(context(lab.b).reapState).toBe("Operational");
  });

  test("is left alone while nothing is to be carried, and looked at again with payload", () => {
    const world = new World();
    const a = world.host(63, [locator(A1, 10), locator(A2, 0)], FAIL_BACK);
    const b = world.host(64, [B1], FAIL_BACK);
    a.open(A1, B1);
    world.run(minutes(5));
    const probes = world.messages.filter((name) => name === "Probe/inboundok").length;
    expect(probes).toBeLessThanOrEqual(2);
    expect(context(a).betterPairs).toMatchObject([{ next: { reason: "traffic", at: undefined } }]);
    const lab = { world, a, b };
    const end = after(world.now, minutes(2));
    const tick = (): void => {
      a.send(ULIDS);
      b.send(REVERSED);
      if (world.now < end) world.in(milliseconds(200), tick);
    };
    tick();
    expect(whenOn(lab, a, { local: address(A2), peer: address(B1) })).toBeLessThan(70);
  });

  test("is asked more and more rarely while it is dead", () => {
    const lab = established();
    lab.world.loses = uses(A1);
    lab.world.run(seconds(30));
    const since = lab.world.now;
    lab.world.run(minutes(30));
    const asked = probesOver(lab, A1, since);
    // Three probes, 1 s apart, for each question, and a minute from one to the next.
    expect(asked.length).toBeLessThanOrEqual(3 * 31);
    const last = asked.slice(-6);
    expect((last[3] ?? 0) - (last[2] ?? 0)).toBeGreaterThan(55);
  });

  test("needs no more time for a probe that is lost now and then", () => {
    const lab = established();
    failOver(lab);
    let probes = 0;
    lab.world.loses = ({ source, control }) =>
      source === A1 && control?.message.type === "Probe" && probes++ % 3 < 2;
    // As without any loss: the back-off, two intervals, and the repetitions.
    expect(whenOn(lab, lab.a, ULIDS)).toBeLessThan(90);
  });

  test("begins anew with its hold time when it has no answer", () => {
    const lab = established();
    failOver(lab);
    lab.world.run(seconds(30));
    lab.world.loses = uses(A1);
    lab.world.run(seconds(25));
    lab.world.loses = NOTHING_LOST;
    expect(context(lab.a).betterPairs).toMatchObject([{ goodFor: 0 }]);
    expect(whenOn(lab, lab.a, ULIDS)).toBeGreaterThan(30);
  });
});

describe("a pair that fails again and again", () => {
  test("has a hold time that doubles up to the longest, and a few switches in half an hour", () => {
    const lab = established();
    const holds: number[] = [];
    for (let i = 0; i < 5; i++) {
      failOver(lab);
      lab.world.run(seconds(1));
      holds.push((context(lab.a).betterPairs[0]?.hold ?? 0) / 1000);
      whenOn(lab, lab.a, ULIDS);
    }
    expect(holds).toEqual([30, 60, 120, 240, 240]);
  });

  test("is taken for calm again after a while", () => {
    const lab = established();
    for (let i = 0; i < 3; i++) {
      failOver(lab);
      whenOn(lab, lab.a, ULIDS);
    }
    lab.world.run(minutes(30));
    failOver(lab);
    lab.world.run(seconds(1));
    expect(context(lab.a).betterPairs).toMatchObject([{ hold: seconds(30), failures: 1 }]);
  });

  test("costs few switches where it flaps each minute for an hour", () => {
    const lab = established();
    const start = lab.world.now;
    for (let minute = 0; minute < 60; minute++) {
      lab.world.loses = uses(A1);
      lab.world.run(seconds(25));
      lab.world.loses = NOTHING_LOST;
      lab.world.run(seconds(35));
    }
    expect(switches(lab.a, start).length).toBeLessThanOrEqual(5);
  });
});

describe("which pair is better", () => {
  test("the preferences of both ends say, and both come to the same pair in one switch each", () => {
    const lab = established({
      a: [locator(A1, 10), locator(A2, 0)],
      b: [locator(B1, 10), locator(B2, 0)],
    });
    lab.world.run(minutes(10));
    expect(context(lab.a)).toMatchObject({ locators: { local: A2, peer: B2 }, switches: 1 });
    expect(context(lab.b)).toMatchObject({ locators: { local: B2, peer: A2 }, switches: 1 });
  });

  test("a pair that somebody prefers is gone to at once, though the current one is dead", () => {
    const lab = established();
    lab.world.run(seconds(5));
    lab.world.loses = uses(A1);
    lab.world.run(milliseconds(300));
    const second = { local: address(A2), peer: address(B2) };
    lab.a.command((endpoint, now) => endpoint.prefer(now, context(lab.a).tag, second));
    lab.world.run(milliseconds(300));
    expect(context(lab.a)).toMatchObject({ locators: second, reapState: "Operational" });
  });

  test("a pair that somebody prefers and that is dead changes nothing for a session that is well", () => {
    const lab = established();
    lab.world.run(seconds(5));
    lab.world.loses = uses(A2);
    const second = { local: address(A2), peer: address(B1) };
    lab.a.command((endpoint, now) => endpoint.prefer(now, context(lab.a).tag, second));
    lab.world.run(minutes(1));
    expect(context(lab.a)).toMatchObject({ locators: ULIDS, switches: 0 });
    expect(lab.a.events.filter(({ event }) => event === "exploring")).toEqual([]);
  });

  test("ends with opposite wishes don't pull each other back and forth", () => {
    const lab = established();
    lab.a.command((endpoint, now) =>
      endpoint.prefer(now, context(lab.a).tag, { local: address(A2), peer: address(B1) }),
    );
    lab.b.command((endpoint, now) =>
      endpoint.prefer(now, context(lab.b).tag, { local: address(B2), peer: address(A1) }),
    );
    lab.world.run(minutes(10));
    expect(context(lab.a)).toMatchObject({ locators: { local: A2, peer: B1 }, switches: 1 });
    expect(context(lab.b)).toMatchObject({ locators: { local: B2, peer: A1 }, switches: 1 });
  });

  test.each<[string, Setting]>([
    ["of equal preference", {}],
    ["of a higher preference value", { a: [locator(A1, 0), locator(A2, 10)] }],
    ["that is less stable", { a: [A1, locator(A2, 0, { transient: true })] }],
    ["that is down here", { a: [locator(A1, 10), locator(A2, 0, { operational: false })] }],
    [
      "that the peer calls broken",
      { b: [locator(B1, 10), locator(B2, 0, { operational: false })] },
    ],
  ])("a locator %s makes none", (_name, setting) => {
    const lab = established(setting);
    lab.world.run(minutes(5));
    expect(context(lab.a).betterPairs).toEqual([]);
    expect(context(lab.a).switches).toBe(0);
  });

  test("weights draw no context off a pair that works", () => {
    const weighted = [locator(A1, 0, { weight: 1 }), locator(A2, 0, { weight: 200 })];
    const lab = established({ a: weighted });
    lab.world.run(minutes(5));
    expect(context(lab.a).switches).toBe(0);
  });

  test("without fail-back it takes a command", () => {
    const lab = established({ ofA: {}, ofB: {} });
    failOver(lab);
    lab.world.run(minutes(5));
    expect(context(lab.a).locators.local).toBe(A2);
  });
});

describe("a pinned context", () => {
  const SECOND = { local: address(A2), peer: address(B1) };

  function pin(host: Host, pair: AddressPair | undefined, kind: Pin): void {
    host.command((endpoint, now) =>
      expect(endpoint.pin(now, context(host).tag, pair, kind)).toBe(true),
    );
  }

  test("goes to the pair, and no better one takes it away", () => {
    const lab = established();
    pin(lab.a, SECOND, "until-failure");
    lab.world.run(minutes(10));
    expect(context(lab.a)).toMatchObject({
      ...{ locators: SECOND, preferred: SECOND, pin: "until-failure", switches: 1 },
      betterPairs: [],
    });
  });

  test("stays when somebody explores, as its pair is asked first", () => {
    const lab = established();
    pin(lab.a, SECOND, "until-failure");
    lab.world.run(seconds(5));
    lab.a.command((endpoint, now) => expect(endpoint.explore(now, context(lab.a).tag)).toBe(true));
    lab.world.run(seconds(10));
    expect(context(lab.a)).toMatchObject({ locators: SECOND, switches: 1 });
  });

  test("leaves a pair that fails, and comes back", () => {
    const lab = established();
    pin(lab.a, undefined, "until-failure");
    failOver(lab);
    expect(context(lab.a)).toMatchObject({ pin: "until-failure", preferred: ULIDS });
    expect(whenOn(lab, lab.a, ULIDS)).toBeLessThan(120);
  });

  test("stays on a dead pair where the pin is strict, and goes on when the pair does", () => {
    const lab = established();
    pin(lab.a, undefined, "strict");
    lab.world.run(seconds(5));
    lab.world.loses = uses(A1);
    lab.world.run(minutes(3));
    expect(context(lab.a)).toMatchObject({ locators: ULIDS, switches: 0, reapState: "Exploring" });
    expect(lab.a.withholding.size).toBe(0);
    lab.world.loses = NOTHING_LOST;
    lab.world.run(minutes(2));
    expect(context(lab.a)).toMatchObject({ locators: ULIDS, reapState: "Operational" });
  });

  test("is free again when unpinned, and when another pair is preferred", () => {
    const lab = established();
    const { tag } = context(lab.a);
    lab.a.command((endpoint, now) => expect(endpoint.unpin(now, tag)).toBe(false));
    pin(lab.a, SECOND, "strict");
    lab.world.run(seconds(5));
    lab.a.command((endpoint, now) => expect(endpoint.unpin(now, tag)).toBe(true));
    expect(context(lab.a)).toMatchObject({ pin: undefined, preferred: undefined });
    expect(whenOn(lab, lab.a, ULIDS)).toBeLessThan(60);
    pin(lab.a, SECOND, "strict");
    lab.a.command((endpoint, now) => endpoint.prefer(now, tag, ULIDS));
    expect(context(lab.a)).toMatchObject({ pin: undefined, preferred: ULIDS });
  });

  test("must be pinned to a pair of its own", () => {
    const { a } = established();
    const foreign = { local: address(A1), peer: address("2001:db8:dead::1") };
    a.command((endpoint, now) => {
      expect(endpoint.pin(now, context(a).tag, foreign, "strict")).toBe(false);
      expect(endpoint.pin(now, 5 as ContextTag, undefined, "strict")).toBe(false);
    });
  });
});

describe("a failure of the current pair", () => {
  // Both ends use A2, and the better pair goes on answering.
  test.each<[string, (packet: Packet) => boolean]>([
    ["towards the peer", ({ source }) => source === A2],
    ["from the peer", ({ destination }) => destination === A2],
  ])("%s is found in time while a better pair is watched", (_name, lost) => {
    const lab = established();
    failOver(lab);
    lab.world.run(seconds(40));
    expect(context(lab.a).betterPairs).toMatchObject([{ next: { reason: "probe" } }]);
    const dead = lab.world.now;
    lab.world.loses = lost;
    lab.world.run(seconds(33));
    const explored = [lab.a, lab.b].flatMap(({ events }) =>
      events.filter(({ at, event }) => at > dead && event === "exploring"),
    );
    expect(explored).not.toEqual([]);
  });
});

describe("many contexts", () => {
  test("share one budget of probes", () => {
    const world = new World();
    const own = (net: string) =>
      Array.from({ length: 16 }, (_, i) => locator(`2001:db8:${net}${i.toString(16)}::1`, i));
    const [left, right] = [own("a"), own("b")];
    const a = world.host(65, left, FAIL_BACK);
    const b = world.host(66, right);
    const pairs = left.flatMap(({ address: local }) =>
      right.map(({ address: peer }) => ({ local, peer })),
    );
    for (const { local, peer } of pairs) a.open(local, peer);
    world.run(seconds(1));
    const since = world.now;
    for (let second = 0; second < 5; second++) {
      for (const { local, peer } of pairs) {
        a.send({ local, peer });
        b.send({ local: peer, peer: local });
      }
      world.run(seconds(1));
    }
    const asked = world.sent.filter(({ at, control }) => {
      const message = control?.message;
      return at >= since && message?.type === "Probe" && message.state === "inboundok";
    });
    expect(asked.length).toBeGreaterThan(100);
    expect(asked.length).toBeLessThanOrEqual(100 + 5 * 100);
    expect(a.endpoint.counters["fail-back-postponed"]).toBeGreaterThan(0);
  });
});
