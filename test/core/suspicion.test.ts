import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EndpointConfig } from "../../src/core/config.ts";
import { ADAPTIVE_KEEPALIVE_TIMEOUT, SUSPICION_FLOOR } from "../../src/core/defaults.ts";
import type { AddressPair, ContextEvent } from "../../src/core/output.ts";
import { Suspicion } from "../../src/core/suspicion.ts";
import { after, instant, milliseconds, seconds } from "../../src/core/time.ts";
import { TrafficRecord } from "../../src/core/traffic.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import { address, type Host, type Packet, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const ULIDS = { local: address(A1), peer: address(B1) };
const REVERSED = { local: address(B1), peer: address(A1) };

const ADAPTIVE: Partial<EndpointConfig> = {
  detect: "adaptive",
  keepaliveTimeout: ADAPTIVE_KEEPALIVE_TIMEOUT,
};

interface Lab {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
}

function established(ofA = ADAPTIVE, ofB = ADAPTIVE): Lab {
  const world = new World();
  const a = world.host(11, [A1, A2], ofA);
  const b = world.host(12, [B1, B2], ofB);
  a.open(A1, B1);
  world.run(milliseconds(100));
  expect(a.endpoint.contexts()[0]?.state).toBe("ESTABLISHED");
  return { world, a, b };
}

const ROUTER = address("2001:db8:ffff::1");

/** ICMPv6 destination unreachable, no route, about a payload packet of the pair. */
function noRoute({ local, peer }: AddressPair): Uint8Array {
  const bytes = new Uint8Array(8 + 40 + 8);
  bytes[0] = 1;
  bytes[8] = 0x60;
  bytes[8 + 6] = 17;
  bytes.set(addressToBytes(local), 8 + 8);
  bytes.set(addressToBytes(peer), 8 + 24);
  return bytes;
}

/** Packets from A every 20 ms for a time, and from B where it talks too. */
function talk({ world, a, b }: Lab, span: number, both: boolean): void {
  const end = after(world.now, milliseconds(span));
  const tick = (): void => {
    a.send(ULIDS);
    if (both) b.send(REVERSED);
    if (world.now + 20 < end) world.in(milliseconds(20), tick);
  };
  tick();
}

/** Loses what goes between A1 and B1, either way. */
function cut({ source, destination }: Packet): boolean {
  const ends = [A1, B1].map(address);
  return ends.includes(source) && ends.includes(destination);
}

function events({ events: all }: Host, name: ContextEvent["event"]): ContextEvent[] {
  return all.filter(({ event }) => event === name);
}

/** ms from now to A's next switch, while both or A alone talk and the first pair is dead. */
function recovery(lab: Lab, both: boolean): number {
  const { world, a } = lab;
  const before = events(a, "switched").length;
  const start = world.now;
  world.loses = cut;
  talk(lab, 30_000, both);
  world.run(seconds(30));
  const switched = events(a, "switched")[before];
  return switched === undefined ? Number.POSITIVE_INFINITY : switched.at - start;
}

