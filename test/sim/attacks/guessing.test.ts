import { describe, expect, test } from "vitest";
import type { CounterName } from "../../../src/core/counters.ts";
import { SimRandom } from "../../../src/sim/random.ts";
import type { Address } from "../../../src/wire/address.ts";
import type { ControlMessage, ProbeReport } from "../../../src/wire/message.ts";
import { type ContextTag, contextTag } from "../../../src/wire/tag.ts";
import { Arena } from "../support/arena.ts";
import { Attacker } from "../support/attacker.ts";
import {
  believed,
  ELSEWHERE,
  expectFailover,
  expectIntact,
  withFormerInsider,
} from "../support/session.ts";

/*
 * RFC 4218 section 4.4, RFC 5533 section 16.2, RFC 5534 section 8: an attacker off the path, who
 * knows addresses and forges sources, and guesses what it doesn't know.
 */

const GUESSES = 3_000;
const random = new SimRandom(4, "guesses");

function guessTag(): ContextTag {
  return contextTag(random.index(2 ** 15) * 2 ** 32 + random.index(2 ** 32));
}

function guessNonce(): number {
  return random.index(2 ** 32);
}

function begun(): { arena: Arena; attacker: Attacker } {
  const arena = new Arena();
  const attacker = new Attacker(arena, ELSEWHERE);
  arena.establish();
  return { arena, attacker };
}

/** What there is to move. */
function state(arena: Arena): unknown {
  const { a, b } = arena;
  return [
    believed(arena),
    ...[a, b].map((host) => {
      const { state: at, reapState, tag, peerTag, locators } = arena.context(host);
      return { at, reapState, tag, peerTag, locators };
    }),
  ];
}

function report(source: Address, destination: Address): ProbeReport {
  return { source, destination, nonce: guessNonce(), data: 0 };
}

const validator = new Uint8Array(32);
const proof = { name: "ResponderValidator" as const, critical: false, validator };

type Kind = readonly [
  name: string,
  counter: CounterName,
  make: (source: Address, destination: Address) => ControlMessage,
];

const KINDS: readonly Kind[] = [
  [
    "Keepalive",
    "drop-unknown-context",
    () => ({ type: "Keepalive", receiverContextTag: guessTag(), options: [] }),
  ],
  [
    "Probe",
    "drop-unknown-context",
    (source, destination) => ({
      ...{ type: "Probe", receiverContextTag: guessTag(), state: "inboundok", options: [] },
      sentProbes: [report(source, destination)],
      receivedProbes: [report(destination, ELSEWHERE)],
    }),
  ],
  [
    "UpdateRequest",
    "drop-unknown-context",
    () => ({
      ...{ type: "UpdateRequest", receiverContextTag: guessTag(), requestNonce: guessNonce() },
      options: [],
    }),
  ],
  [
    "UpdateAcknowledgement",
    "drop-unknown-context",
    () => ({
      ...{ type: "UpdateAcknowledgement", receiverContextTag: guessTag() },
      ...{ requestNonce: guessNonce(), options: [] },
    }),
  ],
  [
    "R1bis",
    "drop-unknown-context",
    () => ({
      ...{ type: "R1bis", packetContextTag: guessTag(), responderNonce: guessNonce() },
      options: [proof],
    }),
  ],
  [
    "R1",
    "drop-unknown-context",
    () => ({
      ...{ type: "R1", initiatorNonce: guessNonce(), responderNonce: 1, options: [proof] },
    }),
  ],
  [
    "R2",
    "drop-unknown-context",
    () => ({
      ...{ type: "R2", responderContextTag: guessTag(), initiatorNonce: guessNonce() },
      options: [],
    }),
  ],
  [
    "I2",
    "drop-validator",
    () => ({
      ...{ type: "I2", initiatorContextTag: guessTag(), initiatorNonce: 1 },
      ...{ responderNonce: guessNonce(), options: [proof] },
    }),
  ],
  [
    "I2bis",
    "drop-validator",
    () => ({
      ...{ type: "I2bis", initiatorContextTag: guessTag(), initiatorNonce: 1 },
      ...{ responderNonce: guessNonce(), packetContextTag: guessTag(), options: [proof] },
    }),
  ],
];

