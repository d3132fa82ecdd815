import { beforeEach, describe, expect, test } from "vitest";
import { ContextMaps } from "../../../src/dataplane/ebpf/context-maps.ts";
import { type PairContexts, PlaneContexts } from "../../../src/dataplane/ebpf/contexts.ts";
import {
  encodeFork,
  encodeForkKey,
  encodePair,
  encodePairState,
  encodePeerTag,
  encodeTag,
  encodeTagged,
  FORKS_MAX,
  NO_SLOT,
} from "../../../src/dataplane/ebpf/layout.ts";
import { literal } from "../../../src/lab/topology.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import { context, LOCATORS, mapped, PEER_TAG, ULIDS } from "./support/contexts.ts";
import { FakeMap, hex } from "./support/fake-map.ts";

let journal: string[];
let fakes: Record<"pairs" | "tags" | "peerTags" | "forks", FakeMap>;
let maps: ContextMaps;

beforeEach(() => {
  journal = [];
  fakes = {
    pairs: new FakeMap("pair", journal),
    tags: new FakeMap("tag", journal),
    peerTags: new FakeMap("peer tag", journal),
    forks: new FakeMap("fork", journal),
  };
  maps = new ContextMaps({ ...fakes, pairsChanged: () => journal.push("new generation") });
});

function pairOf(fields: Partial<PairContexts>): PairContexts {
  return { ulids: ULIDS, main: undefined, forks: [], led: false, ...fields };
}

function forkOf(tag: number, selector = {}) {
  const active = mapped(contextTag(0x100 + tag), selector);
  return context(tag, { forked: true, active });
}

describe("publishing a pair", () => {
  test("has its forks in place before its entry names them, and takes them away after it", () => {
    const forks = [forkOf(1), forkOf(2), forkOf(3)];
    expect(maps.publish(pairOf({ main: context(9), forks }), undefined)).toBe(true);
    const published = ["set pair", "new generation"];
    expect(journal).toEqual(["set fork", "set fork", "set fork", ...published]);
    journal.length = 0;
    maps.publish(pairOf({ main: context(9), forks: forks.slice(0, 1) }), undefined);
    expect(journal).toEqual(["set fork", ...published, "delete fork", "delete fork"]);
  });

  test("writes record, mapping, number of forks and the ULIDs' own way", () => {
    const active = mapped();
    const plain = { link: 3, gateway: undefined, mtu: 1400 };
    const forks = [forkOf(2, { dscp: 5 }), context(3, { forked: true })];
    maps.publish(pairOf({ main: context(4, { active }), forks }), plain);
    const expected = { slot: 4, mapping: active, forks: 1, plain, peerUlid: ULIDS.peer };
    expect(fakes.pairs.get(encodePair(ULIDS))).toEqual(encodePairState(expected));
    const fork = encodeFork(2, mapped(contextTag(0x102), { dscp: 5 }));
    expect(fakes.forks.get(encodeForkKey(ULIDS, 0))).toEqual(fork);
    expect(fakes.forks.values.size).toBe(1);
  });

  test("leaves out contexts that the maps had no room for", () => {
    const active = mapped();
    const main = context(4, { slot: undefined, active });
    const forks = [context(5, { slot: undefined, forked: true, active }), forkOf(6)];
    maps.publish(pairOf({ main, forks }), undefined);
    const expected = { slot: NO_SLOT, mapping: undefined, forks: 1 };
    const state = encodePairState({ ...expected, plain: undefined, peerUlid: ULIDS.peer });
    expect(fakes.pairs.get(encodePair(ULIDS))).toEqual(state);
  });

  test("shows as many forks as the kernel looks at, and says that there are more", () => {
    const forks = Array.from({ length: FORKS_MAX + 1 }, (_, i) => forkOf(i));
    expect(maps.publish(pairOf({ forks: forks.slice(1) }), undefined)).toBe(true);
    expect(maps.publish(pairOf({ forks }), undefined)).toBe(false);
    expect(fakes.forks.values.size).toBe(FORKS_MAX);
  });

  test("is undone by a withdrawal, the entry before its forks", () => {
    maps.publish(pairOf({ forks: [forkOf(1), forkOf(2)] }), undefined);
    journal.length = 0;
    maps.withdraw(ULIDS);
    expect(journal).toEqual(["delete pair", "new generation", "delete fork", "delete fork"]);
  });
});

describe("tags", () => {
  test("are read back with record and ULIDs", () => {
    const tag = contextTag(0x7fff_ffff_ffff);
    maps.setTag(tag, { slot: 5, ulids: ULIDS });
    expect([...maps.read()]).toEqual([[tag, { slot: 5, ulids: ULIDS }]]);
    maps.deleteTag(tag);
    expect(maps.read().size).toBe(0);
  });

  test("of the peer go in with the mapping, and out with it", () => {
    const known = context(4, { active: mapped() });
    maps.setPeerTag(known);
    const key = encodePeerTag(LOCATORS.peer, PEER_TAG);
    expect(fakes.peerTags.get(key)).toEqual(encodeTagged(4, ULIDS));
    maps.deletePeerTag(known);
    maps.setPeerTag(context(5));
    maps.setPeerTag(context(5, { slot: undefined, active: mapped() }));
    expect(fakes.peerTags.values.size).toBe(0);
  });
});

test("what no context has is stale, and all of it goes; what one has stays", () => {
  const other = { local: ULIDS.local, peer: literal("2001:db8:9::9") };
  const contexts = new PlaneContexts();
  const main = context(1, { active: mapped() });
  const fork = context(2, { forked: true, active: mapped(contextTag(0x222)) });
  for (const each of [main, fork]) contexts.add(each);
  const kept = [
    [fakes.tags, encodeTag(contextTag(1))],
    [fakes.peerTags, encodePeerTag(LOCATORS.peer, PEER_TAG)],
    [fakes.pairs, encodePair(ULIDS)],
    [fakes.forks, encodeForkKey(ULIDS, 0)],
  ] as const;
  const stale = [
    [fakes.tags, encodeTag(contextTag(77))],
    [fakes.peerTags, encodePeerTag(LOCATORS.peer, contextTag(0x333))],
    [fakes.peerTags, encodePeerTag(other.peer, PEER_TAG)],
    [fakes.pairs, encodePair(other)],
    [fakes.forks, encodeForkKey(ULIDS, 1)],
    [fakes.forks, encodeForkKey(other, 0)],
  ] as const;
  for (const [map, key] of [...kept, ...stale]) map.update(key, encodeTagged(1, ULIDS));
  maps.deleteStale(contexts);
  const left = Object.values(fakes).flatMap((map) => [...map.values.keys()]);
  expect(left.sort()).toEqual(kept.map(([, key]) => hex(key)).sort());
});
