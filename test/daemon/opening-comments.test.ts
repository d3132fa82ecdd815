import { afterEach, beforeEach, expect, test } from "vitest";
import { address } from "./fakes.ts";
import { A1, B1, type TestDaemon, Workshop } from "./fixture.ts";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
});

afterEach(() => workshop.close());

/** What a reader is told first. */
function commentsOf({ daemon }: TestDaemon, snapLength?: number): readonly string[] {
  const told: string[] = [];
  const nothing = () => undefined;
  const reader = {
    begin: (comments: readonly string[]) => void told.push(...comments),
    ...{ packet: nothing, missed: nothing, end: nothing },
  };
  daemon.captures.subscribe(reader, snapLength)();
  return told;
}

test("a capture says what is in it, and how the contexts stood when it began", async () => {
  const { a } = await workshop.establish();
  const tag = [...a.daemon.contexts()][0]?.localTag;
  expect(commentsOf(a)).toEqual([
    "l3shim: control messages",
    `context ${tag}; ${A1} > ${B1}; pair: ${A1} > ${B1}; state: Operational`,
  ]);
  expect(commentsOf(a, 96)[0]).toBe(
    "l3shim: control messages, and payload: 96 octets of each packet at most",
  );
});

test("of very many contexts the number is told", async () => {
  const { a } = await workshop.establish();
  for (let i = 1; i <= 102; i++) {
    const peer = address(`2001:db8:c1::${i.toString(16)}`);
    a.plane.events.trigger(a.clock.now(), { local: A1, peer });
  }
  const comments = commentsOf(a);
  expect(comments).toHaveLength(1 + 100 + 1);
  expect(comments.at(-2)).toContain("state: I1-SENT");
  expect(comments.at(-1)).toBe("and 3 more contexts");
});