describe(`${GUESSES} guesses from elsewhere in A's name`, () => {
  test.each(KINDS)("at the tag, nonce or validator of %s are refused", (_, counter, make) => {
    const { arena, attacker } = begun();
    const { local, peer } = arena.ulids;
    const before = state(arena);
    for (let i = 0; i < GUESSES; i += 100) {
      for (let j = 0; j < 100; j++) attacker.say(local, peer, make(local, peer));
      arena.run(0.1);
    }
    expect(arena.b.endpoint.counters[counter]).toBeGreaterThanOrEqual(GUESSES);
    expect(state(arena)).toEqual(before);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  });

  test("at the tag of payload are refused, and nothing comes out at the socket", () => {
    const { arena, attacker } = begun();
    const { local, peer } = arena.ulids;
    const before = state(arena);
    for (let i = 0; i < GUESSES; i += 100) {
      for (let j = 0; j < 100; j++) attacker.sendPayload(local, peer, guessTag(), arena.ulids);
      arena.run(0.1);
    }
    expect(arena.b.endpoint.counters["drop-unknown-tag"]).toBe(GUESSES);
    expect(state(arena)).toEqual(before);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  });
});

describe("an attacker that knows the tags", () => {
  test("but sends from an address that is not A's is told to make the context anew, and that fails", () => {
    const arena = new Arena();
    const attacker = withFormerInsider(arena);
    const before = state(arena);
    attacker.answer = (packet) => {
      if (packet.type !== "control" || packet.message.type !== "R1bis") return;
      const { packetContextTag, responderNonce, options } = packet.message;
      const { local: senderUlid, peer: receiverUlid } = arena.ulids;
      attacker.say(ELSEWHERE, arena.ulids.peer, {
        ...{ type: "I2bis", packetContextTag, responderNonce, initiatorNonce: 1 },
        initiatorContextTag: contextTag(666),
        options: [...options, { name: "UlidPair", critical: false, senderUlid, receiverUlid }],
      });
    };
    attacker.say(ELSEWHERE, arena.ulids.peer, {
      ...{ type: "Keepalive", receiverContextTag: attacker.tags.b, options: [] },
    });
    arena.run(5);
    expect(attacker.received.length).toBe(1);
    expect(arena.b.endpoint.counters["drop-wrong-locator"]).toBe(2);
    expect(state(arena)).toEqual(before);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  });

  test("but no nonce of a probe can't move a session by reports of probes, to any pair", () => {
    const arena = new Arena();
    const attacker = withFormerInsider(arena);
    const { local, peer } = arena.ulids;
    const [, secondOfB] = arena.b.addresses;
    if (secondOfB === undefined) throw new Error("B has one address");
    const pairs = [report(peer, ELSEWHERE), report(secondOfB, ELSEWHERE), report(secondOfB, local)];
    for (const state_ of ["exploring", "inboundok", "operational"] as const) {
      for (let i = 0; i < 100; i++) {
        attacker.say(local, peer, {
          ...{ type: "Probe", receiverContextTag: attacker.tags.b, state: state_, options: [] },
          sentProbes: [{ ...report(ELSEWHERE, peer) }],
          receivedProbes: pairs.map((each) => ({ ...each, nonce: guessNonce() })),
        });
        arena.run(0.1);
      }
    }
    arena.run(10);
    expect(arena.context(arena.b).probesReceived).toBeGreaterThanOrEqual(300);
    expect(arena.context(arena.b).locators).toEqual({ local: peer, peer: local });
    expect(arena.sentTo(ELSEWHERE)).toEqual([]);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  });
});
