import { describe, expect, test } from "vitest";
import { milliseconds, minutes, seconds } from "../../src/core/time.ts";
import type { Address } from "../../src/wire/address.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, I1, R1bis } from "../../src/wire/message.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { address, type Host, type Sent, World } from "./support/world.ts";

/* Exchanges that somebody bends to send us, or our answers, where nobody has asked for them. */

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const VICTIM = address("2001:db8:dead::1");
const STRANGER = address("2001:db8:bad::1");
const ULIDS = { local: address(A1), peer: address(B1) };

interface Lab {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
}

/** A talks to B, and B to A, who has the further locators; nobody answers at the victim's. */
function established(...further: string[]): Lab {
  const world = new World();
  const a = world.host(91, [A1, A2]);
  const b = world.host(92, [B1, ...further]);
  a.open(A1, B1);
  world.run(seconds(1));
  world.loses = ({ destination }) => destination === VICTIM;
  world.sent.length = 0;
  return { world, a, b };
}

function contextOf(host: Host) {
  const [context] = host.endpoint.contexts();
  if (context === undefined) throw new Error("no context");
  return context;
}

function say(to: Host, source: Address, destination: string, message: ControlMessage): void {
  const control = { bytes: encodeControl(message), message };
  to.receive({ source, destination: address(destination), control });
}

function sentTo({ world }: Lab, ...destinations: Address[]): Sent[] {
  return world.sent.filter(({ destination }) => destinations.includes(destination));
}

function types(packets: readonly Sent[]): (string | undefined)[] {
  return packets.map(({ control }) => control?.message.type);
}

/** B says that it has lost the context, as from `source`. */
function forgeR1bis({ a, b }: Lab, source: Address, tag = contextOf(b).tag): void {
  const message: R1bis = {
    type: "R1bis",
    packetContextTag: tag,
    responderNonce: 7,
    options: [{ name: "ResponderValidator", critical: false, validator: new Uint8Array(32) }],
  };
  say(a, source, A1, message);
}

function i1(tag: number, ulids?: { sender: string; receiver: string }): I1 {
  const options = ulids && [
    {
      name: "UlidPair" as const,
      critical: false,
      senderUlid: address(ulids.sender),
      receiverUlid: address(ulids.receiver),
    },
  ];
  return {
    ...{ type: "I1", initiatorContextTag: contextTag(tag), initiatorNonce: 3 },
    options: options ?? [],
  };
}

describe("an R2 shows where our I1, I2 or I2bis came, and not where it came from itself", () => {
  /** B claims the victim's address, has A ask for the context, and answers in the victim's name. */
  function redirect(lab: Lab, asked: "I1" | "I2bis"): void {
    const { world, a, b } = lab;
    world.loses = ({ source, destination }) => b.owns(source) || b.owns(destination);
    if (asked === "I2bis") a.command((endpoint, now) => endpoint.explore(now, contextOf(a).tag));
    forgeR1bis(lab, address(B1));
    world.run(seconds(asked === "I1" ? 60 : 1));
    const question = sentTo(lab, address(B1))
      .map(({ control }) => control?.message)
      .findLast((message) => message?.type === asked);
    if (question?.type !== "I1" && question?.type !== "I2bis") throw new Error(`no ${asked}`);
    say(a, VICTIM, A1, {
      type: "R2",
      responderContextTag: contextOf(b).tag,
      initiatorNonce: question.initiatorNonce,
      options: [],
    });
    world.run(seconds(1));
  }

  test.each(["I1", "I2bis"] as const)("an R2 to %s from a victim moves nothing", (asked) => {
    const lab = established(VICTIM);
    redirect(lab, asked);
    expect(contextOf(lab.a)).toMatchObject({ state: "ESTABLISHED", locators: { peer: B1 } });
    lab.a.send(ULIDS);
    expect(lab.world.sent.at(-1)?.destination).toBe(B1);
  });

  test("the nonce of an exchange that went to the victim is known to nobody else", () => {
    const lab = established(VICTIM);
    const initiatorNonce = nonceSeenByPeer(lab);
    forgeR1bis(lab, VICTIM);
    say(lab.a, VICTIM, A1, {
      type: "R2",
      responderContextTag: contextOf(lab.b).tag,
      initiatorNonce,
      options: [],
    });
    expect(contextOf(lab.a).state).toBe("I2BIS-SENT");
    expect(lab.a.endpoint.counters["drop-unknown-context"]).toBe(1);
  });

  /** B has A make the context anew with B, where it is. */
  function nonceSeenByPeer(lab: Lab): number {
    forgeR1bis(lab, address(B1));
    const message = sentTo(lab, address(B1)).at(-1)?.control?.message;
    if (message?.type !== "I2bis") throw new Error("no I2bis");
    const { initiatorNonce } = message;
    const responderContextTag = contextOf(lab.b).tag;
    const locators = [B1, VICTIM].map((each) => ({ address: address(each), method: 201 }));
    const list = { name: "LocatorList" as const, critical: false, generation: 1, locators };
    say(lab.a, address(B1), A1, {
      ...{ type: "R2", responderContextTag, initiatorNonce, options: [list] },
    });
    expect(contextOf(lab.a).state).toBe("ESTABLISHED");
    return initiatorNonce;
  }
});

