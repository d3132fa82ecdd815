import { describe, expect, test } from "vitest";
import type { SecurityMode } from "../../../src/core/config.ts";
import { LOCATOR_BROKEN } from "../../../src/core/rfc5533.ts";
import { encodeParameters } from "../../../src/identity/parameters.ts";
import type { Packet } from "../../../src/sim/packet.ts";
import type { Address } from "../../../src/wire/address.ts";
import type { Option } from "../../../src/wire/message.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import { hbaLocators } from "../../core/support/identities.ts";
import { Arena } from "../support/arena.ts";
import { Attacker } from "../support/attacker.ts";
import { ELSEWHERE, expectFailover, expectIntact, withFormerInsider } from "../support/session.ts";

/* RFC 4218 sections 4.1.1 (once packets are flowing), 4.1.3 (premeditated) and 4.2 (black hole). */

const HBA = 1;
const CGA = 2;
const WITHOUT_PROOF = 201;

function locatorList(method: number, ...locators: Address[]): Option {
  const listed = locators.map((each) => ({ address: each, method }));
  return { name: "LocatorList", critical: false, generation: 77, locators: listed };
}

/** "Hi, I'm A; my first address is broken, send to this one." Nobody but a former insider can. */
function claimNewLocator(arena: Arena, attacker: Attacker, target: Address, method: number): void {
  const { local: ulidOfA, peer: ulidOfB } = arena.ulids;
  attacker.say(ulidOfA, ulidOfB, {
    type: "UpdateRequest",
    receiverContextTag: attacker.tags.b,
    requestNonce: 9,
    options: [
      locatorList(method, ulidOfA, target),
      {
        ...{ name: "LocatorPreferences", critical: false, generation: 77, elementLength: 2 },
        elements: [
          { flags: LOCATOR_BROKEN, priority: 9 },
          { flags: 0, priority: 0 },
        ],
      },
    ],
  });
}

/** Answers B's probes as A would, from the attacker's own address. */
function answerProbes(attacker: Attacker): void {
  const { b } = attacker.tags;
  attacker.answer = (packet: Packet) => {
    if (packet.type !== "control" || packet.message.type !== "Probe") return;
    const { source, destination, message } = packet;
    attacker.say(destination, source, {
      ...{ type: "Probe", receiverContextTag: b, state: "inboundok", options: [] },
      sentProbes: [{ source: destination, destination: source, nonce: 1, data: 0 }],
      receivedProbes: message.sentProbes,
    });
  };
}

function insider(security: SecurityMode): { arena: Arena; attacker: Attacker } {
  const arena = new Arena(security);
  const attacker = withFormerInsider(arena);
  answerProbes(attacker);
  return { arena, attacker };
}

describe("an Update that claims the attacker's address for A's", () => {
  test.each([
    ["HBA", HBA],
    ["CGA", CGA],
    ["no proof", WITHOUT_PROOF],
  ])("with %s moves nothing, and the session fails over to its own locators", (_, method) => {
    const { arena, attacker } = insider("verified");
    claimNewLocator(arena, attacker, ELSEWHERE, method);
    arena.run(30);
    expect(arena.b.endpoint.counters["drop-locator-list"]).toBe(1);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
    expect(arena.sentTo(ELSEWHERE)).toEqual([]);
  });

  test("with the attacker's own CGA parameters moves nothing", () => {
    const { arena, attacker } = insider("verified");
    const [own] = hbaLocators(66, ["2001:db8:bad::/64", "2001:db8:bad:2::/64"]);
    if (own?.prover === undefined) throw new Error("no prover");
    const parameters = encodeParameters(own.prover.parameters);
    attacker.say(arena.ulids.local, arena.ulids.peer, {
      ...{ type: "UpdateRequest", receiverContextTag: attacker.tags.b, requestNonce: 9 },
      options: [
        locatorList(HBA, own.address),
        { name: "CgaParameterDataStructure", critical: false, parameters },
      ],
    });
    arena.run(30);
    expect(arena.b.endpoint.counters["drop-cga-parameters"]).toBe(1);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
    expect(arena.sentTo(own.address)).toEqual([]);
  });

  test("does take B's payload where nobody asks for proof", () => {
    const { arena, attacker } = insider("unverified");
    claimNewLocator(arena, attacker, ELSEWHERE, WITHOUT_PROOF);
    arena.run(5);
    expect(arena.context(arena.b).locators.peer).toBe(ELSEWHERE);
    expect(attacker.receivedPayload.length).toBeGreaterThan(10);
  });

  test("into a black hole moves nothing", () => {
    const { arena, attacker } = insider("verified");
    // An address in A's own network, which nobody has.
    const hole = arena.ulids.local.replace(/[^:]+$/, "dead") as Address;
    claimNewLocator(arena, attacker, hole, HBA);
    arena.run(30);
    expect(arena.b.endpoint.counters["drop-locator-list"]).toBe(1);
    expect(arena.sentTo(hole)).toEqual([]);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  });
});

describe("an attacker who calls B in A's name before A does", () => {
  /** The whole exchange, from the attacker's address: R1 does come there. */
  function establishAsA(security: SecurityMode, method: number | undefined) {
    const arena = new Arena(security);
    const attacker = new Attacker(arena, ELSEWHERE);
    const { local: senderUlid, peer: receiverUlid } = arena.ulids;
    const ulids = { name: "UlidPair" as const, critical: false, senderUlid, receiverUlid };
    const initiator = { initiatorContextTag: contextTag(666), initiatorNonce: 6 };
    attacker.answer = (packet) => {
      if (packet.type !== "control" || packet.message.type !== "R1") return;
      const { responderNonce, options } = packet.message;
      const list = method === undefined ? [] : [locatorList(method, senderUlid, ELSEWHERE)];
      const said = [...options, ulids, ...list];
      attacker.say(ELSEWHERE, receiverUlid, {
        ...{ type: "I2", ...initiator, responderNonce, options: said },
      });
    };
    attacker.say(ELSEWHERE, receiverUlid, { type: "I1", ...initiator, options: [ulids] });
    arena.run(1);
    return { arena, attacker };
  }

  test.each([
    ["a list that names its own address", HBA, "drop-locator-list"],
    ["no list", undefined, "drop-wrong-locator"],
  ] as const)("with %s gets no context, and A's session is A's", (_, method, counter) => {
    const { arena, attacker } = establishAsA("verified", method);
    expect(attacker.received.length).toBeGreaterThan(0);
    expect(arena.b.endpoint.counters[counter]).toBe(1);
    expect(arena.b.endpoint.contexts()).toEqual([]);
    arena.establish();
    arena.run(10);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  });

  test("does get A's payload where nobody asks for proof", () => {
    const { arena, attacker } = establishAsA("unverified", WITHOUT_PROOF);
    expect(arena.context(arena.b).locators.peer).toBe(ELSEWHERE);
    arena.establish();
    expect(attacker.receivedPayload.length).toBeGreaterThan(0);
  });
});
