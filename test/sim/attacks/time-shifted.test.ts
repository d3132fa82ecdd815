import { beforeAll, describe, expect, test } from "vitest";
import { LOCATOR_BROKEN } from "../../../src/core/rfc5533.ts";
import type { Address } from "../../../src/wire/address.ts";
import type { Option, R1bis, UpdateRequest } from "../../../src/wire/message.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import { newKey, type TestKey } from "../../identity/support/crypto.ts";
import { Arena, address } from "../support/arena.ts";
import { Attacker } from "../support/attacker.ts";
import {
  believed,
  ELSEWHERE,
  expectFailover,
  expectIntact,
  withFormerInsider,
} from "../support/session.ts";

/*
 * RFC 4218 sections 4.1.2 and 4.1.4: the attacker was on the path while the session began, has seen
 * all of the exchange, and sends from elsewhere now.
 */

/** Longer than any validator is good for: two periods of VALIDATOR_MIN_LIFETIME. */
const VALIDATOR_GONE = 61;

function begun(key?: TestKey): { arena: Arena; attacker: Attacker } {
  const arena = new Arena("verified", key);
  return { arena, attacker: withFormerInsider(arena) };
}

function preferences(generation: number, ...flags: readonly number[]): Option {
  return {
    ...{ name: "LocatorPreferences", critical: false, generation, elementLength: 2 },
    elements: flags.map((each) => ({ flags: each, priority: 0 })),
  };
}

describe("a replayed I2", () => {
  test("that is still fresh says nothing new", () => {
    const { arena, attacker } = begun();
    const before = [believed(arena), arena.context(arena.b).peerTag];
    for (let i = 0; i < 100; i++) attacker.replay(attacker.seen("I2"));
    arena.run(5);
    expect([believed(arena), arena.context(arena.b).peerTag]).toEqual(before);
    expectIntact(arena);
    expectFailover(arena);
  });

  test("is refused by its validator once a minute has passed", () => {
    const { arena, attacker } = begun();
    arena.run(VALIDATOR_GONE);
    for (let i = 0; i < 100; i++) attacker.replay(attacker.seen("I2"));
    arena.run(5);
    expect(arena.b.endpoint.counters["drop-validator"]).toBe(100);
    expectIntact(arena);
    expectFailover(arena);
  });

  test("is refused by a host that has started anew, whose secret is another", () => {
    const { arena, attacker } = begun();
    arena.b.halt();
    arena.b.resume();
    attacker.replay(attacker.seen("I2"));
    arena.run(0.015);
    expect(arena.b.endpoint.counters["drop-validator"]).toBe(1);
    expect(arena.b.endpoint.contexts()).toEqual([]);
  });
});

describe("a replayed Update", () => {
  let key: TestKey;

  beforeAll(() => {
    key = newKey(1024);
  });

  /** The attacker has seen A call its second address broken; A takes it back, unheard by it. */
  function withRecordedUpdate() {
    const { arena, attacker } = begun();
    attacker.enterPath();
    arena.a.changeUplink(1, 1);
    arena.run(1);
    attacker.leavePath();
    arena.a.changeUplink(1, -1);
    arena.run(1);
    return { arena, attacker, update: attacker.seen("UpdateRequest") };
  }

  function secondIsBroken(arena: Arena): boolean | undefined {
    return arena.context(arena.b).peerLocators[1]?.broken;
  }

  test("is recognized by its nonce, and only acknowledged", () => {
    const { arena, attacker, update } = withRecordedUpdate();
    expect(update.message.options.map(({ name }) => name)).toContain("LocatorPreferences");
    attacker.replay(update);
    arena.run(1);
    expect(secondIsBroken(arena)).toBe(false);
    expectIntact(arena);
    expectFailover(arena);
  });

  test("that many later ones have displaced is believed, and the session fails over all the same", () => {
    const { arena, attacker, update } = withRecordedUpdate();
    for (let i = 0; i < 5; i++) {
      arena.a.changeUplink(1, 1);
      arena.run(1);
      arena.a.changeUplink(1, -1);
      arena.run(1);
    }
    attacker.replay(update);
    arena.run(1);
    expect(secondIsBroken(arena)).toBe(true);
    expectIntact(arena);
    expectFailover(arena);
  });

  test("with an address that A had once sends its new owner a few probes, and no payload", () => {
    const { arena, attacker } = begun(key);
    const own = arena.a.addresses;
    const former = address("2001:db8:a9::9");
    attacker.enterPath();
    arena.a.changeAddresses([...own, former]);
    arena.run(1);
    attacker.leavePath();
    const update = attacker.seen("UpdateRequest");
    arena.a.changeAddresses(own);
    arena.run(1);
    expect(believed(arena)).toEqual([arena.b.addresses, own]);
    const owner = new Attacker(arena, former);
    const other = address("2001:db8:a9::10");
    // Requests enough to displace the nonce: A gets and loses another address.
    for (let i = 0; i < 5; i++) {
      arena.a.changeAddresses([...own, other]);
      arena.run(1);
      arena.a.changeAddresses(own);
      arena.run(1);
    }
    attacker.replay(update);
    arena.run(1);
    expect(believed(arena)).toEqual([arena.b.addresses, [...own, former]]);
    expectIntact(arena, owner);
    expectFailover(arena, owner, attacker);
    expect(owner.received.length).toBeLessThan(5);
  });
});

