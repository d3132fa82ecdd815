import { describe, expect, test } from "vitest";
import { type Duration, milliseconds, minutes, seconds } from "../../src/core/time.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, Option, OptionName } from "../../src/wire/message.ts";
import { type ContextTag, contextTag } from "../../src/wire/tag.ts";
import { seededRandom } from "./support/random.ts";
import { address, type Host, type Packet, World } from "./support/world.ts";

/* What RFC 5533 and 5534 require and no other test of the core shows. */

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const STRANGER = "2001:db8:c::1";
const ULIDS = { local: address(A1), peer: address(B1) };

interface Pair {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
}

function twoHosts(sendTimeout: Duration = seconds(15)): Pair {
  const world = new World();
  const a = world.host(41, [A1, A2], { sendTimeout });
  const b = world.host(42, [B1, B2]);
  return { world, a, b };
}

function established(sendTimeout?: Duration): Pair {
  const pair = twoHosts(sendTimeout);
  pair.a.open(A1, B1);
  pair.world.run(seconds(1));
  return pair;
}

function control(source: string, destination: string, message: ControlMessage): Packet {
  const bytes = encodeControl(message);
  return {
    source: address(source),
    destination: address(destination),
    control: { bytes, message },
  };
}

function messagesOf<Type extends ControlMessage["type"]>(world: World, type: Type) {
  return world.sent.flatMap(({ at, control: sent }) =>
    sent?.message.type === type
      ? [{ at, message: sent.message as Extract<ControlMessage, { type: Type }> }]
      : [],
  );
}

function optionNames(options: readonly Option[]): OptionName[] {
  return options.map(({ name }) => name);
}

function tagOf(host: Host): ContextTag {
  const [context] = host.endpoint.contexts();
  if (context === undefined) throw new Error("no context");
  return context.tag;
}

/** Only A2 and B2 reach each other. */
function loseUlidPair(world: World): void {
  world.loses = ({ source, destination }) =>
    [A1, B1].includes(source) || [A1, B1].includes(destination);
}

/** A's context moves to A2 and B2, then B forgets it. */
function forgottenAfterSwitch(): Pair {
  const pair = established();
  const { world, a, b } = pair;
  loseUlidPair(world);
  a.send(ULIDS);
  world.run(seconds(60));
  expect(a.endpoint.contexts()[0]?.locators).toEqual({ local: A2, peer: B2 });
  b.command((endpoint, now) => endpoint.close(now, tagOf(b)));
  world.sent.length = 0;
  return pair;
}

