import { describe, expect, test } from "vitest";
import type { AddressPair } from "../../../src/core/output.ts";
import { MappedPairs } from "../../../src/dataplane/nfqueue/mapped-pairs.ts";
import { LOCATORS, reversed, ULIDS } from "./support/fakes.ts";

/** Rules whose changes end when the test says so. */
class SlowRules {
  readonly changes: { added: readonly AddressPair[]; removed: readonly AddressPair[] }[] = [];
  readonly #ends: { resolve: () => void; reject: (error: Error) => void }[] = [];

  changeMapped(added: readonly AddressPair[], removed: readonly AddressPair[]): Promise<void> {
    this.changes.push({ added, removed });
    return new Promise((resolve, reject) => this.#ends.push({ resolve, reject }));
  }

  async end(error?: Error): Promise<void> {
    const end = this.#ends.shift();
    if (error === undefined) end?.resolve();
    else end?.reject(error);
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const ignore = (): void => undefined;

describe("the rules of mapped pairs", () => {
  const failures: Error[] = [];

  function create(): { rules: SlowRules; pairs: MappedPairs } {
    failures.length = 0;
    const rules = new SlowRules();
    return { rules, pairs: new MappedPairs(rules, (error) => failures.push(error)) };
  }

  test("changes of one turn of the event loop are one run of the command", async () => {
    const { rules, pairs } = create();
    pairs.add(ULIDS, ignore);
    pairs.add(LOCATORS, ignore);
    await turn();
    expect(rules.changes).toEqual([{ added: [ULIDS, LOCATORS], removed: [] }]);
  });

  test("what comes while the command runs is done together after it", async () => {
    const { rules, pairs } = create();
    pairs.add(ULIDS, ignore);
    await turn();
    pairs.remove(ULIDS);
    pairs.add(LOCATORS, ignore);
    pairs.add(reversed(LOCATORS), ignore);
    pairs.remove(reversed(LOCATORS));
    await rules.end();
    expect(rules.changes.slice(1)).toEqual([{ added: [LOCATORS], removed: [ULIDS] }]);
  });

  test("a pair that is mapped already, or taken away and set again, changes nothing", async () => {
    const { rules, pairs } = create();
    pairs.add(ULIDS, ignore);
    await turn();
    await rules.end();
    pairs.add(ULIDS, ignore);
    pairs.remove(ULIDS);
    pairs.add(ULIDS, ignore);
    await turn();
    expect(rules.changes).toHaveLength(1);
  });

  test("that a pair is in force is told after the change, and at once if it is already", async () => {
    const { rules, pairs } = create();
    const told: string[] = [];
    pairs.add(ULIDS, () => told.push("first"));
    await turn();
    expect(told).toEqual([]);
    await rules.end();
    expect(told).toEqual(["first"]);
    pairs.add(ULIDS, () => told.push("second"));
    expect(told).toEqual(["first", "second"]);
  });

  test("of a pair that is added anew or removed before, only the last is told of", async () => {
    const { rules, pairs } = create();
    const told: string[] = [];
    pairs.add(ULIDS, () => told.push("first"));
    pairs.add(LOCATORS, () => told.push("removed"));
    await turn();
    pairs.add(ULIDS, () => told.push("second"));
    pairs.remove(LOCATORS);
    await rules.end();
    expect(told).toEqual(["second"]);
  });

  test("a pair added while the change that takes it away runs waits for the next", async () => {
    const { rules, pairs } = create();
    const told: string[] = [];
    pairs.add(ULIDS, ignore);
    await turn();
    await rules.end();
    pairs.remove(ULIDS);
    await turn();
    pairs.add(ULIDS, () => told.push("again"));
    await rules.end();
    expect(told).toEqual([]);
    await rules.end();
    expect(told).toEqual(["again"]);
    expect(rules.changes[2]).toEqual({ added: [ULIDS], removed: [] });
  });

  test("settled waits for the changes under way", async () => {
    const { rules, pairs } = create();
    let settled = false;
    pairs.add(ULIDS, ignore);
    const waiting = pairs.settled().then(() => {
      settled = true;
    });
    await turn();
    expect(settled).toBe(false);
    await rules.end();
    await waiting;
    expect(settled).toBe(true);
    await pairs.settled();
  });

  test("a pair added the moment a change ends is not forgotten", async () => {
    const { rules, pairs } = create();
    pairs.add(ULIDS, ignore);
    await turn();
    const afterwards = pairs.settled().then(() => pairs.add(LOCATORS, ignore));
    await rules.end();
    await afterwards;
    await turn();
    expect(rules.changes[1]).toEqual({ added: [LOCATORS], removed: [] });
  });

  test("a change that fails is told of, and nothing is tried after it", async () => {
    const { rules, pairs } = create();
    pairs.add(ULIDS, ignore);
    await turn();
    await rules.end(new Error("no such chain"));
    pairs.add(LOCATORS, ignore);
    await turn();
    expect(failures).toMatchObject([{ message: "no such chain" }]);
    expect(rules.changes).toHaveLength(1);
  });
});
