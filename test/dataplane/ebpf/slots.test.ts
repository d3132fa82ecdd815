import { describe, expect, test } from "vitest";
import { Slots } from "../../../src/dataplane/ebpf/slots.ts";

describe("slots", () => {
  test("each is given out once, until none is left", () => {
    const slots = new Slots(3);
    expect([slots.take(), slots.take(), slots.take(), slots.take()]).toEqual([0, 1, 2, undefined]);
  });

  test("one that was given back is given out again", () => {
    const slots = new Slots(2);
    slots.take();
    slots.take();
    slots.give(0);
    expect(slots.take()).toBe(0);
    expect(slots.take()).toBeUndefined();
  });

  test("those of an earlier run are passed over until they are given back", () => {
    const slots = new Slots(3, [0, 2]);
    expect([slots.take(), slots.take()]).toEqual([1, undefined]);
    slots.give(2);
    expect(slots.take()).toBe(2);
  });

  test("one that nobody has is not given back twice", () => {
    const slots = new Slots(2);
    slots.take();
    slots.give(0);
    slots.give(0);
    slots.give(1);
    expect([slots.take(), slots.take(), slots.take()]).toEqual([0, 1, undefined]);
  });
});
