import { expect, test } from "vitest";
import { Store } from "../../web/src/store.ts";
import { contextOf } from "./contexts.ts";

function take(store: Store, isFirst: boolean, ...tags: string[]): void {
  const contexts = tags.map((localTag) => contextOf({ localTag }));
  store.takeContexts(contexts, isFirst);
}

test("what a whole list has left out is gone, and what came meanwhile stays", () => {
  const store = new Store();
  take(store, true, "a", "b");
  take(store, false, "c");
  store.endContexts(1_000);
  take(store, true, "b");
  expect([...store.contexts.keys()]).toEqual(["a", "b", "c"]);
  store.takeContext({ schemaVersion: 1, context: contextOf({ localTag: "d" }), pairs: [] });
  take(store, false, "c");
  store.endContexts(2_000);
  expect([...store.contexts.keys()]).toEqual(["b", "c", "d"]);
});

test("when the chosen context is gone, another one is chosen", () => {
  const store = new Store();
  take(store, true, "a", "b");
  expect(store.selected).toBe("a");
  take(store, true, "b");
  store.endContexts(1_000);
  expect(store.selected).toBe("b");
});