describe("an I1 is answered with R2, and so with our tag, only where the peer is", () => {
  /** A waits for B's answer to its I1. */
  function waiting(): Lab {
    const world = new World();
    const a = world.host(91, [A1, A2]);
    const b = world.host(92, [B1, B2]);
    world.loses = ({ destination }) => b.owns(destination);
    a.open(A1, B1);
    return { world, a, b };
  }

  test("a stranger who names our ULIDs while we wait learns no tag", () => {
    const lab = waiting();
    lab.world.sent.length = 0;
    say(lab.a, STRANGER, A1, i1(5, { sender: B1, receiver: A1 }));
    expect(types(sentTo(lab, STRANGER))).toEqual(["R1"]);
    say(lab.a, address(B1), A1, i1(5));
    expect(types(sentTo(lab, address(B1)))).toEqual(["R2"]);
  });

  test("both ends get there all the same when one begins from another locator", () => {
    const lab = established(B2);
    const { world, a, b } = lab;
    world.loses = ({ source, destination }) => source === B1 || destination === B1;
    a.send(ULIDS);
    world.run(minutes(1));
    expect(contextOf(b).locators.local).toBe(B2);
    a.command((endpoint, now) => endpoint.close(now, contextOf(a).tag));
    a.open(A1, B1);
    const { loses } = world;
    world.loses = (packet) => loses(packet) || packet.control?.message.type === "I2bis";
    b.send({ local: address(B1), peer: address(A1) });
    world.sent.length = 0;
    world.run(seconds(60));
    expect(types(sentTo(lab, address(B2)))).toContain("R1");
    expect(contextOf(a)).toMatchObject({ state: "ESTABLISHED", peerTag: contextOf(b).tag });
    expect(contextOf(b).peerTag).toBe(contextOf(a).tag);
  });

  test("a victim whose address the peer claims gets no R2, but an R1 within the rate for those", () => {
    const lab = established(VICTIM);
    const { tag } = contextOf(lab.b);
    for (let i = 0; i < 3_000; i++) {
      say(lab.a, VICTIM, A1, i1(Number(tag), { sender: B1, receiver: A1 }));
    }
    const answers = sentTo(lab, VICTIM);
    expect(new Set(types(answers))).toEqual(new Set(["R1"]));
    expect(answers.length).toBe(2_000);
  });

  test("repeated I1 have one R2 in half a second", () => {
    const lab = established();
    const { tag } = contextOf(lab.b);
    for (let i = 0; i < 100; i++) {
      say(lab.a, address(B1), A1, i1(Number(tag)));
      lab.world.run(milliseconds(10));
    }
    const repeated = sentTo(lab, address(B1)).filter(
      ({ control }) => control?.message.type === "R2",
    );
    expect(repeated).toHaveLength(2);
    expect(lab.a.endpoint.counters["drop-rate-limit"]).toBe(98);
  });
});

describe("a forged R1bis", () => {
  test("in a victim's name sends it no more I2bis than unproven locators get", () => {
    const world = new World();
    const a = world.host(91, [A1, A2]);
    const ulids = Array.from({ length: 200 }, (_, i) => `2001:db8:b1::${(i + 1).toString(16)}`);
    const b = world.host(92, [B1, VICTIM, ...ulids.slice(1)]);
    for (const ulid of ulids) a.open(A1, ulid);
    world.run(seconds(1));
    world.loses = ({ destination }) => destination === VICTIM;
    const contexts = a.endpoint.contexts();
    expect(contexts.map(({ state }) => state)).toEqual(ulids.map(() => "ESTABLISHED"));
    for (const { tag } of b.endpoint.contexts()) forgeR1bis({ world, a, b }, VICTIM, tag);
    // Whoever sends payload with our tag has the I2bis repeated.
    for (let i = 0; i < 20; i++) {
      for (const { tag } of contexts) {
        a.command((endpoint, now) => endpoint.handleInboundPayload(now, tag, true));
      }
      world.run(seconds(0.5));
    }
    const sent = sentTo({ world, a, b }, VICTIM);
    expect(sent.length).toBeGreaterThan(500);
    expect(sent.length).toBeLessThanOrEqual(500 + 50 * 10);
    expect(a.endpoint.counters["drop-probe-allowance"]).toBeGreaterThan(1_000);
  });

  test("on a dead pair does not keep us from asking where payload goes", () => {
    const lab = established(B2);
    const { world, a, b } = lab;
    const dead = ({ source, destination }: { source: Address; destination: Address }) =>
      [source, destination].some((each) => each === B2 || each === A2);
    world.loses = dead;
    forgeR1bis(lab, address(B2));
    world.run(minutes(1));
    expect(contextOf(a)).toMatchObject({ state: "ESTABLISHED", locators: ULIDS });
    expect(contextOf(a).peerTag).toBe(contextOf(b).tag);
  });

  test("does not keep us for long from another pair when the one in use dies meanwhile", () => {
    const lab = established(B2);
    const { world, a, b } = lab;
    forgeR1bis(lab, address(B1));
    world.loses = ({ source, destination }) =>
      [source, destination].some((each) => each === B1 || each === A1);
    world.run(minutes(1));
    expect(contextOf(a)).toMatchObject({
      state: "ESTABLISHED",
      locators: { local: A2, peer: B2 },
      peerTag: contextOf(b).tag,
    });
  });
});
