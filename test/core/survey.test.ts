import { expect, test } from "vitest";
import type { SurveyedPair } from "../../src/core/survey.ts";
import { milliseconds, seconds } from "../../src/core/time.ts";
import { address, type Host, type Packet, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const PAIRS = [
  [A1, B1],
  [A1, B2],
  [A2, B1],
  [A2, B2],
] as const;

function world(): { world: World; a: Host; b: Host } {
  const made = new World();
  return { world: made, a: made.host(71, [A1, A2]), b: made.host(72, [B1, B2]) };
}

function established(): { world: World; a: Host; b: Host } {
  const made = world();
  made.a.open(A1, B1);
  made.world.run(seconds(1));
  return made;
}

function survey(host: Host, rounds = 2): number | undefined {
  let id: number | undefined;
  host.command((endpoint, now) => {
    id = endpoint.survey(now, {
      ulids: { local: address(A1), peer: address(B1) },
      pairs: PAIRS.map(([local, peer]) => ({ local: address(local), peer: address(peer) })),
      rounds,
      interval: milliseconds(200),
    });
  });
  return id;
}

function from(source: string, destination: string): (packet: Packet) => boolean {
  return (packet) => packet.source === source && packet.destination === destination;
}

/** "A > B: answers of I1s, reports of probes" for each pair of the one survey. */
function outcome(host: Host): string[] {
  const [pairs, ...others] = host.surveys;
  expect(others).toEqual([]);
  return (pairs ?? []).map(
    ({ locators, sent, roundTrips, asked, reported }: SurveyedPair) =>
      `${locators.local.slice(9, 11)} > ${locators.peer.slice(9, 11)}: ` +
      `${roundTrips.length} of ${sent}, ${reported} of ${asked}`,
  );
}

test("each pair is tried there and back, and what they took is told", () => {
  const { world, a } = established();
  survey(a);
  world.run(seconds(2));
  expect(outcome(a)).toEqual([
    "a1 > b1: 2 of 2, 2 of 2",
    "a1 > b2: 2 of 2, 2 of 2",
    "a2 > b1: 2 of 2, 2 of 2",
    "a2 > b2: 2 of 2, 2 of 2",
  ]);
  expect(a.surveys[0]?.[0]?.roundTrips).toEqual([20, 20]);
});

test("a way there that is dead lacks both, a way back that is dead the answer to I1 alone", () => {
  const { world, a } = established();
  world.loses = (packet) => from(A1, B2)(packet) || from(B1, A2)(packet);
  survey(a);
  world.run(seconds(2));
  expect(outcome(a)).toEqual([
    "a1 > b1: 2 of 2, 2 of 2",
    "a1 > b2: 0 of 2, 0 of 2",
    "a2 > b1: 0 of 2, 2 of 2",
    "a2 > b2: 2 of 2, 2 of 2",
  ]);
});

test("no session is moved by it, nor is its state", () => {
  const { world, a, b } = established();
  const before = [a, b].map((host) => host.events.length);
  world.loses = from(A1, B2);
  survey(a);
  world.run(seconds(2));
  expect([a, b].map((host) => host.events.length)).toEqual(before);
  for (const host of [a, b]) {
    expect(host.endpoint.contexts()).toMatchObject([{ reapState: "Operational", switches: 0 }]);
  }
});

test("payload that waits for an answer goes on waiting, whatever other pairs say", () => {
  const { world, a } = established();
  world.loses = from(A1, B1);
  const ulids = { local: address(A1), peer: address(B1) };
  const tick = (): void => {
    a.send(ulids);
    world.in(milliseconds(500), tick);
  };
  tick();
  world.run(seconds(10));
  survey(a);
  // The Send Timeout of 15 seconds, with its jitter.
  world.run(seconds(6));
  expect(a.events.map(({ event }) => event)).toContain("exploring");
});

test("without a context strangers are asked, and keep no state", () => {
  const { world: network, a, b } = world();
  survey(a);
  network.run(seconds(2));
  expect(outcome(a)).toEqual([
    "a1 > b1: 2 of 2, 0 of 0",
    "a1 > b2: 2 of 2, 0 of 0",
    "a2 > b1: 2 of 2, 0 of 0",
    "a2 > b2: 2 of 2, 0 of 0",
  ]);
  expect([...a.endpoint.contexts(), ...b.endpoint.contexts()]).toEqual([]);
});

test("it ends a second after the last round where nothing answers, at once where all has", () => {
  const { world, a } = established();
  survey(a, 1);
  world.run(milliseconds(50));
  expect(a.surveys).toHaveLength(1);
  world.loses = () => true;
  survey(a, 1);
  world.run(milliseconds(990));
  expect(a.surveys).toHaveLength(1);
  world.run(milliseconds(20));
  expect(a.surveys).toHaveLength(2);
});

test("one at a time for a context, sixteen in all", () => {
  const { world: network, a } = established();
  network.loses = () => true;
  expect(survey(a)).toBeTypeOf("number");
  expect(survey(a)).toBeUndefined();
  const { world: other, a: stranger } = world();
  other.loses = () => true;
  const begun = Array.from({ length: 17 }, () => survey(stranger));
  expect(begun.filter((id) => id === undefined)).toHaveLength(1);
});

test("a peer that does not know the protocol refuses, where the quoted I1 is ours", () => {
  const { world: network, a } = world();
  network.loses = () => true;
  survey(a, 1);
  const { source, destination, control } = network.sent[0] ?? {};
  if (source === undefined || destination === undefined || control === undefined) {
    throw new Error("nothing was sent");
  }
  a.command((endpoint, now) => {
    endpoint.handleIcmpError(now, destination, refusal(source, destination, control.bytes));
  });
  network.run(seconds(2));
  expect(a.surveys[0]?.map(({ refused }) => refused)).toEqual([true, false, false, false]);
});

/** ICMPv6 parameter problem, unrecognized next header (RFC 4443 section 3.4). */
function refusal(source: string, destination: string, i1: Uint8Array): Uint8Array {
  const packet = new Uint8Array(48 + i1.length);
  packet.set([4, 1], 0);
  packet.set([0x60, 0, 0, 0, 0, i1.length, 140, 64], 8);
  packet.set(octets(source), 16);
  packet.set(octets(destination), 32);
  packet.set(i1, 48);
  return packet;
}

/** Of an address that ends in ::1. */
function octets(text: string): number[] {
  const head = text
    .replace("::1", "")
    .split(":")
    .map((group) => Number.parseInt(group, 16));
  const groups = [...head, ...new Array<number>(7 - head.length).fill(0), 1];
  return groups.flatMap((group) => [group >> 8, group & 0xff]);
}
