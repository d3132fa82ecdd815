import { describe, expect, test } from "vitest";
import { type Instant, milliseconds, minutes, seconds } from "../../src/core/time.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, R1 } from "../../src/wire/message.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { address, type Host, nameOf, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const ULIDS = { local: address(A1), peer: address(B1) };
const REVERSED = { local: address(B1), peer: address(A1) };

function established(): { world: World; a: Host; b: Host } {
  const world = new World();
  const a = world.host(21, [A1, A2]);
  const b = world.host(22, [B1, B2]);
  a.open(A1, B1);
  world.run(seconds(1));
  return { world, a, b };
}

/** The host comes up again with its addresses and nothing else. */
function reboot(world: World, old: Host, seed: number): Host {
  world.hosts.splice(world.hosts.indexOf(old), 1);
  return world.host(seed, old.locators);
}

function talk(world: World, a: Host, b: () => Host, until: Instant): void {
  a.send(ULIDS);
  b().send(REVERSED);
  if (world.now + 100 < until) world.in(milliseconds(100), () => talk(world, a, b, until));
}

function cutFirstPath(world: World): void {
  world.loses = ({ source, destination }) =>
    [A1, B1].includes(source) && [A1, B1].includes(destination);
}

function expectAgreement(a: Host, b: Host): void {
  const [left] = a.endpoint.contexts();
  const [right] = b.endpoint.contexts();
  expect([left?.state, right?.state]).toEqual(["ESTABLISHED", "ESTABLISHED"]);
  expect([left?.reapState, right?.reapState]).toEqual(["Operational", "Operational"]);
  expect(left?.peerTag).toBe(right?.tag);
  expect(right?.peerTag).toBe(left?.tag);
  const mirror = right && { local: right.locators.peer, peer: right.locators.local };
  expect(left?.locators).toEqual(mirror);
}

describe("context recovery (RFC 5533 section 7.5)", () => {
  test("a peer that rebooted while packets are mapped gets its context and its session back", () => {
    const { world, a, b } = established();
    let peer = b;
    const end = (world.now + 120_000) as Instant;
    talk(world, a, () => peer, end);
    world.in(seconds(5), () => cutFirstPath(world));
    world.run(seconds(40));
    expect(a.mappings.size).toBe(1);
    world.sent.length = 0;
    const rebootAt = world.now;
    peer = reboot(world, b, 99);
    world.run(seconds(30));
    const control = world.sent.flatMap(({ control: sent }) => (sent ? [nameOf(sent.message)] : []));
    expect(control.slice(0, 3)).toEqual(["R1bis", "I2bis", "R2"]);
    expectAgreement(a, peer);
    const firstDelivered = peer.delivered.find(({ at }) => at > rebootAt);
    expect((firstDelivered?.at ?? 0) - rebootAt).toBeLessThan(300);
    expect(peer.delivered.at(-1)?.ulids).toEqual(REVERSED);
    expect(a.delivered.at(-1)?.at).toBeGreaterThan(world.now - 200);
  });

  test("data flows in I2BIS-SENT: the mapping stays while the recovery is under way", () => {
    const { world, a, b } = established();
    let peer = b;
    talk(world, a, () => peer, (world.now + 120_000) as Instant);
    world.in(seconds(5), () => cutFirstPath(world));
    world.run(seconds(40));
    const losing = world.loses;
    world.loses = (packet) => losing(packet) || packet.control?.message.type === "R2";
    peer = reboot(world, b, 99);
    world.run(seconds(3));
    expect(a.endpoint.contexts()[0]?.state).toBe("I2BIS-SENT");
    expect(a.mappings.size).toBe(1);
    expect(peer.endpoint.contexts()[0]?.state).toBe("ESTABLISHED");
    world.loses = losing;
    world.run(seconds(10));
    expectAgreement(a, peer);
  });

  test("a lost context is found out by probes when payload was unmapped", () => {
    const { world, a, b } = established();
    let peer = b;
    talk(world, a, () => peer, (world.now + 120_000) as Instant);
    world.run(seconds(5));
    peer = reboot(world, b, 99);
    cutFirstPath(world);
    world.sent.length = 0;
    world.run(seconds(60));
    expect(world.messages.slice(0, 4)).toEqual(["Probe/exploring", "R1bis", "I2bis", "R2"]);
    expectAgreement(a, peer);
    expect(a.endpoint.contexts()[0]?.locators).not.toEqual(ULIDS);
    expect(a.events.filter(({ event }) => event === "recovered")).toHaveLength(1);
    expect(peer.delivered.at(-1)?.at).toBeGreaterThan(world.now - 200);
  });

  test("both ends rebooted: plain IPv6, and nothing is answered for ever", () => {
    const { world, a, b } = established();
    reboot(world, a, 98);
    reboot(world, b, 99);
    world.sent.length = 0;
    world.run(minutes(5));
    expect(world.messages).toEqual([]);
  });

  test("without an answer to I2bis the initiator goes back to I1, over what worked last", () => {
    const { world, a, b } = established();
    let peer = b;
    talk(world, a, () => peer, (world.now + 300_000) as Instant);
    world.in(seconds(5), () => cutFirstPath(world));
    world.run(seconds(40));
    const losing = world.loses;
    let lost = 0;
    world.loses = (packet) =>
      losing(packet) || (packet.control?.message.type === "I2bis" && lost++ < 1000);
    peer = reboot(world, b, 99);
    world.sent.length = 0;
    world.run(seconds(60));
    const i1 = world.sent.find(({ control }) => control?.message.type === "I1");
    expect([i1?.source, i1?.destination]).toEqual([A2, B2]);
    const options = i1?.control?.message.type === "I1" ? i1.control.message.options : [];
    expect(options).toEqual([
      { name: "UlidPair", critical: false, senderUlid: A1, receiverUlid: B1 },
    ]);
    expectAgreement(a, peer);
    expect(peer.delivered.at(-1)?.at).toBeGreaterThan(world.now - 300);
  });

  test("an R1bis for a tag that we don't use, or from elsewhere, changes nothing", () => {
    const { world, a, b } = established();
    const peerTag = a.endpoint.contexts()[0]?.peerTag;
    if (peerTag === undefined) throw new Error("no context");
    const stranger = world.host(23, ["2001:db8:c::1"]);
    stranger.command((endpoint, now) =>
      endpoint.handleUnknownTag(now, address(A1), address("2001:db8:c::1"), peerTag),
    );
    world.run(seconds(1));
    expect(world.messages.at(-1)).toBe("R1bis");
    expect(a.endpoint.counters["drop-unknown-context"]).toBe(1);
    expect(a.endpoint.contexts()[0]?.state).toBe("ESTABLISHED");
    expect(b.endpoint.contexts()).toHaveLength(1);
  });
});

describe("a context that the peer forked (RFC 5533 section 4.2)", () => {
  test("lives beside the default one, and takes none of its outbound payload", () => {
    const { world, a, b } = established();
    const forked = { name: "ForkedInstanceIdentifier", critical: false, identifier: 7 } as const;
    let r1: R1 | undefined;
    world.loses = ({ control }) => {
      if (control?.message.type !== "R1") return false;
      r1 = control.message;
      return true;
    };
    const tag = contextTag(0x123456);
    const send = (message: ControlMessage): void =>
      b.receive({
        source: address(A1),
        destination: address(B1),
        control: { bytes: encodeControl(message), message },
      });
    send({ type: "I1", initiatorContextTag: tag, initiatorNonce: 9, options: [forked] });
    const proof = r1?.options[0];
    if (r1 === undefined || proof === undefined) throw new Error("no R1");
    const { responderNonce } = r1;
    const options = [proof, forked];
    send({ type: "I2", initiatorContextTag: tag, initiatorNonce: 9, responderNonce, options });
    expect(b.endpoint.contexts().map(({ forkedInstance }) => forkedInstance)).toEqual([0, 7]);
    expect(b.mappings.size).toBe(0);
    expect(a.endpoint.contexts()).toHaveLength(1);
  });
});
