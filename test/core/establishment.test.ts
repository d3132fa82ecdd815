import { describe, expect, test } from "vitest";
import { milliseconds, minutes, seconds } from "../../src/core/time.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import { address, nameOf, World } from "./support/world.ts";

const A = "2001:db8:a::1";
const A2 = "2001:db8:aa::1";
const B = "2001:db8:b::1";
const B2 = "2001:db8:bb::1";

function twoHosts() {
  const world = new World();
  const a = world.host(1, [A, A2]);
  const b = world.host(2, [B, B2]);
  return { world, a, b };
}

describe("normal establishment (RFC 5533 section 7.3)", () => {
  test("I1, R1, I2, R2 lead to ESTABLISHED on both ends with each other's tags and locators", () => {
    const { world, a, b } = twoHosts();
    expect(a.open(A, B)).toBe(true);
    world.run(seconds(1));
    expect(world.messages).toEqual(["I1", "R1", "I2", "R2"]);
    const [left] = a.endpoint.contexts();
    const [right] = b.endpoint.contexts();
    expect(left?.state).toBe("ESTABLISHED");
    expect(right?.state).toBe("ESTABLISHED");
    expect(left?.peerTag).toBe(right?.tag);
    expect(right?.peerTag).toBe(left?.tag);
    expect(left?.peerLocators.map((locator) => locator.address)).toEqual([B, B2]);
    expect(right?.peerLocators.map((locator) => locator.address)).toEqual([A, A2]);
    expect(left?.reapState).toBe("Operational");
    expect(a.events.map(({ event }) => event)).toContain("established");
    expect(b.events.map(({ event }) => event)).toContain("established");
  });

  test("the responder keeps nothing until I2 proves the validator", () => {
    const { world, a, b } = twoHosts();
    world.loses = ({ control }) => control?.message.type === "I2";
    a.open(A, B);
    world.run(seconds(1));
    expect(world.messages.slice(0, 3)).toEqual(["I1", "R1", "I2"]);
    expect(b.endpoint.contexts()).toEqual([]);
  });

  test("an I2 with a validator that isn't ours is dropped and counted", () => {
    const { world, a, b } = twoHosts();
    a.open(A, B);
    let i2: Uint8Array | undefined;
    world.loses = ({ control }) => {
      if (control?.message.type !== "I2") return false;
      i2 = control.bytes;
      return true;
    };
    world.run(milliseconds(50));
    expect(i2).toBeDefined();
    b.endpoint.handleControl(world.now, address(A2), address(B), i2 ?? new Uint8Array());
    b.drain();
    expect(b.endpoint.counters["drop-validator"]).toBe(1);
    expect(b.endpoint.contexts()).toEqual([]);
  });

  test("a validator older than two periods is refused", () => {
    const { world, a, b } = twoHosts();
    let i2: Uint8Array | undefined;
    world.loses = ({ control }) => {
      if (control?.message.type !== "I2") return false;
      i2 ??= control.bytes;
      return true;
    };
    a.open(A, B);
    world.run(seconds(61));
    b.endpoint.handleControl(world.now, address(A), address(B), i2 ?? new Uint8Array());
    expect(b.endpoint.counters["drop-validator"]).toBe(1);
  });

  test("the null mapping holds: established contexts leave payload as it is", () => {
    const { world, a } = twoHosts();
    a.open(A, B);
    world.run(seconds(1));
    expect(a.mappings.size).toBe(0);
    a.send({ local: address(A), peer: address(B) });
    const last = world.sent.at(-1);
    expect(last).toMatchObject({ source: A, destination: B, payload: { tag: undefined } });
  });
});

