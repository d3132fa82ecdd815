import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeAttributes, decodeMessages, type NetlinkMessage } from "../../src/linux/netlink.ts";
import { type QueuedPacket, RESERVED_BEFORE } from "../../src/linux/queue.ts";
import { MAX_REPLACEMENT_LENGTH, VerdictBuffer } from "../../src/linux/verdict-buffer.ts";

const QUEUE = 0x0102;

type Verdict = "accept" | "mark" | "drop" | "replace" | "in place" | "given up";
const MARK = 0x0800_0001;

/** What the kernel would do with a packet. */
interface Outcome {
  readonly verdict: "accept" | "drop";
  readonly payload?: Uint8Array;
  readonly mark?: Uint8Array;
}

function packet(id: number): QueuedPacket {
  const payload = Uint8Array.of(0x60);
  return { id, hook: 3, inputInterface: 0, outputInterface: 2, mark: 0, payload, length: 1 };
}

/** The kernel's side: the packets that wait, and what becomes of them. */
class FakeKernel {
  readonly waiting: number[];
  readonly outcomes = new Map<number, Outcome>();
  readonly calls: number[] = [];
  messages = 0;

  constructor(ids: readonly number[]) {
    this.waiting = [...ids];
  }

  readonly send = (bytes: Uint8Array, length: number): void => {
    this.calls.push(length);
    for (const message of decodeMessages(bytes.subarray(0, length))) this.#take(message);
  };

  #take({ type, flags, body }: NetlinkMessage): void {
    this.messages++;
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    if (flags !== 1 || view.getUint16(2) !== QUEUE) throw new Error("wrong header");
    const attributes = decodeAttributes(body, 4);
    const header = attributes.get(2) ?? new Uint8Array(0);
    const numbers = new DataView(header.buffer, header.byteOffset, header.byteLength);
    const verdict = numbers.getUint32(0) === 1 ? "accept" : "drop";
    const id = numbers.getUint32(4);
    const payload = attributes.get(10)?.slice();
    const mark = attributes.get(3)?.slice();
    const outcome: Outcome = {
      verdict,
      ...(payload === undefined ? {} : { payload }),
      ...(mark === undefined ? {} : { mark }),
    };
    const batch = type === 0x0303;
    // "After" in the sense of numbers that wrap, as in nfnetlink_queue.c.
    const named = this.waiting.filter((each) => each === id || (batch && ((id - each) | 0) > 0));
    if (named.length === 0) throw new Error(`verdict on ${id}, which does not wait`);
    for (const each of named) {
      this.waiting.splice(this.waiting.indexOf(each), 1);
      this.outcomes.set(each, outcome);
    }
  }
}

function idsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (first + i) >>> 0);
}

function replacement(id: number): Uint8Array {
  return Uint8Array.of(0x60, id & 0xff, id >>> 24);
}

function give(buffer: VerdictBuffer, id: number, verdict: Verdict): void {
  if (verdict === "accept") buffer.accept(id);
  else if (verdict === "mark") buffer.accept(id, MARK);
  else if (verdict === "drop") buffer.drop(id);
  else if (verdict === "in place") replaceInPlace(buffer, id);
  else if (verdict === "given up") {
    buffer.reserve(100);
    buffer.drop(id);
  } else buffer.replace(id, replacement(id));
}

/** Reserves more than it needs, and writes all that it may. */
function replaceInPlace(buffer: VerdictBuffer, id: number): void {
  const content = replacement(id);
  const at = buffer.reserve(content.length + 9);
  buffer.room.fill(0xee, at - RESERVED_BEFORE, at + content.length + 9);
  buffer.room.set(content, at);
  buffer.replaceReserved(id, content.length, MARK);
}

function expectedOutcome(id: number, verdict: Verdict): Outcome {
  switch (verdict) {
    case "replace":
      return { verdict: "accept", payload: replacement(id) };
    case "in place":
      return { verdict: "accept", payload: replacement(id), mark: Uint8Array.of(8, 0, 0, 1) };
    case "mark":
      return { verdict: "accept", mark: Uint8Array.of(8, 0, 0, 1) };
    case "given up":
      return { verdict: "drop" };
    default:
      return { verdict };
  }
}

