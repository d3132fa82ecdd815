import { describe, expect, test } from "vitest";
import type { FlowSelector } from "../../src/core/flow-selector.ts";
import { type Duration, instant, minutes, seconds } from "../../src/core/time.ts";
import type { ContextTag } from "../../src/wire/tag.ts";
import {
  A1,
  A2,
  A3,
  B1,
  B2,
  cut,
  established,
  type Lab,
  locator,
  only,
  REVERSED,
  restart,
  SECOND,
  switched,
  talk,
  ULIDS,
} from "./support/restart.ts";
import type { Host, World } from "./support/world.ts";

const VIDEO: FlowSelector = { protocol: 17, peerPorts: { first: 5004, last: 5005 } };

function eventNames(host: Host): string[] {
  return host.events.map(({ event }) => event);
}

describe("a context that a later run takes over", () => {
  test("goes on in the null mapping, with no message on the wire", () => {
    const lab = established();
    const { world, a, b } = lab;
    talk(lab, seconds(20));
    world.run(seconds(5));
    const before = only(a);
    const record = a.records.get(before.tag);
    a.events.length = 0;
    restart(a);
    expect(a.events).toMatchObject([
      { event: "restored", tag: before.tag, locators: ULIDS, peerTag: before.peerTag },
    ]);
    expect(a.records.get(before.tag)).toBe(record);
    world.run(seconds(14));
    expect(world.messages).toEqual([]);
    const { next: _next, ...after } = only(a);
    const { next: _before, traffic: _traffic, paths: _paths, ...same } = before;
    expect(after).toMatchObject(same);
    expect(eventNames(b)).toEqual(["established", "peer-locators-changed"]);
  });

  test("is as the data plane: mapping, errors withheld, nothing watched, no trigger armed", () => {
    const { a } = switched();
    const { tag, peerTag } = only(a);
    a.kill();
    a.mappings.clear();
    a.withholding.clear();
    a.watched.add(tag);
    a.start(73);
    expect([...a.mappings]).toEqual([[tag, { ulids: ULIDS, locators: SECOND, peerTag }]]);
    expect([...a.withholding]).toEqual([tag]);
    expect(a.watched.size).toBe(0);
    expect(a.armed).toEqual([]);
  });

  test("loses a mapping that the run before could not take back any more", () => {
    const { a } = established();
    const { tag, peerTag } = only(a);
    a.kill();
    if (peerTag !== undefined) a.mappings.set(tag, { ulids: ULIDS, locators: SECOND, peerTag });
    a.start(73);
    expect(a.mappings.size).toBe(0);
  });

  test("carries mapped payload on without a gap, under the same tags", () => {
    const lab = switched();
    const { world, a, b } = lab;
    const before = only(a);
    talk(lab, seconds(9));
    world.in(seconds(3), () => a.kill());
    world.in(seconds(6), () => expect(a.start(73)).toEqual([]));
    world.run(seconds(10));
    const payload = world.sent.filter((packet) => packet.payload !== undefined);
    expect(payload.every(({ lost, payload: { tag } = {} }) => !lost && tag !== undefined)).toBe(
      true,
    );
    expect(new Set(payload.map(({ payload: { tag } = {} }) => tag))).toEqual(
      new Set([before.tag, before.peerTag]),
    );
    expect(world.messages).toEqual([]);
    expect(only(a)).toMatchObject({ tag: before.tag, switches: 1, locators: SECOND });
    expect(only(b).reapState).toBe("Operational");
  });

  test("survives a further failure, also where both ends were restarted", () => {
    const lab = switched();
    const { world, a, b } = lab;
    a.kill();
    b.kill();
    talk(lab, seconds(60));
    world.run(seconds(2));
    a.start(73);
    b.start(74);
    expect(world.messages).toEqual([]);
    world.in(seconds(3), () => cut(lab, A2, B2));
    world.run(seconds(58));
    for (const host of [a, b]) {
      expect(eventNames(host)).toEqual(expect.arrayContaining(["restored", "switched"]));
      expect(only(host)).toMatchObject({ reapState: "Operational", switches: 2 });
    }
    const rear = world.sent.filter((packet) => packet.payload !== undefined).slice(-10);
    expect(rear.map(({ lost }) => lost)).toEqual(Array.from({ length: 10 }, () => false));
  });

  test("finds out about a failure that came while no daemon ran", () => {
    const lab = switched();
    const { world, a } = lab;
    a.kill();
    cut(lab, A2, B2);
    talk(lab, seconds(50));
    world.run(seconds(20));
    a.start(73);
    world.run(seconds(30));
    expect(only(a)).toMatchObject({ reapState: "Operational", switches: 2 });
    expect(only(a).locators).not.toEqual(SECOND);
  });

  test("gives the peer time for a keepalive before it believes in a failure", () => {
    const { world, a, b } = switched();
    const oneWay = (from: number, to: number): void => {
      for (let at = from; at < to; at += 100) world.in(at as Duration, () => a.send(ULIDS));
    };
    oneWay(0, 40_000);
    world.run(seconds(10));
    a.kill();
    world.run(seconds(16));
    a.start(73);
    world.run(seconds(14));
    expect(eventNames(a)).toEqual(["restored"]);
    expect(eventNames(b)).toEqual([]);
    expect(new Set(world.messages)).toEqual(new Set(["Keepalive"]));
  });

  test("sends the keepalive that was due meanwhile, once", () => {
    const { world, a, b } = switched();
    a.kill();
    b.send(REVERSED);
    world.run(seconds(11));
    a.start(73);
    expect(world.messages).toEqual(["Keepalive"]);
    world.run(seconds(1));
    expect(world.messages).toEqual(["Keepalive"]);
  });

  test("sends no more than the last of its keepalives when it was away for long", () => {
    const { world, a, b } = switched();
    a.kill();
    b.send(REVERSED);
    world.run(minutes(2));
    b.kill();
    world.sent.length = 0;
    a.start(73);
    world.run(minutes(1));
    expect(world.messages).toEqual(["Keepalive"]);
  });

  test("explores anew at once where the run before was exploring", () => {
    const lab = established();
    const { world, a, b } = lab;
    world.loses = () => true;
    talk(lab, seconds(40));
    world.run(seconds(25));
    expect(only(a).reapState).toBe("Exploring");
    const outage = a.events.find(({ event }) => event === "exploring")?.at ?? instant(0);
    a.kill();
    a.events.length = 0;
    a.watched.clear();
    world.sent.length = 0;
    a.start(73);
    expect(world.messages).toEqual(["Probe/exploring"]);
    expect(a.events).toMatchObject([
      { event: "restored" },
      { event: "exploring", cause: "restart" },
    ]);
    expect([...a.watched]).toEqual([only(a).tag]);
    cut(lab, A1, B1);
    world.run(seconds(20));
    expect([only(a).reapState, only(b).reapState]).toEqual(["Operational", "Operational"]);
    expect(only(a).locators).not.toEqual(ULIDS);
    const recovered = a.events.find(({ event }) => event === "recovered");
    if (recovered?.event !== "recovered") throw new Error("not recovered");
    expect(recovered.at - recovered.exploration).toBe(outage);
  });

  test("explores anew at once where the run before was InboundOk", () => {
    const lab = established();
    const { world, a, b } = lab;
    world.loses = ({ source }) => a.owns(source);
    talk(lab, seconds(40));
    world.run(seconds(30));
    expect(only(a).reapState).toBe("InboundOk");
    restart(a);
    expect(only(a).reapState).toBe("Exploring");
    world.loses = () => false;
    world.run(seconds(20));
    expect([only(a).reapState, only(b).reapState]).toEqual(["Operational", "Operational"]);
  });

  test("explores when its local locator has gone meanwhile", () => {
    const { world, a } = switched();
    a.kill();
    a.locators = [locator(A1), { ...locator(A2), operational: false }];
    world.loses = () => false;
    a.start(73);
    expect(a.events).toMatchObject([
      { event: "restored" },
      { event: "exploring", cause: "local-locator-lost" },
    ]);
    world.run(seconds(5));
    expect(only(a)).toMatchObject({ reapState: "Operational", locators: { local: A1 } });
  });

  test("stays open to a peer that renews it, and forgets it as always when it is idle", () => {
    const { world, a, b } = switched();
    restart(a);
    b.endpoint.contexts().map(({ tag }) => b.command((endpoint, now) => endpoint.close(now, tag)));
    a.send(ULIDS);
    world.run(seconds(2));
    expect(only(b).peerTag).toBe(only(a).tag);
    world.run(minutes(11));
    expect(a.endpoint.contexts()).toEqual([]);
    expect(a.saved.size).toBe(0);
    expect(a.armed).toEqual([ULIDS]);
  });

  test("is saved while the peer renews it, too", () => {
    const { world, a, b } = switched();
    for (const { tag } of b.endpoint.contexts()) b.command((end, now) => end.close(now, tag));
    world.loses = ({ control }) => control?.message.type === "I2bis";
    a.send(ULIDS);
    world.run(seconds(1));
    expect(only(a).state).toBe("I2BIS-SENT");
    restart(a);
    expect(only(a).state).toBe("ESTABLISHED");
    world.loses = () => false;
    a.send(ULIDS);
    world.run(seconds(1));
    expect(only(b).peerTag).toBe(only(a).tag);
  });
});

