import { describe, expect, test } from "vitest";
import type { FlowSelector } from "../../src/core/flow-selector.ts";
import type { AddressPair } from "../../src/core/output.ts";
import { minutes, seconds } from "../../src/core/time.ts";
import type { ContextView } from "../../src/core/view.ts";
import type { OptionName } from "../../src/wire/message.ts";
import type { ContextTag } from "../../src/wire/tag.ts";
import { address, type Host, World } from "./support/world.ts";

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const B2 = "2001:db8:b2::1";
const ULIDS = { local: address(A1), peer: address(B1) };
const SECOND = { local: address(A2), peer: address(B2) };
const VIDEO: FlowSelector = { protocol: 17, peerPorts: { first: 5004, last: 5005 } };

interface Lab {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
}

function established(maxContexts = 1000): Lab {
  const world = new World();
  const a = world.host(51, [A1, A2], { maxContexts });
  const b = world.host(52, [B1, B2]);
  a.open(A1, B1);
  world.run(seconds(1));
  world.sent.length = 0;
  return { world, a, b };
}

function defaultOf(host: Host): ContextView {
  const context = host.endpoint.contexts().find(({ forkedInstance }) => forkedInstance === 0);
  if (context === undefined) throw new Error("no default context");
  return context;
}

function forkOf(host: Host): ContextView {
  const context = host.endpoint.contexts().find(({ forkedInstance }) => forkedInstance !== 0);
  if (context === undefined) throw new Error("no forked context");
  return context;
}

function fork(host: Host, preferred?: AddressPair, selector = VIDEO): ContextTag {
  let tag: ContextTag | undefined;
  host.command((endpoint, now) => {
    tag = endpoint.fork(now, defaultOf(host).tag, selector, preferred);
  });
  if (tag === undefined) throw new Error("cannot fork");
  return tag;
}

/** What the messages of one kind have in common. */
function optionsOf(world: World, type: string): OptionName[] {
  const { message } =
    world.sent.find(({ control }) => control?.message.type === type)?.control ?? {};
  return message !== undefined && "options" in message
    ? message.options.map(({ name }) => name)
    : [];
}