describe("retransmission (RFC 5533 sections 7.8, 7.12 and 14)", () => {
  test("I1 goes out five times at most, backing off with jitter, then E-FAILED holds one minute", () => {
    const world = new World();
    const a = world.host(3, [A, A2]);
    a.open(A, B);
    world.run(minutes(5));
    const times = world.sent.map(({ at }) => at);
    expect(world.messages).toEqual(["I1", "I1", "I1", "I1", "I1"]);
    for (const [i, at] of times.slice(1).entries()) {
      const gap = at - (times[i] ?? 0);
      expect(gap).toBeGreaterThanOrEqual(0.5 * 4000 * 2 ** i);
      expect(gap).toBeLessThan(1.5 * 4000 * 2 ** i);
    }
    const failed = a.events.find(({ event }) => event === "failed");
    expect(failed).toMatchObject({ cause: "no-answer" });
  });

  test("while the hold-down lasts no trigger starts anew; afterwards one may", () => {
    const world = new World();
    const a = world.host(3, [A, A2]);
    a.open(A, B);
    while (a.events.every(({ event }) => event !== "failed")) world.run(seconds(1));
    expect(a.endpoint.contexts()[0]?.state).toBe("E-FAILED");
    expect(a.open(A, B)).toBe(false);
    expect(a.endpoint.counters["trigger-held-down"]).toBe(1);
    expect(a.endpoint.contexts()[0]?.next?.reason).toBe("hold-down");
    world.run(seconds(60));
    expect(a.endpoint.contexts()).toEqual([]);
    expect(a.armed).toEqual([{ local: A, peer: B }]);
    expect(a.open(A, B)).toBe(true);
  });

  test("ICMPv6 'unrecognized next header' quoting our I1 leads to NO-SUPPORT for ten minutes", () => {
    const world = new World();
    const a = world.host(3, [A]);
    a.open(A, B);
    const i1 = world.sent[0]?.control?.bytes ?? new Uint8Array();
    a.command((endpoint, now) => endpoint.handleIcmpError(now, address(B), refusal(A, B, i1)));
    expect(a.endpoint.contexts()[0]?.state).toBe("NO-SUPPORT");
    world.run(minutes(9));
    expect(world.messages).toEqual(["I1"]);
    world.run(minutes(1));
    expect(a.endpoint.contexts()).toEqual([]);
  });

  test("a forged refusal with another nonce or address changes nothing", () => {
    const world = new World();
    const a = world.host(3, [A]);
    a.open(A, B);
    const i1 = world.sent[0]?.control?.bytes ?? new Uint8Array();
    a.command((endpoint, now) => endpoint.handleIcmpError(now, address(B), refusal(A, B2, i1)));
    expect(a.endpoint.contexts()[0]?.state).toBe("I1-SENT");
  });

  test("a lost R2 is answered again when I2 comes again", () => {
    const { world, a, b } = twoHosts();
    let lost = 0;
    world.loses = ({ control }) => control?.message.type === "R2" && lost++ === 0;
    a.open(A, B);
    world.run(seconds(8));
    expect(world.messages).toEqual(["I1", "R1", "I2", "R2", "I2", "R2"]);
    expect(a.endpoint.contexts()[0]?.state).toBe("ESTABLISHED");
    expect(b.endpoint.contexts()).toHaveLength(1);
  });

  test("after I2_RETRIES_MAX the initiator goes back to I1, and I1 in ESTABLISHED with our tag gets R2", () => {
    const { world, a, b } = twoHosts();
    let lost = 0;
    world.loses = ({ control }) => control?.message.type === "R2" && lost++ < 3;
    a.open(A, B);
    world.run(minutes(2));
    const sentByA = world.sent
      .filter(({ source }) => source === A)
      .flatMap(({ control }) => (control ? [nameOf(control.message)] : []));
    expect(sentByA.slice(0, 5)).toEqual(["I1", "I2", "I2", "I2", "I1"]);
    expect(a.endpoint.contexts()[0]?.state).toBe("ESTABLISHED");
    expect(b.endpoint.contexts()).toHaveLength(1);
    expect(a.endpoint.contexts()[0]?.peerTag).toBe(b.endpoint.contexts()[0]?.tag);
  });

  test("a peer that never answers I2 costs five I1 at most", () => {
    const { world, a } = twoHosts();
    world.loses = ({ control }) => control?.message.type === "I2";
    a.open(A, B);
    world.run(minutes(20));
    expect(world.messages.filter((name) => name === "I1").length).toBeLessThanOrEqual(5);
    expect(a.events.find(({ event }) => event === "failed")).toMatchObject({ cause: "rejected" });
  });
});