describe("an Update Request that nobody has acknowledged", () => {
  function requests(world: World) {
    return world.sent.flatMap(({ control }) =>
      control?.message.type === "UpdateRequest" ? [control.message] : [],
    );
  }

  function unacknowledged(): Lab {
    const lab = switched();
    lab.world.loses = ({ control }) => control?.message.type === "UpdateRequest";
    lab.a.setLocators([locator(A1), locator(A2), locator(A3)]);
    lab.world.run(seconds(1));
    return lab;
  }

  test("is sent again as it was, and its acknowledgement counts", () => {
    const { world, a, b } = unacknowledged();
    a.kill();
    world.loses = () => false;
    a.start(73);
    const [first, again] = requests(world);
    expect(again).toEqual(first);
    world.run(seconds(1));
    expect(requests(world)).toHaveLength(2);
    expect(only(a).localLocators).toHaveLength(3);
    expect(only(b).peerLocators).toHaveLength(3);
  });

  test("is replaced when the locators have changed once more", () => {
    const { world, a, b } = unacknowledged();
    a.kill();
    world.loses = () => false;
    a.locators = [locator(A1), locator(A2)];
    a.start(73);
    expect(new Set(requests(world).map(({ requestNonce }) => requestNonce)).size).toBe(2);
    world.run(seconds(1));
    expect(only(b).peerLocators).toHaveLength(2);
  });

  test("is made for what changed while no daemon ran", () => {
    const { world, a, b } = switched();
    a.kill();
    a.setLocators([locator(A1), locator(A2)]);
    a.locators = [locator(A1), locator(A2), locator(A3)];
    a.start(73);
    world.run(seconds(1));
    expect(only(b).peerLocators).toHaveLength(3);
  });

  test("that was taken already is acknowledged and not taken again", () => {
    const { world, a, b } = switched();
    a.setLocators([locator(A1), locator(A2), locator(A3)]);
    world.run(seconds(1));
    const copy = world.sent.find(({ control }) => control?.message.type === "UpdateRequest");
    a.setOperational(A3, false);
    world.run(seconds(1));
    restart(b);
    if (copy !== undefined) b.receive(copy);
    expect(world.messages.at(-1)).toBe("UpdateAcknowledgement");
    expect(only(b).peerLocators.find(({ address: known }) => known === A3)?.broken).toBe(true);
  });
});