describe("the exchange carries what it must", () => {
  test("R1 and R1bis carry a Responder Validator, and I2 gives it back", () => {
    const { world, b } = established();
    const [r1] = messagesOf(world, "R1");
    const [i2] = messagesOf(world, "I2");
    expect(r1?.message.options).toMatchObject([{ name: "ResponderValidator" }]);
    expect(i2?.message.options).toContainEqual(r1?.message.options[0]);
    expect(i2?.message.responderNonce).toBe(r1?.message.responderNonce);
    b.command((endpoint, now) =>
      endpoint.handleUnknownTag(now, address(A1), address(B1), contextTag(77)),
    );
    const [r1bis] = messagesOf(world, "R1bis");
    expect(r1bis?.message.options).toMatchObject([{ name: "ResponderValidator" }]);
  });

  test("R1bis names the tag that it answers", () => {
    const { world, b } = established();
    b.command((endpoint, now) =>
      endpoint.handleUnknownTag(now, address(A1), address(B1), contextTag(0x7ace)),
    );
    expect(messagesOf(world, "R1bis")[0]?.message.packetContextTag).toBe(0x7ace);
  });

  test("I2bis carries validator, ULID pair and locators over a pair that isn't the ULIDs", () => {
    const { world, a } = forgottenAfterSwitch();
    a.send(ULIDS);
    world.run(seconds(1));
    expect(world.messages.slice(0, 3)).toEqual(["R1bis", "I2bis", "R2"]);
    const i2bis = world.sent.find(({ control: sent }) => sent?.message.type === "I2bis");
    expect([i2bis?.source, i2bis?.destination]).toEqual([A2, B2]);
    const options = messagesOf(world, "I2bis")[0]?.message.options ?? [];
    expect(optionNames(options)).toEqual(["ResponderValidator", "UlidPair", "LocatorList"]);
    expect(options[1]).toMatchObject({ senderUlid: A1, receiverUlid: B1 });
  });

  test("I2bis makes a context with a new tag", () => {
    const { world, a, b } = forgottenAfterSwitch();
    const old = a.endpoint.contexts()[0]?.peerTag;
    a.send(ULIDS);
    world.run(seconds(1));
    expect(messagesOf(world, "I2bis")[0]?.message.packetContextTag).toBe(old);
    expect(tagOf(b)).not.toBe(old);
    expect(a.endpoint.contexts()[0]?.peerTag).toBe(tagOf(b));
  });

  test("an I2bis that comes again in ESTABLISHED gets R2 again", () => {
    const { world, a, b } = forgottenAfterSwitch();
    a.send(ULIDS);
    world.run(seconds(1));
    const [i2bis] = messagesOf(world, "I2bis");
    if (i2bis === undefined) throw new Error("no I2bis");
    const tag = tagOf(b);
    world.sent.length = 0;
    b.receive(control(A2, B2, i2bis.message));
    expect(world.messages).toEqual(["R2"]);
    expect(tagOf(b)).toBe(tag);
  });

  test("I2bis goes out three times, backing off with jitter", () => {
    const { world, a } = forgottenAfterSwitch();
    const losing = world.loses;
    world.loses = (packet) => losing(packet) || packet.control?.message.type === "I2bis";
    a.send(ULIDS);
    world.run(seconds(45));
    const sent = messagesOf(world, "I2bis").slice(0, 3);
    expect(sent).toHaveLength(3);
    for (const [i, nominal] of [4000, 8000].entries()) {
      const gap = (sent[i + 1]?.at ?? 0) - (sent[i]?.at ?? 0);
      expect(gap).toBeGreaterThanOrEqual(0.5 * nominal);
      expect(gap).toBeLessThan(1.5 * nominal);
    }
    expect(world.messages).toContain("I1");
  });

  test("I2 over a pair that isn't the ULIDs names the ULID pair", () => {
    const { world, a } = forgottenAfterSwitch();
    const losing = world.loses;
    world.loses = (packet) => losing(packet) || packet.control?.message.type === "I2bis";
    a.send(ULIDS);
    world.run(minutes(1));
    const [i1] = messagesOf(world, "I1");
    const [i2] = messagesOf(world, "I2");
    const named = { name: "UlidPair", critical: false, senderUlid: A1, receiverUlid: B1 };
    expect(i1?.message.options).toContainEqual(named);
    expect(i2?.message.options).toContainEqual(named);
  });

  test("no two contexts of a host have one tag, whatever the random source gives", () => {
    const world = new World();
    const good = seededRandom(9);
    let drawn = 0;
    // Every second tag is the one before.
    let last = new Uint8Array(6);
    const a = world.host(1, [A1, A2], {
      random: (length) => {
        if (length !== 6) return good(length);
        if (drawn++ % 2 === 0) last = good(6) as Uint8Array<ArrayBuffer>;
        return last.slice();
      },
    });
    for (let i = 1; i <= 20; i++) a.open(A1, `2001:db8:d::${i}`);
    expect(new Set(a.endpoint.contexts().map(({ tag }) => tag)).size).toBe(20);
    expect(drawn).toBeGreaterThan(20);
  });
});