describe("concurrent establishment (RFC 5533 section 7.4)", () => {
  test("crossing I1s are answered by R2s, and both ends agree on the tags", () => {
    const { world, a, b } = twoHosts();
    a.open(A, B);
    b.open(B, A);
    world.run(seconds(1));
    expect(world.messages).toEqual(["I1", "I1", "R2", "R2"]);
    expectAgreement(a, b);
  });

  test("an I1 that crosses I2 is answered by R2", () => {
    const { world, a, b } = twoHosts();
    a.open(A, B);
    world.in(milliseconds(15), () => b.open(B, A));
    world.run(seconds(30));
    expectAgreement(a, b);
    expect(a.endpoint.contexts()).toHaveLength(1);
    expect(b.endpoint.contexts()).toHaveLength(1);
  });

  test("with the first message of every kind lost, crossing attempts still agree", () => {
    const { world, a, b } = twoHosts();
    const seen = new Set<string>();
    world.loses = ({ source, control }) => {
      const key = `${source} ${control?.message.type}`;
      if (control === undefined || seen.has(key)) return false;
      seen.add(key);
      return true;
    };
    a.open(A, B);
    b.open(B, A);
    world.run(minutes(3));
    expectAgreement(a, b);
  });
});

describe("limits and refusals", () => {
  test("a peer that has lost its context makes it anew with a new tag, and the old one is replaced", () => {
    const { world, a, b } = twoHosts();
    a.open(A, B);
    world.run(seconds(1));
    const old = b.endpoint.contexts()[0]?.tag;
    world.hosts.splice(world.hosts.indexOf(b), 1);
    const reborn = world.host(77, [B, B2]);
    reborn.open(B, A);
    world.run(seconds(1));
    expect(a.endpoint.contexts()).toHaveLength(1);
    expect(a.endpoint.contexts()[0]?.peerTag).not.toBe(old);
    expectAgreement(a, reborn);
  });

  test("one tag of one peer for two ULID pairs is confusion: the older context goes", () => {
    const { world, a, b } = twoHosts();
    a.open(A, B);
    world.run(seconds(1));
    const [first] = a.endpoint.contexts();
    world.hosts.splice(world.hosts.indexOf(b), 1);
    // The same seed makes the same tag again, for another ULID pair.
    const reborn = world.host(2, [B, B2]);
    a.open(A2, B);
    world.run(seconds(1));
    expect(reborn.endpoint.contexts()[0]?.tag).toBe(first?.peerTag);
    expect(a.endpoint.counters["context-confusion"]).toBe(1);
    expect(a.endpoint.contexts().map(({ ulids }) => ulids.local)).toEqual([A2]);
  });

  test("mode verified believes no locator without proof, and offers none", () => {
    const world = new World();
    const a = world.host(1, [A, A2]);
    const b = world.host(2, [B, B2], { security: "verified" });
    a.open(A, B);
    world.run(seconds(1));
    expect(b.endpoint.contexts()).toEqual([]);
    expect(b.endpoint.counters["drop-locator-list"]).toBe(1);
    b.open(B, A);
    world.run(seconds(1));
    expect(b.endpoint.contexts().map(({ state }) => state)).not.toContain("ESTABLISHED");
    expect(b.endpoint.counters["drop-locator-list"]).toBeGreaterThan(1);
  });

  test("two hosts in mode verified agree on a context of the ULIDs alone", () => {
    const world = new World();
    const a = world.host(1, [A, A2], { security: "verified" });
    const b = world.host(2, [B, B2], { security: "verified" });
    a.open(A, B);
    world.run(seconds(1));
    expectAgreement(a, b);
    expect(a.endpoint.contexts()[0]?.peerLocators.map((locator) => locator.address)).toEqual([B]);
  });

  test("a full table takes no new context, from either side, and counts it", () => {
    const world = new World();
    const a = world.host(1, [A, A2], { maxContexts: 1 });
    const b = world.host(2, [B, B2], { maxContexts: 1 });
    a.open(A, B);
    world.run(seconds(1));
    expect(a.open(A2, B)).toBe(false);
    expect(a.endpoint.counters["drop-context-limit"]).toBe(1);
    expect(b.endpoint.contexts()).toHaveLength(1);
  });

  test("an address that isn't ours opens nothing and answers nothing", () => {
    const { world, a, b } = twoHosts();
    expect(a.open("2001:db8:ffff::1", B)).toBe(false);
    a.open(A, B);
    const i1 = world.sent[0]?.control?.bytes ?? new Uint8Array();
    b.command((endpoint, now) =>
      endpoint.handleControl(now, address(A), address("2001:db8:ffff::2"), i1),
    );
    expect(b.endpoint.counters["drop-bad-address"]).toBe(1);
  });

  test("bad checksums and multicast sources are dropped silently and counted", () => {
    const { world, a, b } = twoHosts();
    a.open(A, B);
    const i1 = Uint8Array.from(world.sent[0]?.control?.bytes ?? []);
    b.command((endpoint, now) => endpoint.handleControl(now, address("ff02::1"), address(B), i1));
    i1[6] = (i1[6] ?? 0) ^ 1;
    b.command((endpoint, now) => endpoint.handleControl(now, address(A), address(B), i1));
    expect(b.endpoint.counters["drop-bad-address"]).toBe(1);
    expect(b.endpoint.counters["drop-bad-checksum"]).toBe(1);
    expect(world.messages).toEqual(["I1"]);
  });

  test("a quiet context is collected after the idle time, and may be triggered again", () => {
    const { world, a, b } = twoHosts();
    a.open(A, B);
    world.run(minutes(9));
    expect(a.endpoint.contexts()).toHaveLength(1);
    world.run(minutes(2));
    expect(a.endpoint.contexts()).toEqual([]);
    expect(b.endpoint.contexts()).toEqual([]);
    expect(a.events.at(-1)).toMatchObject({ event: "closed", cause: "idle" });
    expect(a.records.size).toBe(0);
    expect(a.armed).toHaveLength(1);
  });

  test("a context with payload now and then is kept", () => {
    const { world, a, b } = twoHosts();
    a.open(A, B);
    for (let i = 0; i < 20; i++) {
      world.run(minutes(4));
      a.send({ local: address(A), peer: address(B) });
    }
    expect(a.endpoint.contexts()).toHaveLength(1);
    expect(b.endpoint.contexts()).toHaveLength(1);
  });
});

function expectAgreement(a: ReturnType<World["host"]>, b: ReturnType<World["host"]>): void {
  const [left] = a.endpoint.contexts();
  const [right] = b.endpoint.contexts();
  expect(left?.state).toBe("ESTABLISHED");
  expect(right?.state).toBe("ESTABLISHED");
  expect(left?.peerTag).toBe(right?.tag);
  expect(right?.peerTag).toBe(left?.tag);
}

/** An ICMPv6 parameter problem, code 1, that quotes a packet from `source` to `destination`. */
function refusal(source: string, destination: string, shim6: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + 40 + shim6.length);
  bytes.set([4, 1]);
  bytes.set([0x60, 0, 0, 0, 0, shim6.length, 140, 64], 8);
  bytes.set(octets(source), 16);
  bytes.set(octets(destination), 32);
  bytes.set(shim6, 48);
  return bytes;
}

function octets(text: string): Uint8Array {
  return addressToBytes(address(text));
}