describe("a fork", () => {
  function forked(selectors: readonly FlowSelector[]): Lab & { tags: ContextTag[] } {
    const lab = established();
    const { world, a } = lab;
    const { tag } = only(a);
    const tags = selectors.map((selector) => {
      let made: ContextTag | undefined;
      a.command((endpoint, now) => {
        made = endpoint.fork(now, tag, selector, SECOND);
      });
      if (made === undefined) throw new Error("no fork");
      return made;
    });
    world.run(seconds(3));
    world.sent.length = 0;
    return { ...lab, tags };
  }

  test("keeps its selector, its preferred pair and its mapping", () => {
    const { world, a, tags } = forked([VIDEO]);
    const [tag] = tags;
    if (tag === undefined) throw new Error("no fork");
    const before = a.endpoint.context(tag);
    expect(before).toMatchObject({ locators: SECOND, preferred: SECOND, selector: VIDEO });
    const mapping = a.mappings.get(tag);
    restart(a);
    a.send(ULIDS, tag);
    world.run(seconds(1));
    expect(world.messages).toEqual([]);
    expect(a.endpoint.context(tag)).toMatchObject({
      locators: SECOND,
      preferred: SECOND,
      selector: VIDEO,
      forkedInstance: before?.forkedInstance,
    });
    expect(a.mappings.get(tag)).toEqual(mapping);
  });

  test("of the peer's maps nothing here", () => {
    const { b } = forked([VIDEO]);
    restart(b);
    expect(b.endpoint.contexts()).toHaveLength(2);
    expect(b.mappings.size).toBe(0);
  });

  test("that is newer comes after the older ones, whatever the order of the states", () => {
    const { a, tags } = forked([VIDEO, { dscp: 46 }, { mark: { value: 1, mask: 0xff } }]);
    a.kill();
    a.mappings.clear();
    expect(a.start(73, a.savedStates.toReversed())).toEqual([]);
    expect([...a.mappings.keys()]).toEqual(tags);
    a.kill();
    a.mappings.clear();
    expect(a.start(74, a.savedStates.toReversed())).toEqual([]);
    expect([...a.mappings.keys()]).toEqual(tags);
  });
});