describe("forked contexts (RFC 5533 sections 4.2 and 7.7)", () => {
  test("I1 and I2 name the Forked Instance Identifier; both ends have two contexts then", () => {
    const { world, a, b } = established();
    fork(a);
    world.run(seconds(1));
    expect(world.messages.slice(0, 4)).toEqual(["I1", "R1", "I2", "R2"]);
    for (const type of ["I1", "I2"]) {
      expect(optionsOf(world, type)).toContain("ForkedInstanceIdentifier");
    }
    expect(forkOf(a)).toMatchObject({ state: "ESTABLISHED", ulids: ULIDS, selector: VIDEO });
    expect(forkOf(b)).toMatchObject({
      state: "ESTABLISHED",
      forkedInstance: forkOf(a).forkedInstance,
      selector: undefined,
    });
    expect(defaultOf(a).state).toBe("ESTABLISHED");
  });

  test("what the fork selects leaves on its own pair, all else on the default's", () => {
    const { world, a, b } = established();
    const tag = fork(a, SECOND);
    world.run(seconds(2));
    expect(forkOf(a).locators).toEqual(SECOND);
    expect(defaultOf(a).locators).toEqual(ULIDS);
    world.sent.length = 0;
    a.send(ULIDS, tag);
    a.send(ULIDS);
    const [selected, other] = world.sent.filter(({ payload }) => payload !== undefined);
    expect([selected?.source, selected?.destination]).toEqual([A2, B2]);
    expect(selected?.payload?.tag).toBe(forkOf(b).tag);
    expect([other?.source, other?.destination]).toEqual([A1, B1]);
    expect(other?.payload?.tag).toBeUndefined();
    world.run(seconds(1));
    expect(b.delivered.map(({ ulids }) => ulids)).toEqual([
      { local: B1, peer: A1 },
      { local: B1, peer: A1 },
    ]);
  });

  test("a fork keeps the payload header between the ULIDs, or it counted as the default's", () => {
    const { world, a, b } = established();
    const tag = fork(a);
    world.run(seconds(1));
    expect(a.mappings.get(tag)).toEqual({
      ulids: ULIDS,
      locators: ULIDS,
      peerTag: forkOf(b).tag,
      selector: VIDEO,
    });
    a.send(ULIDS, tag);
    world.run(seconds(1));
    expect(b.records.get(forkOf(b).tag)?.snapshot.packetsIn).toBe(1);
    expect(b.records.get(defaultOf(b).tag)?.snapshot.packetsIn).toBe(0);
  });

  test("forking is for one direction; the peer may select for the other", () => {
    const { world, a, b } = established();
    const tag = fork(a);
    world.run(seconds(1));
    expect([...b.mappings]).toEqual([]);
    const back = forkOf(b).tag;
    b.command((endpoint, now) => expect(endpoint.fork(now, back, VIDEO, undefined)).toBe(back));
    expect(b.mappings.get(back)).toMatchObject({ peerTag: tag, selector: VIDEO });
    expect(world.messages.filter((name) => name === "I1")).toHaveLength(1);
  });

  test("the preferred pair is taken back when it works again", () => {
    const { world, a } = established();
    const tag = fork(a, SECOND);
    world.run(seconds(2));
    world.loses = ({ source, destination }) => source === A2 || destination === A2;
    a.send(ULIDS, tag);
    world.run(minutes(1));
    expect(forkOf(a).locators.local).toBe(A1);
    world.loses = () => false;
    for (let second = 0; second < 150; second++) {
      a.send(ULIDS, tag);
      world.run(seconds(1));
    }
    expect(forkOf(a).locators).toEqual(SECOND);
  });

  test("a preferred pair that doesn't work harms nothing", () => {
    const { world, a, b } = established();
    world.loses = ({ source, destination }) => source === A2 || destination === A2;
    const tag = fork(a, SECOND);
    for (let second = 0; second < 20; second++) {
      a.send(ULIDS, tag);
      world.run(seconds(1));
    }
    expect(forkOf(a)).toMatchObject({ reapState: "Operational", preferred: SECOND });
    expect(forkOf(a).locators.local).toBe(A1);
    expect(b.delivered).toHaveLength(20);
  });

  test("a fork is made where the origin's payload runs, when the ULIDs are dead", () => {
    const { world, a, b } = established();
    world.loses = ({ source, destination }) =>
      [A1, B1].some((dead) => source === dead || destination === dead);
    a.send(ULIDS);
    world.run(minutes(1));
    expect(defaultOf(a).locators).toEqual(SECOND);
    world.sent.length = 0;
    fork(a);
    world.run(seconds(5));
    expect(optionsOf(world, "I1")).toEqual(["UlidPair", "ForkedInstanceIdentifier"]);
    expect(forkOf(a)).toMatchObject({ state: "ESTABLISHED", ulids: ULIDS });
    expect(forkOf(b).locators).toEqual({ local: B2, peer: A2 });
  });

  test("a peer that lost a fork gets it back with its identifier", () => {
    const { world, a, b } = established();
    const tag = fork(a, SECOND);
    world.run(seconds(2));
    const { forkedInstance } = forkOf(b);
    b.command((endpoint, now) => endpoint.close(now, forkOf(b).tag));
    world.sent.length = 0;
    a.send(ULIDS, tag);
    world.run(seconds(2));
    expect(world.messages.slice(0, 3)).toEqual(["R1bis", "I2bis", "R2"]);
    expect(optionsOf(world, "I2bis")).toEqual(
      expect.arrayContaining(["UlidPair", "ForkedInstanceIdentifier"]),
    );
    expect(forkOf(b).forkedInstance).toBe(forkedInstance);
  });

  test("without traffic a fork goes and leaves the default context alone", () => {
    const { world, a, b } = established();
    const tag = fork(a);
    for (let minute = 0; minute < 25; minute++) {
      a.send(ULIDS);
      world.run(minutes(1));
    }
    expect(a.endpoint.context(tag)).toBeUndefined();
    expect(a.endpoint.contexts()).toHaveLength(1);
    expect(b.endpoint.contexts()).toHaveLength(1);
    expect(a.armed).toEqual([]);
  });

  test.each([
    ["a tag that no context has", () => 1 as ContextTag, undefined],
    [
      "a pair that is not the context's",
      (host: Host) => defaultOf(host).tag,
      { local: address("2001:db8:dead::1"), peer: address(B1) },
    ],
  ])("%s makes no fork", (_name, tagOf, pair) => {
    const { a } = established();
    a.command((endpoint, now) => expect(endpoint.fork(now, tagOf(a), VIDEO, pair)).toBeUndefined());
    expect(a.endpoint.contexts()).toHaveLength(1);
  });

  test("there is no fork beyond the limit of contexts", () => {
    const { a } = established(1);
    expect(() => fork(a)).toThrow("cannot fork");
    expect(a.endpoint.counters["drop-context-limit"]).toBe(1);
  });
});

describe("a preferred pair", () => {
  test("is gone to when it answers a probe, and no end explores", () => {
    const { world, a, b } = established();
    a.command((endpoint, now) => expect(endpoint.prefer(now, defaultOf(a).tag, SECOND)).toBe(true));
    expect(a.mappings.size).toBe(0);
    world.run(seconds(2));
    expect(defaultOf(a)).toMatchObject({ locators: SECOND, preferred: SECOND, switches: 1 });
    const events = [...a.events, ...b.events].map(({ event }) => event);
    expect(events).not.toContain("exploring");
    expect(events).not.toContain("inboundok");
  });

  test("must be among the context's own", () => {
    const { a } = established();
    const pair = { local: address(A1), peer: address("2001:db8:dead::1") };
    a.command((endpoint, now) => {
      expect(endpoint.prefer(now, defaultOf(a).tag, pair)).toBe(false);
      expect(endpoint.prefer(now, 5 as ContextTag, SECOND)).toBe(false);
      expect(endpoint.prefer(now, defaultOf(a).tag, undefined)).toBe(true);
    });
  });
});
