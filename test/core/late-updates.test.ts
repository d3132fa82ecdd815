import { describe, expect, test } from "vitest";
import { seconds } from "../../src/core/time.ts";
import { type Host, type Packet, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";

function established(): { world: World; a: Host; b: Host } {
  const world = new World();
  const a = world.host(31, [A1, A2]);
  const b = world.host(32, [B1, B2]);
  a.open(A1, B1);
  world.run(seconds(1));
  world.sent.length = 0;
  return { world, a, b };
}

function peerLocators(host: Host): readonly unknown[] {
  return host.endpoint.contexts()[0]?.peerLocators ?? [];
}

/** The first host loses its context, and the other one finds out. */
function forget(loser: Host, other: Host): void {
  const [lost] = loser.endpoint.contexts();
  const [kept] = other.endpoint.contexts();
  if (lost === undefined || kept === undefined) throw new Error("no context");
  loser.command((endpoint, now) => endpoint.close(now, lost.tag));
  other.command((endpoint, now) => endpoint.explore(now, kept.tag));
}

/** Traces that the model search has found, made into tests. */
describe("updates that the network delays, and hosts that forget", () => {
  test("a copy of a request that comes late takes nothing back", () => {
    const { world, a, b } = established();
    a.setOperational(A2, false);
    world.run(seconds(1));
    const [first] = world.sent;
    if (first === undefined) throw new Error("no request");
    a.setOperational(A2, true);
    world.run(seconds(1));
    world.sent.length = 0;
    b.receive(first);
    expect(world.messages).toEqual(["UpdateAcknowledgement"]);
    expect(peerLocators(b)).toMatchObject([{ broken: false }, { broken: false }]);
  });

  test("a request that a newer one overtakes changes nothing any more", () => {
    const { world, a, b } = established();
    world.loses = () => true;
    a.setOperational(A2, false);
    const [first] = world.sent;
    if (first === undefined) throw new Error("no request");
    world.loses = () => false;
    a.setOperational(A2, true);
    world.run(seconds(1));
    b.receive(first);
    world.run(seconds(1));
    expect(peerLocators(b)).toMatchObject([{ broken: false }, { broken: false }]);
  });

  test("what a peer acknowledged before it forgot us is told once more", () => {
    const { world, a, b } = established();
    let late: Packet | undefined;
    world.loses = (packet) => {
      if (packet.control?.message.type !== "UpdateAcknowledgement") return false;
      late ??= packet;
      return true;
    };
    a.setOperational(A2, false);
    world.run(seconds(1));
    world.loses = ({ control }) => {
      if (control?.message.type === "I2bis" && late !== undefined) a.receive(late);
      return false;
    };
    forget(b, a);
    world.run(seconds(10));
    expect(world.messages).toContain("I2bis");
    expect(peerLocators(b)).toMatchObject([{ broken: false }, { address: A2, broken: true }]);
  });

  test("what changes while a lost context is made again is told after it", () => {
    const { world, a, b } = established();
    world.loses = ({ control }) => control?.message.type === "R2";
    forget(b, a);
    world.run(seconds(1));
    expect(a.endpoint.contexts()[0]?.state).toBe("I2BIS-SENT");
    a.setOperational(A2, false);
    world.loses = () => false;
    world.run(seconds(10));
    expect(peerLocators(b)).toMatchObject([{ broken: false }, { address: A2, broken: true }]);
  });
});
