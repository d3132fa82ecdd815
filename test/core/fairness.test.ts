import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PrefixShares } from "../../src/core/prefix-shares.ts";
import { seconds } from "../../src/core/time.ts";
import { address, type Host, World } from "./support/world.ts";

const HERE = "2001:db8:a::1";

/** Hosts with one address each, in the same /64 or not. */
function peers(world: World, prefix: string, count: number): Host[] {
  return Array.from({ length: count }, (_, i) => world.host(1000 + i, [`${prefix}::${i + 1}`]));
}

function openAll(world: World, hosts: readonly Host[]): void {
  for (const host of hosts) {
    host.open(host.locators[0]?.address ?? "", HERE);
    world.run(seconds(1));
  }
}

function causes(host: Host): string[] {
  return host.events.flatMap((event) => (event.event === "closed" ? [event.cause] : []));
}

describe("a full table", () => {
  test("gives a newcomer the place of one of those who have most", () => {
    const world = new World();
    const here = world.host(1, [HERE], { maxContexts: 4 });
    openAll(world, peers(world, "2001:db8:bad", 4));
    openAll(world, peers(world, "2001:db8:b", 1));
    const held = here.endpoint.contexts().map(({ ulids }) => ulids.peer);
    expect(held).toContain("2001:db8:b::1");
    expect(held).toHaveLength(4);
    expect(causes(here)).toEqual(["evicted"]);
    expect(here.endpoint.counters["context-evicted"]).toBe(1);
  });

  test("refuses whoever would then have as many as anybody", () => {
    const world = new World();
    const here = world.host(1, [HERE], { maxContexts: 4 });
    openAll(world, peers(world, "2001:db8:1", 2));
    openAll(world, peers(world, "2001:db8:2", 2));
    openAll(world, peers(world, "2001:db8:1", 3).slice(2));
    openAll(world, peers(world, "2001:db8:2", 3).slice(2));
    expect(here.endpoint.contexts()).toHaveLength(4);
    expect(causes(here)).toEqual([]);
    expect(here.endpoint.counters["drop-context-limit"]).toBeGreaterThanOrEqual(2);
  });

  test("gives up the context that was of no use for longest", () => {
    const world = new World();
    const here = world.host(1, [HERE], { maxContexts: 3 });
    const crowd = peers(world, "2001:db8:bad", 3);
    openAll(world, crowd);
    const [first] = crowd;
    first?.send({ local: address("2001:db8:bad::1"), peer: address(HERE) });
    // The next reading of the traffic shows that the oldest context is in use.
    world.run(seconds(40));
    openAll(world, peers(world, "2001:db8:b", 1));
    const held = here.endpoint.contexts().map(({ ulids }) => ulids.peer);
    expect(held).toContain("2001:db8:bad::1");
    expect(held).not.toContain("2001:db8:bad::2");
  });

  test("a prefix has no more contexts than its limit, though there is room", () => {
    const world = new World();
    const here = world.host(1, [HERE], { maxContextsPerPrefix: 2 });
    openAll(world, peers(world, "2001:db8:bad", 5));
    openAll(world, peers(world, "2001:db8:b", 2));
    expect(here.endpoint.contexts()).toHaveLength(4);
    expect(here.endpoint.counters["drop-prefix-limit"]).toBeGreaterThanOrEqual(3);
  });
});

test("shares know their sizes, the largest, and who came first, after any changes", () => {
  const change = fc.tuple(fc.boolean(), fc.constantFrom("a", "b", "c"), fc.nat({ max: 6 }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const shares = new PrefixShares<number>();
      const expected = new Map<string, number[]>([
        ["a", []],
        ["b", []],
        ["c", []],
      ]);
      for (const [adding, prefix, item] of changes) {
        const items = expected.get(prefix) ?? [];
        if (adding) shares.add(prefix, item);
        else shares.remove(prefix, item);
        if (!adding)
          expected.set(
            prefix,
            items.filter((other) => other !== item),
          );
        else if (!items.includes(item)) items.push(item);
      }
      const most = Math.max(...[...expected.values()].map(({ length }) => length));
      const largest = shares.largest();
      expect(largest === undefined ? 0 : shares.sizeOf(largest)).toBe(most);
      for (const [prefix, items] of expected) {
        expect(shares.sizeOf(prefix)).toBe(items.length);
        expect(shares.oldest(prefix, 3)).toEqual(items.slice(0, 3));
      }
    }),
  );
});
