import { describe, expect, test } from "vitest";
import { PrefixBuckets } from "../../src/core/prefix-buckets.ts";
import { after, instant, milliseconds, minutes, seconds } from "../../src/core/time.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, Probe } from "../../src/wire/message.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { address, type Host, type Sent, World } from "./support/world.ts";

/* Nobody can have us send a victim more than was sent to us for it (RFC 5533 section 16.2). */

const A1 = "2001:db8:a1::1";
const A2 = "2001:db8:a2::1";
const B1 = "2001:db8:b1::1";
const VICTIM = "2001:db8:dead::1";
const VICTIM_2 = "2001:db8:dead::2";
const ULIDS = { local: address(A1), peer: address(B1) };
const IPV6_HEADER = 40;

interface Lab {
  readonly world: World;
  readonly a: Host;
  readonly b: Host;
}

/** B claims addresses of a victim, who of course never answers. */
function withVictim(): Lab {
  const world = new World();
  const a = world.host(81, [A1, A2]);
  const b = world.host(82, [B1, VICTIM, VICTIM_2]);
  b.open(B1, A1);
  world.run(seconds(1));
  world.loses = ({ destination }) => destination === VICTIM || destination === VICTIM_2;
  return { world, a, b };
}

function octets(packets: readonly Sent[]): number {
  return packets.reduce((sum, { control }) => sum + IPV6_HEADER + (control?.bytes.length ?? 0), 0);
}

function sentTo(world: World, victims: readonly string[]): Sent[] {
  return world.sent.filter(({ destination }) => victims.includes(destination));
}

/** What B sent to A, or somebody in B's name. */
function sentBy({ world, b }: Lab): Sent[] {
  return world.sent.filter(({ source, control }) => control !== undefined && b.owns(source));
}

function forgeProbe({ world, a }: Lab, nonce: number): void {
  const [context] = a.endpoint.contexts();
  if (context === undefined) throw new Error("no context");
  const message: Probe = {
    type: "Probe",
    receiverContextTag: context.tag,
    state: "exploring",
    sentProbes: [{ source: address(B1), destination: address(A1), nonce, data: 0 }],
    receivedProbes: [],
    options: [],
  };
  const bytes = encodeControl(message);
  world.sent.push({
    ...{ source: address(B1), destination: address(A1), control: { bytes, message } },
    ...{ at: world.now, lost: false },
  });
  a.receive({ source: address(B1), destination: address(A1), control: { bytes, message } });
}

describe("a victim whose addresses a peer claims", () => {
  test.each([1, 20, 200])("gets no more than came for it, after %i forged probes", (count) => {
    const lab = withVictim();
    // B is silent from now on: what comes in its name is forged.
    lab.world.loses = ({ source, destination }) =>
      lab.b.owns(source) || lab.b.owns(destination) || destination === VICTIM;
    for (let i = 0; i < count; i++) {
      forgeProbe(lab, i);
      lab.world.run(milliseconds(250));
    }
    lab.world.run(minutes(20));
    const flood = sentTo(lab.world, [VICTIM, VICTIM_2]);
    const paid = sentBy(lab);
    expect(flood.length).toBeLessThanOrEqual(paid.length);
    expect(octets(flood)).toBeLessThanOrEqual(octets(paid));
    expect(lab.a.endpoint.counters["drop-probe-allowance"]).toBeGreaterThan(0);
  });

  test("is probed all the same when our own payload has no answer: nobody else can feign that", () => {
    const lab = withVictim();
    lab.world.loses = ({ source, destination }) => lab.b.owns(source) || lab.b.owns(destination);
    lab.a.send(ULIDS);
    lab.world.run(seconds(60));
    expect(sentTo(lab.world, [VICTIM, VICTIM_2]).length).toBeGreaterThan(2);
    expect(lab.a.endpoint.counters["drop-probe-allowance"]).toBe(0);
  });

  test("gets few probes even from many contexts at once", () => {
    const buckets = new PrefixBuckets(50, 500);
    const passed = (until: number): number => {
      let count = 0;
      for (let at = 0; at < until; at++) {
        for (const victim of [VICTIM, VICTIM_2]) {
          if (buckets.take(instant(at), address(victim))) count += 1;
        }
      }
      return count;
    };
    expect(passed(10_000)).toBe(500 + 50 * 10 - 1);
  });
});

test("a peer that does answer at its locator costs no allowance there", () => {
  const world = new World();
  const a = world.host(83, [A1, A2]);
  const b = world.host(84, [B1, "2001:db8:b2::1"]);
  b.open(B1, A1);
  world.run(seconds(1));
  world.loses = ({ source, destination }) => source === B1 || destination === B1;
  for (let minute = 0; minute < 5; minute++) {
    b.send({ local: address(B1), peer: address(A1) });
    a.send(ULIDS);
    world.run(minutes(1));
  }
  expect(a.endpoint.contexts()[0]?.reapState).toBe("Operational");
  expect(a.endpoint.contexts()[0]?.locators.peer).toBe("2001:db8:b2::1");
});

describe("strangers get answers at a bounded rate, whatever they send", () => {
  type Message = (i: number) => ControlMessage;

  const kinds: [string, Message][] = [
    [
      "R1",
      (i) => ({ type: "I1", initiatorContextTag: contextTag(i), initiatorNonce: i, options: [] }),
    ],
    ["R1bis", (i) => ({ type: "Keepalive", receiverContextTag: contextTag(i), options: [] })],
    ["Error", () => ({ type: "Unknown", typeCode: 77, body: new Uint8Array(10) })],
  ];

  test.each(kinds)("%s", (answer, message) => {
    const world = new World();
    const here = world.host(85, [A1]);
    const flood = (count: number): number => {
      const before = world.messages.filter((name) => name === answer).length;
      for (let i = 0; i < count; i++) {
        const said = message(i);
        const control = { bytes: encodeControl(said), message: said };
        here.receive({ source: address(B1), destination: address(A1), control });
      }
      return world.messages.filter((name) => name === answer).length - before;
    };
    expect(flood(5_000)).toBe(2_000);
    expect(here.endpoint.counters["drop-rate-limit"]).toBe(3_000);
    world.now = after(world.now, milliseconds(500));
    expect(flood(5_000)).toBe(500);
    expect(here.endpoint.contexts()).toEqual([]);
  });
});
