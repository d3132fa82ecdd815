import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SEND_TIMEOUT_JITTER } from "../../src/core/defaults.ts";
import { Random } from "../../src/core/random.ts";
import { between, type Instant, instant, scale, seconds } from "../../src/core/time.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, ProbeState } from "../../src/wire/message.ts";
import type { ContextTag } from "../../src/wire/tag.ts";
import { type Action, PerPacketReap } from "./support/per-packet-reap.ts";
import { address, type Host, nameOf, World } from "./support/world.ts";

/**
 * The contract "traffic without a call per packet": an endpoint that reads snapshots only when
 * a timer might be due does what the machine of RFC 5534 section 6 does that sees every packet.
 */

const A = address("2001:db8:a::1");
const B = address("2001:db8:b::1");
const SEND_TIMEOUT = seconds(15);
/** With the middle of its jitter. */
const ACTUAL_SEND_TIMEOUT = scale(SEND_TIMEOUT, 1 + SEND_TIMEOUT_JITTER / 2);
const PEER_SEND_TIMEOUT = seconds(12);

/** Makes every random factor its middle, 1, so that no jitter stands between the two machines. */
const MIDDLE = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i === 0 ? 0x80 : 0));

const INPUTS = [
  "payload-in",
  "payload-out",
  "keepalive",
  "probe-exploring",
  "probe-inboundok",
  "probe-operational",
  "explore",
] as const;
type Input = (typeof INPUTS)[number];

interface Step {
  readonly at: Instant;
  readonly input: Input;
}

/** An established context whose peer is played by the test; the network swallows its answers. */
function establishedHost(): { world: World; host: Host; tag: ContextTag } {
  const world = new World();
  const host = world.host(1, [A], { random: MIDDLE, sendTimeout: SEND_TIMEOUT });
  const peer = world.host(2, [B], { sendTimeout: PEER_SEND_TIMEOUT });
  host.open(A, B);
  world.run(seconds(1));
  world.hosts.splice(world.hosts.indexOf(peer), 1);
  world.sent.length = 0;
  const [context] = host.endpoint.contexts();
  if (context?.state !== "ESTABLISHED") throw new Error("no context");
  return { world, host, tag: context.tag };
}

function feed(host: Host, world: World, tag: ContextTag, input: Input): void {
  if (input === "explore") return host.command((endpoint, now) => endpoint.explore(now, tag));
  if (input === "payload-out") return host.send({ local: A, peer: B });
  if (input === "payload-in") {
    return host.receive({ source: B, destination: A, payload: { tag: undefined } });
  }
  const message = peerMessage(tag, input, world.now);
  host.receive({ source: B, destination: A, control: { bytes: encodeControl(message), message } });
}

function peerMessage(tag: ContextTag, input: Input, now: Instant): ControlMessage {
  if (input === "keepalive") return { type: "Keepalive", receiverContextTag: tag, options: [] };
  const probe = { source: B, destination: A, nonce: Math.floor(now) >>> 0, data: 0 };
  return {
    type: "Probe",
    receiverContextTag: tag,
    state: input.replace("probe-", "") as ProbeState,
    sentProbes: [probe],
    receivedProbes: [],
    options: [],
  };
}

function playEndpoint(
  steps: readonly Step[],
  end: Instant,
): { actions: Action[]; state: string | undefined } {
  const { world, host, tag } = establishedHost();
  const offset = world.now;
  for (const { at, input } of steps) {
    world.run(between(world.now, instant(offset + at)));
    feed(host, world, tag, input);
  }
  world.run(between(world.now, instant(offset + end)));
  const actions = world.sent.flatMap(({ at, control }) =>
    control === undefined ? [] : [{ at: instant(at - offset), action: nameOf(control.message) }],
  );
  return { actions, state: host.endpoint.context(tag)?.reapState };
}

function playReference(steps: readonly Step[], end: Instant): { actions: Action[]; state: string } {
  const machine = new PerPacketReap(
    { sendTimeout: ACTUAL_SEND_TIMEOUT, keepaliveTimeout: PEER_SEND_TIMEOUT },
    new Random(MIDDLE),
  );
  const runUntil = (limit: Instant): void => {
    for (let next = machine.next; next !== undefined && next <= limit; next = machine.next)
      machine.timeout(next);
  };
  for (const { at, input } of steps) {
    runUntil(at);
    machine.handle(at, input);
  }
  runUntil(end);
  return { actions: machine.actions, state: machine.state };
}

/** Gaps from a millisecond to longer than every timeout, at odd fractions, so that nothing ties. */
const sequences = fc
  .array(
    fc.record({
      gap: fc.oneof(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 1, max: 20_000 }),
        // Long enough for all timers to run out, so that the context is quiet.
        { weight: 1, arbitrary: fc.integer({ min: 12_000, max: 60_000 }) },
      ),
      input: fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom<Input>("payload-in", "payload-out") },
        { weight: 2, arbitrary: fc.constantFrom<Input>(...INPUTS) },
      ),
    }),
    { maxLength: 50 },
  )
  .map((gaps) => {
    let at = 0;
    return gaps.map(({ gap, input }, i): Step => {
      at += gap + 0.0137 + i / 8192;
      return { at: instant(at), input };
    });
  });

function rounded({
  actions,
  state,
}: {
  actions: readonly Action[];
  state: string | undefined;
}): unknown {
  return { state, actions: actions.map(({ at, action }) => `${at.toFixed(3)} ${action}`) };
}

function compare(steps: readonly Step[]): void {
  const end = instant((steps.at(-1)?.at ?? 0) + 100_000.5);
  expect(rounded(playEndpoint(steps, end))).toEqual(rounded(playReference(steps, end)));
}

describe("REAP from snapshots (RFC 5534 section 6)", () => {
  test("sends the same messages at the same instants as the machine that sees every packet", () => {
    fc.assert(fc.property(sequences, compare), { numRuns: 1500 });
  });

  test("keepalives: three within the peer's Send Timeout after the last payload, then none", () => {
    const steps: Step[] = [{ at: instant(2000), input: "payload-in" }];
    const { actions } = playEndpoint(steps, instant(60_000));
    expect(actions).toEqual([
      { at: 6000, action: "Keepalive" },
      { at: 10_000, action: "Keepalive" },
      { at: 14_000, action: "Keepalive" },
    ]);
  });

  test("the Send Timer counts from the first payload that went unanswered", () => {
    const steps: Step[] = [
      { at: instant(1000), input: "payload-out" },
      { at: instant(2000), input: "keepalive" },
      { at: instant(9000), input: "payload-out" },
      { at: instant(23_000), input: "payload-out" },
    ];
    const { actions } = playEndpoint(steps, instant(24_500));
    expect(actions).toEqual([{ at: 9000 + ACTUAL_SEND_TIMEOUT, action: "Probe/exploring" }]);
  });
});