describe("the verdicts of a batch", () => {
  test("each packet gets its own, whatever they are and in whatever order", () => {
    const verdict = fc.constantFrom<Verdict>(
      "accept",
      "accept",
      "accept",
      "mark",
      "drop",
      "replace",
      "in place",
      "given up",
    );
    fc.assert(
      fc.property(
        fc.array(verdict, { minLength: 1, maxLength: 64 }),
        fc.constantFrom(1, 0xffff_fff0),
        fc.boolean(),
        fc.infiniteStream(fc.nat()),
        (verdicts, first, inOrder, keys) => {
          const ids = idsFrom(first, verdicts.length);
          const chosen = ids.map((id, i) => ({ id, verdict: verdicts[i] ?? "accept", key: i }));
          const given = inOrder
            ? chosen
            : chosen
                .map((each) => ({ ...each, key: keys.next().value }))
                .sort((a, b) => a.key - b.key);
          const kernel = new FakeKernel(ids);
          const buffer = new VerdictBuffer(QUEUE, kernel.send);
          buffer.begin(ids.map(packet));
          for (const each of given) give(buffer, each.id, each.verdict);
          buffer.flush();
          expect(kernel.waiting).toEqual([]);
          expect(kernel.calls).toHaveLength(1);
          for (const { id, verdict: each } of chosen) {
            expect(kernel.outcomes.get(id)).toEqual(expectedOutcome(id, each));
          }
        },
      ),
    );
  });

  test("a packet that has no verdict yet is not swept along by a later run of accepts", () => {
    const ids = idsFrom(1, 5);
    const kernel = new FakeKernel(ids);
    const buffer = new VerdictBuffer(QUEUE, kernel.send);
    buffer.begin(ids.map(packet));
    for (const id of [1, 3, 4, 5]) buffer.accept(id);
    buffer.flush();
    expect(kernel.waiting).toEqual([2]);
  });

  test("a run of accepts is one message", () => {
    const ids = idsFrom(1, 64);
    const kernel = new FakeKernel(ids);
    const buffer = new VerdictBuffer(QUEUE, kernel.send);
    buffer.begin(ids.map(packet));
    for (const id of ids) buffer.accept(id);
    buffer.flush();
    expect(kernel.messages).toBe(1);
    expect(kernel.outcomes.size).toBe(64);
  });

  test("what does not fit into one call leaves in several", () => {
    const ids = idsFrom(1, 5);
    const kernel = new FakeKernel(ids);
    const buffer = new VerdictBuffer(QUEUE, kernel.send);
    const large = new Uint8Array(MAX_REPLACEMENT_LENGTH).fill(7);
    buffer.begin(ids.map(packet));
    for (const id of ids) buffer.replace(id, large);
    buffer.flush();
    expect(kernel.calls).toHaveLength(5);
    expect(kernel.outcomes.get(5)?.payload).toEqual(large);
  });

  test("what does not fit in place leaves in several, too", () => {
    const ids = idsFrom(1, 5);
    const kernel = new FakeKernel(ids);
    const buffer = new VerdictBuffer(QUEUE, kernel.send);
    buffer.begin(ids.map(packet));
    for (const id of ids) {
      const at = buffer.reserve(MAX_REPLACEMENT_LENGTH);
      buffer.room.fill(id, at, at + MAX_REPLACEMENT_LENGTH);
      buffer.replaceReserved(id, MAX_REPLACEMENT_LENGTH, MARK);
    }
    buffer.flush();
    expect(kernel.calls).toHaveLength(5);
    expect(kernel.outcomes.get(5)?.payload).toEqual(new Uint8Array(MAX_REPLACEMENT_LENGTH).fill(5));
  });

  test("nothing is sent when there is no verdict", () => {
    const kernel = new FakeKernel([]);
    const buffer = new VerdictBuffer(QUEUE, kernel.send);
    buffer.begin([]);
    buffer.flush();
    expect(kernel.calls).toEqual([]);
  });

  test("a packet longer than NFQUEUE can take is our own fault", () => {
    const buffer = new VerdictBuffer(QUEUE, () => undefined);
    buffer.begin([packet(1)]);
    expect(() => buffer.replace(1, new Uint8Array(MAX_REPLACEMENT_LENGTH + 1))).toThrow(RangeError);
    expect(() => buffer.reserve(MAX_REPLACEMENT_LENGTH + 1)).toThrow(RangeError);
  });
});
