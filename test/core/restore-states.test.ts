import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { LocalLocator } from "../../src/core/config.ts";
import { seconds } from "../../src/core/time.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage } from "../../src/wire/message.ts";
import { CRYPTO, newKey, type TestKey } from "../identity/support/crypto.ts";
import { cgaLocator, hbaLocators } from "./support/identities.ts";
import { A1, A2, A3, B1, type Lab, locator, only, restart, switched } from "./support/restart.ts";
import { type Host, type Packet, World } from "./support/world.ts";

describe("locators with proof", () => {
  const PREFIXES_OF_A = ["2001:db8:a1::/64", "2001:db8:a2::/64"];
  const PREFIXES_OF_B = ["2001:db8:b1::/64", "2001:db8:b2::/64"];
  let key: TestKey;

  beforeAll(() => {
    key = newKey(1024);
  });

  function verified(ofA: readonly LocalLocator[], ofB: readonly LocalLocator[]): Lab {
    const world = new World();
    const config = { security: "verified" as const, identity: CRYPTO };
    const a = world.host(81, ofA, config);
    const b = world.host(82, ofB, config);
    a.open(ofA[0]?.address ?? "", ofB[0]?.address ?? "");
    world.run(seconds(1));
    world.sent.length = 0;
    return { world, a, b };
  }

  test.each([
    ["HBA", 1, () => hbaLocators(1, [...PREFIXES_OF_A, "2001:db8:a9::/64"])],
    [
      "CGA",
      2,
      () => [...hbaLocators(1, PREFIXES_OF_A, key), cgaLocator(9, "2001:db8:a9::/64", key)],
    ],
  ] as const)("by %s are told and believed after restarts of both ends", (_name, method, make) => {
    const ofA = make();
    const { world, a, b } = verified(ofA.slice(0, 2), hbaLocators(2, PREFIXES_OF_B));
    a.kill();
    b.kill();
    expect([...a.start(83), ...b.start(84)]).toEqual([]);
    expect(world.messages).toEqual([]);
    a.setLocators(ofA);
    world.run(seconds(1));
    expect(world.messages).toEqual(["UpdateRequest", "UpdateAcknowledgement"]);
    const known = only(b).peerLocators;
    expect(known.map(({ address }) => address)).toEqual(ofA.map(({ address }) => address));
    expect(known.at(-1)?.method).toBe(method);
  });

  test("of a peer that sends no parameters any more are held against those that it had sent", () => {
    const ofB = hbaLocators(2, PREFIXES_OF_B);
    const { world, a, b } = verified(hbaLocators(1, PREFIXES_OF_A), ofB);
    restart(a);
    const { tag } = only(a);
    const request: ControlMessage = {
      type: "UpdateRequest",
      receiverContextTag: tag,
      requestNonce: 5,
      options: [
        {
          name: "LocatorList",
          critical: false,
          generation: 7,
          locators: ofB.map((own) => ({ address: own.address, method: 1 })),
        },
      ],
    };
    b.receive(packetTo(a, b, request));
    a.receive(packetTo(b, a, request));
    expect(world.messages).toContain("UpdateAcknowledgement");
  });

  test("are refused when the key is gone that signed for them", () => {
    const ofA = [...hbaLocators(1, PREFIXES_OF_A, key), cgaLocator(9, "2001:db8:a9::/64", key)];
    const { a } = verified(ofA, hbaLocators(2, PREFIXES_OF_B));
    const { tag } = only(a);
    expect(only(a).localLocators).toHaveLength(3);
    a.kill();
    a.locators = ofA.map(({ prover: _prover, ...own }) => own);
    expect(a.start(83)).toMatchObject([
      { reason: "what proves the locators that its peer knows is gone" },
    ]);
    expect(a.endpoint.contexts()).toEqual([]);
    expect(a.records.has(tag)).toBe(false);
  });

  test("by HBA need no key, nor an address that still stands", () => {
    const ofA = hbaLocators(1, PREFIXES_OF_A, key);
    const { world, a, b } = verified(ofA, hbaLocators(2, PREFIXES_OF_B));
    a.kill();
    a.locators = ofA.slice(1).map(({ prover: _prover, ...own }) => own);
    expect(a.start(83)).toEqual([]);
    world.run(seconds(5));
    expect(only(b).peerLocators.map(({ broken }) => broken)).toEqual([true, false]);
  });
});