describe("a silent failure", () => {
  test("of a session that talks both ways is over within 0.6 s", () => {
    const lab = established();
    talk(lab, 5_000, true);
    lab.world.run(seconds(5));
    expect(recovery(lab, true)).toBeLessThan(600);
    expect(events(lab.a, "exploring")).toMatchObject([{ cause: "suspicion" }]);
  });

  test("of payload one way is over within 3 s", () => {
    const lab = established();
    talk(lab, 60_000, false);
    lab.world.run(seconds(60));
    const span = recovery(lab, false);
    expect(span).toBeGreaterThan(200);
    expect(span).toBeLessThan(3000);
  });

  test("of a session with a peer that knows only RFC 5534 is over as soon", () => {
    const lab = established(ADAPTIVE, {});
    talk(lab, 5_000, true);
    lab.world.run(seconds(5));
    expect(recovery(lab, true)).toBeLessThan(600);
  });

  test("takes a Send Timeout where detection is as in RFC 5534", () => {
    const lab = established({}, {});
    talk(lab, 5_000, true);
    lab.world.run(seconds(5));
    const span = recovery(lab, true);
    expect(span).toBeGreaterThan(15_000);
    const { world, a, b } = lab;
    expect([...events(a, "exploring"), ...events(b, "exploring")]).toMatchObject([
      { cause: "send-timeout" },
    ]);
    expect(world.messages.slice(0, 5)).toEqual(["I1", "R1", "I2", "R2", "Probe/exploring"]);
  });

  test("of a peer that has never answered such a probe takes a Send Timeout", () => {
    const lab = established();
    lab.world.loses = ({ control }) =>
      control?.message.type === "Probe" && control.message.state === "operational";
    talk(lab, 5_000, true);
    lab.world.run(seconds(5));
    expect(recovery(lab, true)).toBeGreaterThan(14_000);
  });

  test("is acted on again after the switch", () => {
    const lab = established();
    talk(lab, 5_000, true);
    lab.world.run(seconds(5));
    expect(recovery(lab, true)).toBeLessThan(600);
    const { world, a } = lab;
    const { locators } = a.endpoint.contexts()[0] ?? {};
    world.loses = ({ source, destination }) =>
      [locators?.local, locators?.peer].every((end) => source === end || destination === end);
    const start = world.now;
    talk(lab, 5_000, true);
    world.run(seconds(5));
    const last = events(a, "switched").at(-1);
    expect(events(a, "switched").length).toBeGreaterThan(1);
    expect((last?.at ?? Number.POSITIVE_INFINITY) - start).toBeLessThan(700);
  });
});

describe("a false alarm", () => {
  test("costs one probe and its answer, and moves nothing", () => {
    const lab = established();
    const { world, a, b } = lab;
    talk(lab, 2_000, true);
    world.run(seconds(2));
    world.sent.length = 0;
    const counted = a.endpoint.counters.suspicion;
    // For a while the peer's application has nothing to say.
    talk(lab, 300, false);
    world.run(seconds(0.3));
    talk(lab, 2_000, true);
    world.run(seconds(2));
    expect(a.endpoint.counters.suspicion).toBe(counted + 1);
    expect(world.messages).toEqual(["Probe/inboundok", "Probe/operational"]);
    expect(a.endpoint.counters["suspicion-confirmed"]).toBe(0);
    for (const host of [a, b]) expect(events(host, "switched")).toEqual([]);
    for (const host of [a, b]) expect(events(host, "exploring")).toEqual([]);
  });

  test("is not repeated for answers that have been as late before", () => {
    const lab = established();
    const { world, a } = lab;
    talk(lab, 60_000, false);
    world.run(seconds(10));
    const learned = a.endpoint.counters.suspicion;
    expect(learned).toBeLessThanOrEqual(3);
    world.run(seconds(50));
    expect(a.endpoint.counters.suspicion).toBe(learned);
  });

  test("does not come of an exchange's last packet, which needs no answer", () => {
    const lab = established();
    const { world, a, b } = lab;
    for (let i = 0; i < 20; i++) {
      a.send(ULIDS);
      b.send(REVERSED);
      world.run(seconds(3));
    }
    for (const host of [a, b]) expect(host.endpoint.counters.suspicion).toBe(0);
  });

  test("survives the loss of all but one of its probes", () => {
    const lab = established();
    const { world, a } = lab;
    talk(lab, 2_000, true);
    world.run(seconds(2));
    let probes = 0;
    world.loses = ({ control }) => {
      if (control?.message.type !== "Probe" || control.message.state !== "inboundok") return false;
      probes += 1;
      return probes < 4;
    };
    talk(lab, 1_000, false);
    world.run(seconds(1));
    expect(probes).toBeGreaterThanOrEqual(4);
    expect(a.endpoint.counters.suspicion).toBe(1);
    expect(events(a, "exploring")).toEqual([]);
  });
});

