import { describe, expect, test } from "vitest";
import type { LocalLocator } from "../../src/core/config.ts";
import { minutes, seconds } from "../../src/core/time.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, Option } from "../../src/wire/message.ts";
import { address, type Host, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const A3 = "2001:db8:a3::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const ULIDS = { local: address(A1), peer: address(B1) };

function established(): { world: World; a: Host; b: Host } {
  const world = new World();
  const a = world.host(31, [A1, A2]);
  const b = world.host(32, [B1, B2]);
  a.open(A1, B1);
  world.run(seconds(1));
  world.sent.length = 0;
  return { world, a, b };
}

function locator(text: string, preference = 0, operational = true): LocalLocator {
  return { address: address(text), preference, operational };
}

function peerLocators(host: Host): unknown[] {
  return (host.endpoint.contexts()[0]?.peerLocators ?? []).map((known) => ({
    address: known.address,
    preference: known.preference,
    broken: known.broken,
  }));
}

function requests(world: World): { at: number; nonce: number; options: readonly Option[] }[] {
  return world.sent.flatMap(({ at, control }) =>
    control?.message.type === "UpdateRequest"
      ? [{ at, nonce: control.message.requestNonce, options: control.message.options }]
      : [],
  );
}

describe("updating the peer (RFC 5533 section 10)", () => {
  test("a new locator is told in mid-session, acknowledged, and then serves", () => {
    const { world, a, b } = established();
    a.setLocators([locator(A1), locator(A2), locator(A3)]);
    expect(a.endpoint.contexts()[0]?.localLocators).toHaveLength(2);
    world.run(seconds(1));
    expect(world.messages).toEqual(["UpdateRequest", "UpdateAcknowledgement"]);
    expect(peerLocators(b)).toHaveLength(3);
    expect(a.endpoint.contexts()[0]?.localLocators).toHaveLength(3);
    const only3 = [A3, B2];
    world.loses = ({ source, destination }) =>
      !only3.includes(source) || !only3.includes(destination);
    a.send(ULIDS);
    world.run(seconds(40));
    expect(a.endpoint.contexts()[0]?.locators).toEqual({ local: A3, peer: B2 });
  });

  test("a locator that fails is marked broken, and no longer when it works again", () => {
    const { world, a, b } = established();
    a.setOperational(A2, false);
    world.run(seconds(1));
    expect(peerLocators(b)).toMatchObject([{ broken: false }, { address: A2, broken: true }]);
    a.setOperational(A2, true);
    world.run(seconds(1));
    expect(peerLocators(b)).toMatchObject([{ broken: false }, { address: A2, broken: false }]);
    // Only preferences changed: the list and its generation stayed.
    for (const { options } of requests(world)) {
      expect(options.map(({ name }) => name)).toEqual(["LocatorPreferences"]);
    }
  });

  test("priorities that change are told", () => {
    const { world, a, b } = established();
    a.setLocators([locator(A1, 3), locator(A2, 7)]);
    world.run(seconds(1));
    expect(peerLocators(b)).toMatchObject([{ preference: 3 }, { preference: 7 }]);
  });

  test("a locator that is gone is taken off the list; the ULID never is", () => {
    const { world, a, b } = established();
    a.setLocators([locator(A2)]);
    world.run(seconds(20));
    expect(peerLocators(b)).toMatchObject([
      { address: A1, broken: true },
      { address: A2, broken: false },
    ]);
    expect(b.endpoint.contexts()[0]?.locators.peer).toBe(A2);
  });

  test("requests go on for ever, doubling to two minutes, with one nonce", () => {
    const { world, a, b } = established();
    world.loses = ({ control }) => control?.message.type === "UpdateRequest";
    a.setLocators([locator(A1), locator(A2), locator(A3)]);
    for (let i = 0; i < 360; i++) {
      a.send(ULIDS);
      b.send({ local: ULIDS.peer, peer: ULIDS.local });
      world.run(seconds(5));
    }
    const sent = requests(world);
    expect(new Set(sent.map(({ nonce }) => nonce)).size).toBe(1);
    for (const [i, { at }] of sent.slice(1).entries()) {
      const gap = at - (sent[i]?.at ?? 0);
      const nominal = Math.min(4000 * 2 ** i, 120_000);
      // A switch of pairs hastens a request, but there is none here.
      expect(gap).toBeGreaterThanOrEqual(0.5 * nominal);
      expect(gap).toBeLessThan(1.5 * nominal);
    }
    expect(sent.length).toBeGreaterThan(12);
    expect(a.endpoint.contexts()[0]?.localLocators).toHaveLength(2);
  });

  test("newer information replaces the request under way and contains it (section 10.3)", () => {
    const { world, a, b } = established();
    const acknowledgements: (() => void)[] = [];
    world.loses = (packet) => {
      if (packet.control?.message.type !== "UpdateAcknowledgement") return false;
      acknowledgements.push(() => a.receive(packet));
      return true;
    };
    a.setLocators([locator(A1), locator(A3)]);
    world.run(seconds(1));
    a.setLocators([locator(A1, 0, false), locator(A3), locator(A2)]);
    world.run(seconds(1));
    const [first, second] = requests(world);
    expect(second?.nonce).not.toBe(first?.nonce);
    const generations = [first, second].map((request) => {
      const list = request?.options.find(({ name }) => name === "LocatorList");
      return list?.name === "LocatorList" ? list.generation : undefined;
    });
    expect(generations[0]).not.toBe(generations[1]);
    expect(peerLocators(b)).toMatchObject([
      { address: A1, broken: true },
      { address: A3 },
      { address: A2 },
    ]);
    // The acknowledgement of the abandoned request is ignored.
    acknowledgements[0]?.();
    expect(a.endpoint.counters["drop-wrong-nonce"]).toBe(1);
    expect(a.endpoint.contexts()[0]?.localLocators.map((known) => known.address)).toEqual([A1, A2]);
    acknowledgements[1]?.();
    expect(a.endpoint.contexts()[0]?.localLocators.map((known) => known.address)).toEqual([
      A1,
      A3,
      A2,
    ]);
  });

  test("what is taken back before it was acknowledged is told all the same", () => {
    const { world, a, b } = established();
    world.loses = ({ control }) => control?.message.type === "UpdateAcknowledgement";
    a.setLocators([locator(A1), locator(A2, 9, false), locator(A3)]);
    world.run(seconds(1));
    expect(peerLocators(b)).toMatchObject([{}, { broken: true }, { address: A3 }]);
    // As it was in the beginning: B has been told otherwise meanwhile, as far as A can know.
    a.setLocators([locator(A1), locator(A2)]);
    world.run(seconds(1));
    expect(peerLocators(b)).toEqual([
      { address: A1, preference: 0, broken: false },
      { address: A2, preference: 0, broken: false },
    ]);
    expect(b.endpoint.counters["error-sent"]).toBe(0);
  });

  test("preferences that the peer refuses are followed by the whole list", () => {
    const { world, a, b } = established();
    const [known] = b.endpoint.contexts();
    if (known === undefined) throw new Error("no context");
    // B has lost the generation of the list, as after another list that A knows nothing of.
    b.receive(
      control(A1, B1, {
        type: "UpdateRequest",
        receiverContextTag: known.tag,
        requestNonce: 1,
        options: [list([201, 201])],
      }),
    );
    world.sent.length = 0;
    a.setOperational(A2, false);
    world.run(seconds(1));
    expect(world.messages).toEqual([
      "UpdateRequest",
      "Error",
      "UpdateRequest",
      "UpdateAcknowledgement",
    ]);
    expect(peerLocators(b)).toMatchObject([{ address: A1 }, { address: A2, broken: true }]);
  });

  test("a list that the peer refuses is not sent again, and the old set stays", () => {
    const world = new World();
    const a = world.host(31, [A1, A2]);
    const b = world.host(32, [B1], { security: "verified" });
    a.setLocators([locator(A1)]);
    a.open(A1, B1);
    world.run(seconds(1));
    a.setLocators([locator(A1), locator(A2)]);
    world.run(minutes(5));
    expect(requests(world)).toHaveLength(1);
    expect(a.endpoint.counters["update-refused"]).toBe(1);
    expect(a.endpoint.contexts()[0]?.localLocators.map((known) => known.address)).toEqual([A1]);
    expect(peerLocators(b)).toHaveLength(1);
  });

  test("an Error about a request that is not under way changes nothing", () => {
    const { world, a } = established();
    const old = { world: world.sent.length };
    a.setOperational(A2, false);
    const request = world.sent[old.world];
    if (request?.control === undefined) throw new Error("no request");
    const packetInError = new Uint8Array(40 + request.control.bytes.length);
    packetInError.set([0x60, 0, 0, 0, 0, request.control.bytes.length, 140]);
    packetInError.set(addressToBytes(request.source), 8);
    packetInError.set(addressToBytes(request.destination), 24);
    packetInError.set(request.control.bytes, 40);
    world.run(seconds(1));
    world.sent.length = 0;
    a.receive(control(B1, A1, { type: "Error", errorCode: 2, pointer: 48, packetInError }));
    world.run(minutes(1));
    expect(a.endpoint.counters["drop-wrong-nonce"]).toBe(1);
    expect(a.endpoint.counters["update-refused"]).toBe(0);
    expect(requests(world)).toEqual([]);
  });

  test("a generation follows the one before, the first is random", () => {
    const { world, a } = established();
    for (const third of [true, false, true]) {
      a.setLocators([locator(A1), locator(A2), ...(third ? [locator(A3)] : [])]);
      world.run(seconds(1));
    }
    const generations = requests(world).map(({ options }) => {
      const [option] = options;
      return option?.name === "LocatorList" ? option.generation : undefined;
    });
    const [first = 0] = generations;
    expect(generations).toEqual([first, (first + 1) >>> 0, (first + 2) >>> 0]);
    expect(first).toBeGreaterThan(1000);
  });

  test("a request that waits leaves at once on a pair that works", () => {
    const { world, a, b } = established();
    world.loses = ({ source, destination }) => source === A1 || destination === A1;
    a.setLocators([locator(A1), locator(A2), locator(A3)]);
    a.send(ULIDS);
    world.run(minutes(1));
    const switched = a.events.find((event) => event.event === "switched");
    expect(switched).toBeDefined();
    expect(requests(world).map(({ at }) => at)).toContain(switched?.at);
    expect(peerLocators(b)).toHaveLength(3);
  });

  test("a current locator that the peer marks broken is left after an exploration", () => {
    const { world, a, b } = established();
    b.setOperational(B1, false);
    world.run(seconds(5));
    expect(a.events.some((event) => event.event === "exploring")).toBe(true);
    expect(a.endpoint.contexts()[0]?.locators.peer).toBe(B2);
    expect(b.endpoint.contexts()[0]?.locators.local).toBe(B2);
  });
});

describe("a Send Timeout that changes (RFC 5534 section 5.3)", () => {
  function setSendTimeout(host: Host, span: number): void {
    host.command((endpoint, now) => endpoint.setSendTimeout(now, seconds(span)));
  }

  /** Seconds from the first packet that nobody answers to the exploration. */
  function detection({ world, a }: { world: World; a: Host }): number {
    world.run(minutes(2));
    world.loses = () => true;
    const sentAt = world.now;
    a.send(ULIDS);
    world.run(minutes(3));
    const at = a.events.findLast((event) => event.event === "exploring")?.at ?? Number.NaN;
    return (at - sentAt) / 1000;
  }

  test("is told by an Update Request, once, and taken for the Keepalive Timeout", () => {
    const { world, a } = established();
    setSendTimeout(a, 30);
    setSendTimeout(a, 30);
    world.run(seconds(1));
    expect(world.messages).toEqual(["UpdateRequest", "UpdateAcknowledgement"]);
    expect(requests(world)[0]?.options).toMatchObject([{ name: "KeepaliveTimeout", timeout: 30 }]);
    // B hears from A and has nothing to say: keepalives at a third of 30 seconds.
    world.run(minutes(2));
    const start = world.now;
    a.send(ULIDS);
    world.run(seconds(29));
    const keepalives = world.sent.filter(
      ({ at, control }) => at > start && control?.message.type === "Keepalive",
    );
    expect(keepalives.map(({ at }) => Math.round((at - start) / 1000))).toEqual([10, 20]);
  });

  test("a longer one holds at once", () => {
    const lab = established();
    setSendTimeout(lab.a, 60);
    const seen = detection(lab);
    expect(seen).toBeGreaterThanOrEqual(60);
    expect(seen).toBeLessThan(60 * 1.05 + 1);
  });

  test("a shorter one holds when the peer has acknowledged it, and not before", () => {
    const told = established();
    setSendTimeout(told.a, 5);
    expect(detection(told)).toBeLessThan(5 * 1.05 + 1);

    const untold = established();
    untold.world.loses = ({ control }) => control?.message.type === "UpdateRequest";
    const sentAt = untold.world.now;
    setSendTimeout(untold.a, 5);
    untold.world.loses = () => true;
    untold.a.send(ULIDS);
    untold.world.run(minutes(1));
    const exploring = untold.a.events.find((event) => event.event === "exploring");
    expect((exploring?.at ?? 0) - sentAt).toBeGreaterThanOrEqual(15_000);
  });

  test("back to the default is told too", () => {
    const { world, a } = established();
    setSendTimeout(a, 30);
    world.run(seconds(1));
    setSendTimeout(a, 15);
    world.run(seconds(1));
    const told = requests(world).map(({ options }) => options[0]);
    expect(told).toMatchObject([{ timeout: 30 }, { timeout: 15 }]);
  });

  test("one that changes during the exchange is told after it", () => {
    const world = new World();
    const a = world.host(31, [A1, A2]);
    world.host(32, [B1, B2]);
    a.open(A1, B1);
    setSendTimeout(a, 30);
    world.run(seconds(1));
    expect(world.messages).toEqual([
      ...["I1", "R1", "I2", "R2"],
      ...["UpdateRequest", "UpdateAcknowledgement"],
    ]);
  });
});

describe("refusals (RFC 5533 sections 5.14 and 10.4)", () => {
  const cases: [string, number, (generation: number) => Option[]][] = [
    ["preferences of another generation", 3, (known) => [preferences(known + 1, 2)]],
    ["preferences of another number", 4, (known) => [preferences(known, 3)]],
    ["a list with a method that proves nothing here", 2, () => [list([201, 1])]],
  ];

  test.each(cases)("%s: Error %i, and nothing changes", (_name, code, options) => {
    const { world, a, b } = established();
    const before = peerLocators(b);
    const tag = b.endpoint.contexts()[0]?.tag;
    if (tag === undefined) throw new Error("no context");
    let generation = 0;
    a.setOperational(A2, false);
    world.run(seconds(1));
    const told = requests(world)[0]?.options[0];
    if (told?.name === "LocatorPreferences") generation = told.generation;
    a.setOperational(A2, true);
    world.run(seconds(1));
    world.sent.length = 0;
    b.receive(
      control(A1, B1, {
        type: "UpdateRequest",
        receiverContextTag: tag,
        requestNonce: 7,
        options: options(generation),
      }),
    );
    expect(world.messages).toEqual(["Error"]);
    const error = world.sent[0]?.control?.message;
    expect(error).toMatchObject({ type: "Error", errorCode: code });
    expect(peerLocators(b)).toEqual(before);
  });

  test("an unknown critical option: Error 1 that points at it, and the message is not processed", () => {
    const { world, b } = established();
    const tag = b.endpoint.contexts()[0]?.tag;
    if (tag === undefined) throw new Error("no context");
    b.receive(
      control(A1, B1, {
        type: "UpdateRequest",
        receiverContextTag: tag,
        requestNonce: 7,
        options: [
          { name: "Unknown", critical: false, type: 90, contents: new Uint8Array(4) },
          { name: "Unknown", critical: true, type: 99, contents: new Uint8Array(4) },
        ],
      }),
    );
    expect(world.messages).toEqual(["Error"]);
    expect(world.sent[0]?.control?.message).toMatchObject({ errorCode: 1, pointer: 40 + 16 + 8 });
  });

  test("a message of unknown type: Error 0 that points at the type", () => {
    const { world, b } = established();
    b.receive(control(A1, B1, { type: "Unknown", typeCode: 77, body: new Uint8Array(10) }));
    expect(world.sent[0]?.control?.message).toMatchObject({
      type: "Error",
      errorCode: 0,
      pointer: 42,
    });
  });

  test("an Error is never answered", () => {
    const { world, b } = established();
    b.receive(
      control(A1, B1, {
        type: "Error",
        errorCode: 0,
        pointer: 0,
        packetInError: new Uint8Array(48),
      }),
    );
    expect(world.messages).toEqual([]);
    expect(b.endpoint.counters["error-received"]).toBe(1);
  });

  test("an Error for a message of 2 kB stays within 1280 octets", () => {
    const { world, b } = established();
    b.receive(control(A1, B1, { type: "Unknown", typeCode: 77, body: new Uint8Array(2034) }));
    expect(world.sent[0]?.control?.bytes.length).toBe(1240);
  });
});

function preferences(generation: number, count: number): Option {
  return {
    name: "LocatorPreferences",
    critical: false,
    generation,
    elementLength: 1,
    elements: Array.from({ length: count }, () => ({ flags: 0 })),
  };
}

function list(methods: readonly number[]): Option {
  return {
    name: "LocatorList",
    critical: false,
    generation: 5,
    locators: methods.map((method, i) => ({ address: address(`2001:db8::${i + 1}`), method })),
  };
}

function control(source: string, destination: string, message: ControlMessage) {
  return {
    source: address(source),
    destination: address(destination),
    control: { bytes: encodeControl(message), message },
  };
}
