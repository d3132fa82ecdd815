import { describe, expect, test } from "vitest";
import type { EndpointConfig } from "../../src/core/config.ts";
import { type Duration, milliseconds, seconds } from "../../src/core/time.ts";
import { address, type Host, nameOf, type Packet, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const ULIDS = { local: address(A1), peer: address(B1) };
const REVERSED = { local: address(B1), peer: address(A1) };
const ON = { encapsulation: { port: 61_140 } };

function hosts(
  left: Partial<EndpointConfig> = ON,
  right: Partial<EndpointConfig> = left,
): { world: World; a: Host; b: Host } {
  const world = new World();
  return { world, a: world.host(31, [A1, A2], left), b: world.host(32, [B1, B2], right) };
}

/** Both ends send each 100 ms. */
function talk(world: World, a: Host, b: Host, span: Duration): void {
  a.send(ULIDS);
  b.send(REVERSED);
  if (span > 100) world.in(milliseconds(100), () => talk(world, a, b, (span - 100) as Duration));
}

/** Protocol 140 it is, unless it goes in UDP: a control message, or payload with a tag. */
function isProtocol140({ control, payload, encapsulated }: Packet): boolean {
  return encapsulated !== true && (control !== undefined || payload?.tag !== undefined);
}

function isOnFirstPath({ source, destination }: Packet): boolean {
  return [A1, B1].includes(source) && [A1, B1].includes(destination);
}

/** "I1" or "I1 in UDP", oldest first. */
function control(world: World): string[] {
  return world.sent.flatMap(({ control: sent, encapsulated }) =>
    sent === undefined ? [] : [`${nameOf(sent.message)}${encapsulated ? " in UDP" : ""}`],
  );
}

function last(host: Host) {
  return host.endpoint.contexts()[0];
}

describe("a path that drops protocol 140", () => {
  test("both ends take UDP: the context is there by its second I1, and plain payload stays plain", () => {
    const { world, a, b } = hosts();
    world.loses = isProtocol140;
    a.open(A1, B1);
    world.run(seconds(10));
    expect(control(world).slice(0, 5)).toEqual([
      "I1",
      "I1 in UDP",
      "R1 in UDP",
      "I2 in UDP",
      "R2 in UDP",
    ]);
    expect([last(a)?.state, last(b)?.state]).toEqual(["ESTABLISHED", "ESTABLISHED"]);
    expect(last(a)?.locators).toEqual({ ...ULIDS, encapsulated: true });
    a.send(ULIDS);
    expect(world.sent.at(-1)).toMatchObject({ encapsulated: false, payload: { tag: undefined } });
    expect(a.mappings.size + b.mappings.size).toBe(0);
  });

  test("both begin, behind firewalls that answers alone get through: the second I1 in UDP opens them", () => {
    const { world, a, b } = hosts();
    const opened = new Set<string>();
    world.loses = (packet) => {
      if (isProtocol140(packet)) return true;
      if (packet.encapsulated !== true) return false;
      opened.add(packet.source);
      return !opened.has(packet.destination);
    };
    a.open(A1, B1);
    b.open(B1, A1);
    world.run(seconds(6));
    expect([last(a)?.state, last(b)?.state]).toEqual(["ESTABLISHED", "ESTABLISHED"]);
    const sent = control(world).filter((name) => name.includes("I1"));
    expect(sent).toEqual(["I1", "I1", "I1 in UDP", "I1 in UDP", "I1 in UDP"]);
  });

  test("the session moves to UDP when its first path dies", () => {
    const { world, a, b } = hosts();
    world.loses = isProtocol140;
    a.open(A1, B1);
    world.run(seconds(10));
    talk(world, a, b, seconds(60));
    world.loses = (packet) => isProtocol140(packet) || isOnFirstPath(packet);
    world.run(seconds(40));
    expect([last(a)?.reapState, last(b)?.reapState]).toEqual(["Operational", "Operational"]);
    const mappings = [...a.mappings.values(), ...b.mappings.values()];
    expect(mappings.map(({ locators }) => locators.encapsulated)).toEqual([true, true]);
    expect(a.delivered.at(-1)?.at).toBeGreaterThan(world.now - 200);
    expect(b.delivered.at(-1)?.at).toBeGreaterThan(world.now - 200);
    expect(b.delivered.at(-1)?.ulids).toEqual(REVERSED);
  });

  test.each([
    ["neither end takes UDP", {}, {}],
    ["only the initiator takes UDP", ON, {}],
    ["only the responder takes UDP", {}, ON],
    ["the ends take UDP at different ports", ON, { encapsulation: { port: 61_141 } }],
  ])("%s: no context, and the session stays plain", (_, left, right) => {
    const { world, a, b } = hosts(left, right);
    // A packet to the other port finds nobody.
    const isForNobody = ({ encapsulated }: Packet) => encapsulated === true && right !== ON;
    world.loses = (packet) => isProtocol140(packet) || isForNobody(packet);
    a.open(A1, B1);
    talk(world, a, b, seconds(60));
    world.run(seconds(60));
    expect(b.endpoint.contexts()).toEqual([]);
    expect(last(a)?.reapState).toBeUndefined();
    expect(a.mappings.size).toBe(0);
    expect(a.delivered.length).toBeGreaterThan(500);
    expect(b.delivered.length).toBeGreaterThan(500);
  });
});

describe("a path that passes protocol 140", () => {
  test.each([
    ["both ends", ON, ON, true],
    ["neither end", {}, {}, false],
    ["only the initiator", ON, {}, false],
    ["only the responder", {}, ON, false],
    ["each end at another port", ON, { encapsulation: { port: 61_141 } }, false],
  ])("UDP is taken by %s: nothing goes in UDP while it works", (_, left, right, negotiated) => {
    const { world, a, b } = hosts(left, right);
    a.open(A1, B1);
    talk(world, a, b, seconds(40));
    world.run(seconds(5));
    world.loses = isOnFirstPath;
    world.run(seconds(30));
    expect(last(a)?.reapState).toBe("Operational");
    expect(last(a)?.locators).toEqual({ local: A2, peer: B2 });
    expect(world.sent.filter(({ encapsulated }) => encapsulated)).toEqual([]);
    const [state] = a.savedStates as { mayEncapsulate: boolean }[];
    expect(state?.mayEncapsulate).toBe(negotiated);
  });

  test("only the second path drops it: the session goes on there in UDP, and back to plain", () => {
    const { world, a, b } = hosts({ ...ON, failBack: { hold: seconds(10), maxHold: seconds(60) } });
    a.open(A1, B1);
    talk(world, a, b, seconds(200));
    world.run(seconds(5));
    world.loses = (packet) => isOnFirstPath(packet) || isProtocol140(packet);
    world.run(seconds(60));
    expect(last(a)?.locators.encapsulated).toBe(true);
    expect(last(a)?.reapState).toBe("Operational");
    world.loses = isOnFirstPath;
    world.run(seconds(120));
    expect(last(a)?.locators.encapsulated).toBeUndefined();
    expect(a.delivered.at(-1)?.at).toBeGreaterThan(world.now - 200);
  });

  test("a fork of a context in UDP is made in UDP", () => {
    const { world, a } = hosts();
    world.loses = isProtocol140;
    a.open(A1, B1);
    world.run(seconds(10));
    world.sent.length = 0;
    const tag = last(a)?.tag;
    a.command((endpoint, now) => {
      if (tag !== undefined) endpoint.fork(now, tag, { protocol: 17 });
    });
    world.run(seconds(2));
    expect(control(world).slice(0, 4)).toEqual([
      "I1 in UDP",
      "R1 in UDP",
      "I2 in UDP",
      "R2 in UDP",
    ]);
    const [, fork] = a.endpoint.contexts();
    expect(a.mappings.get(fork?.tag ?? (0 as never))?.locators.encapsulated).toBe(true);
  });

  test("the peer has forgotten the context: it is made anew in UDP", () => {
    const { world, a, b } = hosts();
    world.loses = isProtocol140;
    a.open(A1, B1);
    world.run(seconds(10));
    b.command((endpoint, now) => {
      for (const { tag } of endpoint.contexts()) endpoint.close(now, tag);
    });
    a.command((endpoint, now) => {
      for (const { tag } of endpoint.contexts()) endpoint.explore(now, tag);
    });
    world.run(seconds(10));
    expect(control(world).slice(-20)).toContain("R1bis in UDP");
    expect([last(a)?.reapState, last(b)?.reapState]).toEqual(["Operational", "Operational"]);
  });
});

describe("a new run of the daemon", () => {
  test.each([
    ["on", ON, true],
    ["off", {}, false],
  ])("with UDP %s takes the context over", (_, options, encapsulated) => {
    const { world, a, b } = hosts();
    world.loses = isProtocol140;
    a.open(A1, B1);
    world.run(seconds(10));
    talk(world, a, b, seconds(60));
    world.loses = (packet) => isProtocol140(packet) || isOnFirstPath(packet);
    world.run(seconds(40));
    a.kill();
    a.setOptions(options);
    expect(a.start(77)).toEqual([]);
    expect(last(a)?.locators.encapsulated ?? false).toBe(encapsulated);
  });
});
