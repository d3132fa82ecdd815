import { expect } from "vitest";
import type { Instant } from "../../../src/core/time.ts";
import { type Arena, address } from "./arena.ts";
import { Attacker } from "./attacker.ts";

/** Where the attackers of the tests are. */
export const ELSEWHERE = address("2001:db8:bad::1");

/** Seconds that a failover may take: Send Timeout with its jitter, then the exploration. */
const LONGEST_OUTAGE = 16;

/** A session with an attacker who has been on the path while it began. */
export function withFormerInsider(arena: Arena): Attacker {
  const attacker = new Attacker(arena, ELSEWHERE);
  attacker.enterPath();
  arena.establish();
  attacker.leavePath();
  return attacker;
}

/** The locators that A and B believe of each other. */
export function believed(arena: Arena): unknown {
  return [arena.a, arena.b].map((host) => {
    return arena.context(host).peerLocators.map((known) => known.address);
  });
}

/** Every datagram has come once, to whom it was sent, and the attackers got none. */
export function expectIntact(arena: Arena, ...attackers: readonly Attacker[]): void {
  expect(arena.damage()).toEqual([]);
  expect(arena.lost()).toEqual([]);
  for (const { receivedPayload } of attackers) expect(receivedPayload).toEqual([]);
}

/**
 * The pair in use dies: the session goes on over another one, and loses what was sent meanwhile
 * and nothing else.
 */
export function expectFailover(arena: Arena, ...attackers: readonly Attacker[]): void {
  const { a, b } = arena;
  const before = arena.lost();
  const { local, peer } = arena.context(a).locators;
  const at = arena.now;
  arena.cut(local, peer);
  arena.run(LONGEST_OUTAGE);
  const recovered = arena.now;
  arena.run(10);
  for (const [host, dead] of [[a, local] as const, [b, peer] as const]) {
    const context = arena.context(host);
    expect(context).toMatchObject({ state: "ESTABLISHED", reapState: "Operational" });
    expect(context.locators.local).not.toBe(dead);
  }
  expect(arena.lost({ from: at, to: recovered }).length).toBeGreaterThan(100);
  const outside = [spanUntil(at), { from: recovered, to: arena.now }];
  expect(outside.flatMap((span) => arena.lost(span)).length).toBe(before.length);
  expect(arena.damage()).toEqual([]);
  for (const { receivedPayload } of attackers) expect(receivedPayload).toEqual([]);
}

/** What is on its way as the path dies is lost with it. */
function spanUntil(at: Instant): { from: Instant; to: Instant } {
  return { from: 0 as Instant, to: (at - 20) as Instant };
}