test("an ICMPv6 error draws a probe of the current pair, not an exploration", () => {
  const lab = established();
  const { world, a } = lab;
  talk(lab, 2_000, true);
  world.run(seconds(2));
  world.sent.length = 0;
  a.command((endpoint, now) => endpoint.handleIcmpError(now, ROUTER, noRoute(ULIDS)));
  talk(lab, 2_000, true);
  world.run(seconds(2));
  expect(world.messages).toEqual(["Probe/inboundok", "Probe/operational"]);
  expect(events(a, "exploring")).toEqual([]);
});

describe("the peer is asked to answer one-way payload", () => {
  test("every second, by the Keepalive Timeout that it is told", () => {
    const lab = established();
    const { world, b } = lab;
    talk(lab, 10_000, false);
    world.run(seconds(3));
    const before = b.endpoint.contexts()[0]?.keepalivesSent ?? 0;
    world.run(seconds(7));
    expect((b.endpoint.contexts()[0]?.keepalivesSent ?? 0) - before).toBeGreaterThanOrEqual(6);
  });

  test.each([
    [{ ...ADAPTIVE, sendTimeout: seconds(2) }, 2],
    [ADAPTIVE, 3],
    [{ detect: "adaptive" as const }, undefined],
  ])("in the option, by the Send Timeout where that is shorter", (config, told) => {
    const { world } = established(config);
    const exchange = world.sent.find(({ control }) => control?.message.type === "I2");
    const message = exchange?.control?.message;
    const options = message?.type === "I2" ? message.options : [];
    const option = options.find(({ name }) => name === "KeepaliveTimeout");
    expect(option).toEqual(
      told === undefined ? undefined : { name: "KeepaliveTimeout", critical: false, timeout: told },
    );
  });
});

/** ms of silence after which the detector suspects a pair that it has measured. */
function suspectsAfter(gaps: readonly number[], spacing: number): number {
  const suspicion = new Suspicion();
  const record = new TrafficRecord();
  const ceiling = seconds(15);
  let now = instant(1_000_000);
  const step = () => suspicion.step(now, record.snapshot, ceiling);
  step();
  now = after(now, seconds(1));
  expect(step()).toBe("probe");
  suspicion.handleSent(now, 1);
  suspicion.handleReports(after(now, milliseconds(20)), record.snapshot, [1]);
  for (const gap of [...gaps, Number.POSITIVE_INFINITY]) {
    const start = now;
    for (let age = 0; age < gap; age += spacing) {
      now = after(start, milliseconds(age));
      record.out(now, 100);
      const due = step();
      if (due === "suspect" && gap === Number.POSITIVE_INFINITY) return age;
      if (due !== undefined) suspicion.handleSent(now, age + 2);
      if (age > 60_000) throw new Error("never suspicious");
    }
    now = after(start, milliseconds(gap));
    record.in(now, 100);
    step();
  }
  throw new Error("unreachable");
}

test("never suspects before the floor, nor before answers have been late by the margin", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 2000 }), { maxLength: 20 }),
      fc.integer({ min: 5, max: 100 }),
      (gaps, spacing) => {
        const suspectedAt = suspectsAfter(gaps, spacing);
        expect(suspectedAt).toBeGreaterThanOrEqual(SUSPICION_FLOOR);
        expect(suspectedAt).toBeLessThanOrEqual(15_000 + spacing);
        const total = gaps.reduce((sum, gap) => sum + gap, 0);
        const longest = Math.max(0, ...gaps);
        // What was seen is up to one packet's spacing short of what was.
        fc.pre(total < 50_000);
        expect(suspectedAt).toBeGreaterThanOrEqual(1.25 * (longest - spacing));
      },
    ),
    { numRuns: 300 },
  );
});