describe("an Update that the attacker makes up with the tag", () => {
  function update(arena: Arena, attacker: Attacker, ...options: Option[]): void {
    const message: UpdateRequest = {
      ...{ type: "UpdateRequest", receiverContextTag: attacker.tags.b, requestNonce: 5, options },
    };
    attacker.say(arena.ulids.local, arena.ulids.peer, message);
    arena.run(1);
  }

  test("and that leaves A but one locator is put right by A's next packet from another one", () => {
    const { arena, attacker } = begun();
    const parameters = attacker
      .seen("I2")
      .message.options.find(({ name }) => name === "CgaParameterDataStructure");
    if (parameters === undefined) throw new Error("A has told no parameters");
    const locators = [{ address: arena.ulids.local, method: 1 }];
    const list: Option = { name: "LocatorList", critical: false, generation: 5, locators };
    update(arena, attacker, list, parameters);
    expect(believed(arena)).toEqual([arena.b.addresses, [arena.ulids.local]]);
    expectIntact(arena);
    expectFailover(arena);
    expect(believed(arena)).toEqual([arena.b.addresses, arena.a.addresses]);
  });

  test("and that calls all of A's locators broken makes B probe, and stay", () => {
    const { arena, attacker } = begun();
    const list = attacker.seen("I2").message.options.find(({ name }) => name === "LocatorList");
    if (list?.name !== "LocatorList") throw new Error("A has told no list");
    update(arena, attacker, preferences(list.generation, LOCATOR_BROKEN, LOCATOR_BROKEN));
    expect(arena.context(arena.b).peerLocators.map(({ broken }) => broken)).toEqual([true, true]);
    arena.run(60);
    expect(arena.context(arena.b).probesSent).toBeGreaterThan(0);
    expectIntact(arena);
    expectFailover(arena);
  });
});

describe("an R1bis that the attacker makes up with the tag", () => {
  function r1bis(arena: Arena, attacker: Attacker, source: Address, destination: Address): void {
    const validator = new Uint8Array(32).fill(6);
    const message: R1bis = {
      ...{ type: "R1bis", packetContextTag: attacker.tags.b, responderNonce: 6 },
      options: [{ name: "ResponderValidator", critical: false, validator }],
    };
    attacker.say(source, destination, message);
    arena.run(0.1);
    expect(arena.context(arena.a).state).toBe("I2BIS-SENT");
  }

  test("makes A ask B, who has lost nothing; no datagram is lost", () => {
    const { arena, attacker } = begun();
    const { local, peer } = arena.ulids;
    const before = [arena.context(arena.a).peerTag, arena.context(arena.b).peerTag];
    r1bis(arena, attacker, peer, local);
    arena.run(60);
    expect(arena.b.endpoint.counters["drop-validator"]).toBeGreaterThan(0);
    expect([arena.context(arena.a).peerTag, arena.context(arena.b).peerTag]).toEqual(before);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  });

  test("on a pair that has died loses a session on other locators no more than a round trip", () => {
    const { arena, attacker } = begun();
    const { local, peer } = arena.ulids;
    expectFailover(arena);
    const before = arena.lost().length;
    r1bis(arena, attacker, peer, local);
    arena.run(60);
    expect(arena.context(arena.a).state).toBe("ESTABLISHED");
    expect(arena.lost().length - before).toBeLessThanOrEqual(2);
    expect(arena.damage()).toEqual([]);
    arena.heal();
    expectFailover(arena, attacker);
  });
});

describe("a context that the attacker has made at B in A's name while on the path", () => {
  /** The attacker answers R1, which it sees on its way to A, with an I2 as from A. */
  function replaced(delay: number): { arena: Arena; attacker: Attacker } {
    const { arena, attacker } = begun();
    const { local, peer } = arena.ulids;
    const initiator = { initiatorContextTag: contextTag(666), initiatorNonce: 6 };
    attacker.enterPath();
    attacker.say(local, peer, { type: "I1", ...initiator, options: [] });
    arena.run(1);
    attacker.leavePath();
    const { responderNonce, options } = attacker.seen("R1").message;
    arena.run(delay);
    attacker.say(local, peer, { type: "I2", ...initiator, responderNonce, options });
    arena.run(1);
    return { arena, attacker };
  }

  test("takes the place of A's for no longer than until packets need it; nothing is lost", () => {
    const { arena, attacker } = replaced(0);
    expect(arena.context(arena.b).peerTag).toBe(666);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
    expect(arena.context(arena.b).peerTag).toBe(arena.context(arena.a).tag);
  });

  test("is refused once a minute has passed", () => {
    const { arena, attacker } = replaced(VALIDATOR_GONE);
    expect(arena.b.endpoint.counters["drop-validator"]).toBe(1);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  });
});

describe("what the tags are good for as long as the context lives", () => {
  test("keepalives hide that a path has died, while they go on", () => {
    const { arena, attacker } = begun();
    const { local, peer } = arena.ulids;
    const { a, b } = attacker.tags;
    const died = arena.now;
    arena.cut(local, peer);
    for (let i = 0; i < 60; i++) {
      attacker.say(local, peer, { type: "Keepalive", receiverContextTag: b, options: [] });
      attacker.say(peer, local, { type: "Keepalive", receiverContextTag: a, options: [] });
      arena.run(1);
    }
    expect(arena.context(arena.a).locators).toEqual(arena.ulids);
    expect(arena.lost({ from: died, to: arena.now }).length).toBeGreaterThan(1_000);
    arena.run(20);
    expect(arena.context(arena.a).locators.local).not.toBe(local);
    const recovered = arena.now;
    arena.run(10);
    expect(arena.lost({ from: recovered, to: arena.now })).toEqual([]);
    expect(arena.damage()).toEqual([]);
  });

  test("payload of the attacker's reaches the socket, as packets with a forged source do without a shim", () => {
    const { arena, attacker } = begun();
    attacker.sendPayload(ELSEWHERE, arena.ulids.peer, attacker.tags.b, arena.ulids);
    arena.run(1);
    expect(arena.damage()).toEqual(["b got datagram 1 of flow 666, which nobody sent"]);
    expect(arena.lost()).toEqual([]);
  });
});