describe("what doesn't fit is dropped in silence", () => {
  test.each([
    "I1",
    "R1",
    "I2",
    "R2",
    "R1bis",
    "I2bis",
    "UpdateRequest",
    "UpdateAcknowledgement",
  ] as const)("a message too short for its type is dropped in silence: %s", (type) => {
    const codes = {
      I1: 1,
      R1: 2,
      I2: 3,
      R2: 4,
      R1bis: 5,
      I2bis: 6,
      UpdateRequest: 64,
      UpdateAcknowledgement: 65,
    };
    const { world, b } = established();
    world.sent.length = 0;
    b.receive({
      source: address(A1),
      destination: address(B1),
      control: {
        bytes: Uint8Array.of(59, 0, codes[type], 0, 0, 0, 0, 0),
        message: { type: "Unknown", typeCode: codes[type], body: new Uint8Array() },
      },
    });
    expect(world.messages).toEqual([]);
    expect(b.endpoint.counters["drop-malformed"]).toBe(1);
  });

  test("an R1 without a validator is dropped in silence", () => {
    const { world, a } = twoHosts();
    world.loses = () => true;
    a.open(A1, B1);
    const [i1] = messagesOf(world, "I1");
    world.sent.length = 0;
    const initiatorNonce = i1?.message.initiatorNonce ?? 0;
    a.receive(control(B1, A1, { type: "R1", initiatorNonce, responderNonce: 5, options: [] }));
    expect(world.messages).toEqual([]);
    expect(a.endpoint.counters["drop-malformed"]).toBe(1);
    expect(a.endpoint.contexts()[0]?.state).toBe("I1-SENT");
  });

  test("a second R1 is dropped in silence", () => {
    const { world, a } = established();
    const [r1] = messagesOf(world, "R1");
    if (r1 === undefined) throw new Error("no R1");
    world.sent.length = 0;
    a.receive(control(B1, A1, r1.message));
    expect(world.messages).toEqual([]);
    expect(a.endpoint.counters["drop-wrong-state"]).toBe(1);
    expect(a.endpoint.contexts()[0]?.state).toBe("ESTABLISHED");
  });

  test("I2 from an address that no list has is dropped", () => {
    const { world, b } = twoHosts();
    const stranger = world.host(43, [STRANGER]);
    // The stranger gets a valid R1 for A's ULID, but can't put its address on A's list.
    const options: Option[] = [
      {
        name: "UlidPair",
        critical: false,
        senderUlid: address(A1),
        receiverUlid: address(B1),
      },
    ];
    const common = { initiatorContextTag: contextTag(5), initiatorNonce: 6 };
    b.receive(control(STRANGER, B1, { type: "I1", ...common, options }));
    const [r1] = messagesOf(world, "R1");
    if (r1 === undefined) throw new Error("no R1");
    const { responderNonce } = r1.message;
    const proven = [...r1.message.options, ...options];
    b.receive(control(STRANGER, B1, { type: "I2", ...common, responderNonce, options: proven }));
    expect(b.endpoint.counters["drop-wrong-locator"]).toBe(1);
    expect(b.endpoint.contexts()).toEqual([]);
    expect(stranger.endpoint.contexts()).toEqual([]);
  });

  test("I1 in ESTABLISHED from an unknown locator gets R1", () => {
    const { world, a, b } = established();
    world.sent.length = 0;
    b.receive(
      control(STRANGER, B1, {
        type: "I1",
        initiatorContextTag: tagOf(a),
        initiatorNonce: 6,
        options: [
          {
            name: "UlidPair",
            critical: false,
            senderUlid: address(A1),
            receiverUlid: address(B1),
          },
        ],
      }),
    );
    expect(world.messages).toEqual(["R1"]);
  });

  test("an unknown option that isn't critical is passed over", () => {
    const { world, a, b } = established();
    world.sent.length = 0;
    const unknown: Option = {
      name: "Unknown",
      critical: false,
      type: 99,
      contents: new Uint8Array(4),
    };
    b.receive(
      control(A1, B1, { type: "Keepalive", receiverContextTag: tagOf(b), options: [unknown] }),
    );
    expect(world.messages).toEqual([]);
    expect(b.endpoint.counters["drop-critical-option"]).toBe(0);
    expect(b.endpoint.contexts()[0]?.keepalivesReceived).toBe(1);
    expect(a.endpoint.contexts()).toHaveLength(1);
  });

  test.each(["UpdateRequest", "UpdateAcknowledgement"] as const)(
    "an Update Request or Acknowledgement from an unknown address gets R1bis: %s",
    (type) => {
      const { world, b } = established();
      const before = b.endpoint.contexts()[0]?.peerLocators;
      world.sent.length = 0;
      b.receive(
        control(STRANGER, B1, {
          type,
          receiverContextTag: tagOf(b),
          requestNonce: 1,
          options: [],
        }),
      );
      expect(world.messages).toEqual(["R1bis"]);
      expect(b.endpoint.contexts()[0]?.peerLocators).toEqual(before);
    },
  );

  test("in I1-SENT an Update Request is dropped", () => {
    const { world, a } = twoHosts();
    world.loses = () => true;
    a.open(A1, B1);
    world.sent.length = 0;
    a.receive(
      control(B1, A1, {
        type: "UpdateRequest",
        receiverContextTag: tagOf(a),
        requestNonce: 1,
        options: [],
      }),
    );
    expect(world.messages).toEqual([]);
    expect(a.endpoint.contexts()[0]?.state).toBe("I1-SENT");
  });

  test("an acknowledgement with another nonce is ignored", () => {
    const { world, a } = established();
    world.loses = () => true;
    a.setOperational(A2, false);
    const [request] = messagesOf(world, "UpdateRequest");
    const requestNonce = ((request?.message.requestNonce ?? 0) + 1) >>> 0;
    a.receive(
      control(B1, A1, {
        type: "UpdateAcknowledgement",
        receiverContextTag: tagOf(a),
        requestNonce,
        options: [],
      }),
    );
    expect(a.endpoint.counters["drop-wrong-nonce"]).toBe(1);
    world.run(seconds(10));
    expect(messagesOf(world, "UpdateRequest").length).toBeGreaterThan(1);
  });

  test("payload with our tag in I2-SENT repeats I2, twice a second at most", () => {
    const { world, a } = twoHosts();
    world.loses = ({ control: sent }) => sent?.message.type === "R2";
    a.open(A1, B1);
    world.run(milliseconds(600));
    expect(a.endpoint.contexts()[0]?.state).toBe("I2-SENT");
    world.sent.length = 0;
    for (let i = 0; i < 10; i++) {
      const payload = { tag: tagOf(a) };
      a.receive({ source: address(B1), destination: address(A1), payload });
    }
    expect(messagesOf(world, "I2")).toHaveLength(1);
  });
});

