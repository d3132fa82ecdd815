import { beforeAll, describe, expect, test } from "vitest";
import { pairKey } from "../../../src/core/output.ts";
import type { Host } from "../../../src/sim/host.ts";
import { PAYLOAD_BYTES, type Packet } from "../../../src/sim/packet.ts";
import type { Address } from "../../../src/wire/address.ts";
import { IPV6_HEADER_LENGTH } from "../../../src/wire/ipv6.ts";
import type { ControlMessage } from "../../../src/wire/message.ts";
import { cgaLocator } from "../../core/support/identities.ts";
import { newKey, type TestKey } from "../../identity/support/crypto.ts";
import { Arena, address } from "../support/arena.ts";
import { Attacker } from "../support/attacker.ts";
import { expectFailover, expectIntact } from "../support/session.ts";

/*
 * RFC 4218 section 4.3, RFC 5534 section 8: a peer of B's that proves a victim's address by its own
 * CGA key, as CGA allows, and would have B send there.
 */

const VICTIM = address("2001:db8:dead::1");

let key: TestKey;

beforeAll(() => {
  key = newKey(1024);
});

interface Plot {
  readonly arena: Arena;
  readonly peer: Host;
  /** Sends in the peer's name, and in the victim's. */
  readonly forger: Attacker;
  readonly victim: Attacker;
  /** The peer's and B's addresses, as the peer has them. */
  readonly peerUlid: Address;
  readonly ulidOfB: Address;
}

/** A and B talk; so do the peer and B, who believes that the peer has the victim's address. */
function plot(): Plot {
  const arena = new Arena();
  const own = cgaLocator(7, "2001:db8:c1::/64", key);
  const claimed = { address: VICTIM, preference: 0, operational: true };
  const peer = arena.addHost("peer", [own, claimed], 4);
  const forger = new Attacker(arena, address("2001:db8:bad::1"));
  const victim = new Attacker(arena, VICTIM);
  arena.establish();
  const plotted = { arena, peer, forger, victim, peerUlid: own.address };
  const made = { ...plotted, ulidOfB: arena.ulids.peer };
  chat(made, 1);
  expect(contextAtB(made).peerLocators.map((known) => known.address)).toEqual([
    own.address,
    VICTIM,
  ]);
  return made;
}

/** The peer has B answer for so many seconds: ten datagrams a second. */
function chat({ arena, peer, peerUlid, ulidOfB }: Plot, span: number): void {
  const toB = { local: peerUlid, peer: ulidOfB };
  const toPeer = { local: ulidOfB, peer: peerUlid };
  for (let i = 0; i < span * 10; i++) {
    for (const [host, ulids] of [[peer, toB] as const, [arena.b, toPeer] as const]) {
      arena.converse(host, ulids, pairKey(ulids));
    }
    arena.run(0.1);
  }
}

function contextAtB({ arena, peerUlid }: Plot) {
  const found = arena.b.endpoint.contexts().find(({ ulids }) => ulids.peer === peerUlid);
  if (found === undefined) throw new Error("B has no context with the peer");
  return found;
}

function contextAtPeer({ peer }: Plot) {
  const [context] = peer.endpoint.contexts();
  if (context === undefined) throw new Error("the peer has no context");
  return context;
}

function octets(packets: readonly Packet[]): number {
  const payload = (packet: Packet) =>
    packet.type === "control" ? packet.bytes.length : PAYLOAD_BYTES;
  return packets.reduce((sum, packet) => sum + IPV6_HEADER_LENGTH + payload(packet), 0);
}