function packetTo(from: Host, to: Host, message: ControlMessage): Packet {
  const [source] = from.locators;
  const [destination] = to.locators;
  if (source === undefined || destination === undefined) throw new Error("no locators");
  const control = { bytes: encodeControl(message), message };
  return { source: source.address, destination: destination.address, control };
}

describe("a state that is no good", () => {
  test("is refused by name, and the others are taken", () => {
    const { a } = switched();
    const [good] = a.savedStates as [Record<string, unknown>];
    a.kill();
    const refused = a.start(73, [
      { ...good, tag: "x" },
      { ...good, version: 4 },
      null,
      [],
      { ...good, ulids: { local: "here", peer: B1 } },
      { ...good, keepaliveTimeout: 0 },
      { ...good, ulids: { local: A2, peer: B1 } },
      { ...good, ulids: { local: A1, peer: A2 } },
      good,
      good,
    ]);
    const name = only(a).tag.toString(16).padStart(12, "0");
    expect(refused).toEqual([
      { name: "number 1", reason: "state.tag is not a whole number from 0 to 140737488355327" },
      { name: "number 2", reason: "its version is 4, and this release reads 3" },
      { name: "number 3", reason: "state is not an object" },
      { name: "number 4", reason: "state is not an object" },
      { name: "number 5", reason: "state.ulids.local is not an IPv6 address" },
      { name: "number 6", reason: "state.keepaliveTimeout is not from 1000 to 65535000" },
      { name, reason: "our ULID is not its first locator" },
      { name, reason: "the peer's ULID is none of its locators" },
      { name, reason: "another context has its tag" },
    ]);
  });

  test("that shares its ULIDs or its nonce with another is refused", () => {
    const { a } = switched();
    const [good] = a.savedStates as [Record<string, unknown>];
    const other = { ...good, tag: 77, forkedInstance: 9, order: 99 };
    const reasons = (state: object) => {
      a.kill();
      return a.start(73, [good, state]).map(({ reason }) => reason);
    };
    expect(reasons({ ...other, forkedInstance: 0 })).toEqual(["another context has its ULIDs"]);
    expect(reasons(other)).toEqual(["another context has its initiator nonce"]);
    expect(reasons({ ...other, initiatorNonce: 1, establishedAt: 1e12 })).toEqual([
      "it is of a later time: the clock is another one",
    ]);
  });

  test("is refused where the host now has less room, or asks for proofs", () => {
    for (const [options, reason] of [
      [{ maxContexts: 0 }, "there is no room for it"],
      [{ maxContextsPerPrefix: 0 }, "there is no room for it"],
      [{ security: "verified" }, "its peer's locators are not proven, and must be now"],
    ] as const) {
      const { world, a } = switched();
      const states = a.savedStates;
      world.hosts.splice(world.hosts.indexOf(a), 1);
      const successor = world.host(75, [A1], options);
      successor.locators = successor.locators.map((own) => own);
      expect(successor.start(76, states)).toMatchObject([
        { reason: expect.stringMatching(reason) },
      ]);
    }
  });

  test("never throws, whatever member is changed to whatever", () => {
    const lab = switched();
    const { world, a } = lab;
    world.loses = ({ control }) => control?.message.type === "UpdateRequest";
    a.setLocators([locator(A1), locator(A2), locator(A3)]);
    const text = [...a.saved.values()][0] ?? "";
    const paths = pathsOf(JSON.parse(text));
    fc.assert(
      fc.property(
        fc.constantFrom(...paths),
        fc.oneof(
          fc.jsonValue(),
          fc.string({ unit: fc.constantFrom(...Array.from("0123456789abcdef")), maxLength: 200 }),
          fc.double(),
        ),
        (path, value) => {
          const state: unknown = JSON.parse(text);
          set(state, path, value);
          a.kill();
          a.events.length = 0;
          const refused = a.start(73, [state]);
          // One that has been idle for long is gone again at once.
          const restored = a.events.filter(({ event }) => event === "restored");
          expect(refused.length + restored.length).toBe(1);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

type Path = readonly (string | number)[];

function pathsOf(data: unknown): Path[] {
  if (typeof data !== "object" || data === null) return [];
  return Object.entries(data).flatMap(([name, member]) => [
    [name],
    ...pathsOf(member).map((rest) => [name, ...rest]),
  ]);
}

function set(data: unknown, path: Path, value: unknown): void {
  const [name, ...rest] = path;
  const members = data as Record<string, unknown>;
  if (rest.length === 0) members[String(name)] = value;
  else set(members[String(name)], rest, value);
}