describe("context confusion (RFC 5533 sections 7.14 and 7.15)", () => {
  test("confusion is found before R2 leaves", () => {
    const { world, a, b } = twoHosts();
    b.open(B1, A1);
    world.run(seconds(1));
    world.hosts.splice(world.hosts.indexOf(b), 1);
    // B has lost its state; the same seed makes the same tag for another ULID pair.
    const reborn = world.host(42, [B1, B2]);
    const order: string[] = [];
    world.loses = ({ control: sent }) => {
      if (sent?.message.type === "R2") order.push(`R2 with ${a.endpoint.contexts().length}`);
      return false;
    };
    reborn.open(B1, A2);
    world.run(seconds(1));
    expect(a.endpoint.counters["context-confusion"]).toBe(1);
    expect(order).toEqual(["R2 with 1"]);
  });
});

describe("what REAP tells (RFC 5534 sections 4 and 5)", () => {
  test("another Send Timeout than the default is told, and taken for the Keepalive Timeout", () => {
    const { world, a, b } = established(seconds(30));
    const [i2] = messagesOf(world, "I2");
    expect(i2?.message.options).toContainEqual({
      name: "KeepaliveTimeout",
      critical: false,
      timeout: 30,
    });
    const [r2] = messagesOf(world, "R2");
    expect(optionNames(r2?.message.options ?? [])).not.toContain("KeepaliveTimeout");
    world.sent.length = 0;
    // B answers A's payload by keepalives: the first after a third of A's 30 seconds.
    const start = world.now;
    a.send(ULIDS);
    world.run(seconds(20));
    const [keepalive] = messagesOf(world, "Keepalive");
    expect((keepalive?.at ?? 0) - start).toBeGreaterThanOrEqual(10_000);
    expect((keepalive?.at ?? 0) - start).toBeLessThan(10_100);
    expect(b.endpoint.contexts()).toHaveLength(1);
  });

  test("Send Timeouts differ from context to context", () => {
    const starts = new Set<number>();
    for (const peer of ["2001:db8:d::1", "2001:db8:d::2", "2001:db8:d::3"]) {
      const world = new World();
      const a = world.host(peer.length + starts.size, [A1, A2]);
      world.host(50, [peer]);
      a.open(A1, peer);
      world.run(seconds(1));
      world.loses = () => true;
      const start = world.now;
      a.send({ local: address(A1), peer: address(peer) });
      world.run(seconds(20));
      const [probe] = messagesOf(world, "Probe");
      const span = (probe?.at ?? 0) - start;
      expect(span).toBeGreaterThanOrEqual(15_000);
      expect(span).toBeLessThanOrEqual(15_750);
      starts.add(span);
    }
    expect(starts.size).toBe(3);
  });

  test("a probe in InboundOk reports what has come in", () => {
    const { world, a } = established();
    world.loses = ({ source }) => source === A1;
    a.send(ULIDS);
    world.run(seconds(40));
    const probes = messagesOf(world, "Probe").map(({ message }) => message);
    const answers = probes.filter(({ state }) => state === "inboundok");
    expect(answers.length).toBeGreaterThan(0);
    for (const { receivedProbes } of answers) expect(receivedProbes).not.toEqual([]);
    const sent = new Set(probes.flatMap(({ sentProbes }) => sentProbes.map(({ nonce }) => nonce)));
    for (const { receivedProbes } of answers) {
      for (const { nonce } of receivedProbes) expect(sent).toContain(nonce);
    }
  });

  test("probes have nonces that don't repeat", () => {
    const { world, a } = established();
    world.loses = () => true;
    a.send(ULIDS);
    world.run(minutes(10));
    const nonces = messagesOf(world, "Probe").map(({ message }) => message.sentProbes[0]?.nonce);
    expect(nonces.length).toBeGreaterThan(10);
    expect(new Set(nonces).size).toBe(nonces.length);
  });
});