describe("a victim whose address a peer proves for its own", () => {
  test("gets no payload when the peer falls silent, and few probes", () => {
    const made = plot();
    const { arena, victim, peerUlid } = made;
    arena.cut(peerUlid);
    chat(made, 60);
    expect(contextAtB(made).reapState).not.toBe("Operational");
    expect(victim.received.length).toBeGreaterThan(2);
    expect(victim.received.length).toBeLessThan(20);
    expect(victim.receivedPayload).toEqual([]);
    expectIntact(arena);
    expectFailover(arena, victim);
  });

  test("gets no payload for an R2 in its name", () => {
    const made = plot();
    const { arena, forger, victim, peerUlid, ulidOfB } = made;
    const { tag } = contextAtPeer(made);
    arena.cut(peerUlid);
    chat(made, 12);
    const count = arena.wire.length;
    const responderContextTag = tag;
    forger.say(peerUlid, ulidOfB, r1bis(tag));
    arena.run(0.1);
    const asked = arena.sentTo(peerUlid, count).find(isI2bis);
    if (asked === undefined) throw new Error("B has not asked the peer");
    const { initiatorNonce } = asked.message;
    forger.say(VICTIM, ulidOfB, { type: "R2", responderContextTag, initiatorNonce, options: [] });
    chat(made, 10);
    expect(contextAtB(made).state).toBe("ESTABLISHED");
    expect(victim.receivedPayload).toEqual([]);
    expectIntact(arena);
    expectFailover(arena, victim);
  });

  test("gets no more octets than came for it, whatever a forger sends in its name", () => {
    const made = plot();
    const { arena, forger, victim, ulidOfB, peerUlid } = made;
    const { tag } = contextAtB(made);
    const { tag: tagOfPeer } = contextAtPeer(made);
    const sentProbes = [{ source: VICTIM, destination: ulidOfB, nonce: 1, data: 0 }];
    const ulidPair = { senderUlid: peerUlid, receiverUlid: ulidOfB };
    const said: ControlMessage[] = [
      {
        ...{ type: "Probe", receiverContextTag: tag, state: "exploring", sentProbes },
        ...{ receivedProbes: [], options: [] },
      },
      { type: "Keepalive", receiverContextTag: tag, options: [] },
      { type: "UpdateRequest", receiverContextTag: tag, requestNonce: 3, options: [] },
      {
        ...{ type: "I1", initiatorContextTag: tagOfPeer, initiatorNonce: 4 },
        options: [{ name: "UlidPair", critical: false, ...ulidPair }],
      },
    ];
    for (let i = 0; i < 500; i++) {
      for (const message of said) forger.say(VICTIM, ulidOfB, message);
      arena.run(0.02);
    }
    arena.run(60);
    expect(victim.received.length).toBeGreaterThan(500);
    expect(octets(victim.received)).toBeLessThanOrEqual(forger.octetsSaid);
    expect(victim.receivedPayload).toEqual([]);
    expectIntact(arena);
    expectFailover(arena, victim);
  });

  test("does get payload where somebody on its path tells the peer what B's probes say", () => {
    const made = plot();
    const { arena, forger, victim, peerUlid, ulidOfB } = made;
    const { tag } = contextAtB(made);
    victim.answer = (packet) => {
      if (packet.type !== "control" || packet.message.type !== "Probe") return;
      const sentProbes = [{ source: VICTIM, destination: ulidOfB, nonce: 1, data: 0 }];
      forger.say(VICTIM, ulidOfB, {
        ...{ type: "Probe", receiverContextTag: tag, state: "inboundok", options: [] },
        ...{ sentProbes, receivedProbes: packet.message.sentProbes },
      });
    };
    arena.cut(peerUlid);
    chat(made, 20);
    expect(contextAtB(made).locators.peer).toBe(VICTIM);
    expect(victim.receivedPayload.length).toBeGreaterThan(50);
    expectIntact(arena);
  });
});

function r1bis(packetContextTag: ReturnType<typeof contextAtPeer>["tag"]): ControlMessage {
  const validator = new Uint8Array(32).fill(6);
  return {
    ...{ type: "R1bis", packetContextTag, responderNonce: 6 },
    options: [{ name: "ResponderValidator", critical: false, validator }],
  };
}

type I2bisPacket = Extract<Packet, { readonly type: "control" }> & {
  readonly message: Extract<ControlMessage, { readonly type: "I2bis" }>;
};

function isI2bis(packet: Packet): packet is I2bisPacket {
  return packet.type === "control" && packet.message.type === "I2bis";
}
