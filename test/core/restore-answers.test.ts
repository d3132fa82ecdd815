import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Duration } from "../../src/core/time.ts";
import { seconds } from "../../src/core/time.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, ProbeState } from "../../src/wire/message.ts";
import {
  A1,
  A2,
  A3,
  B1,
  B2,
  established,
  type Lab,
  locator,
  only,
  REVERSED,
  switched,
  ULIDS,
} from "./support/restart.ts";
import { address, type Host } from "./support/world.ts";

describe("a restored endpoint", () => {
  const PAIRS = [A1, A2].flatMap((local) => [B1, B2].map((peer) => ({ local, peer })));
  const STATES: readonly ProbeState[] = ["operational", "exploring", "inboundok"];

  const NONCES = 5;

  /** What may come from the peer: of a kind, over a pair, at a distance in ms. */
  const input = fc.record({
    kind: fc.constantFrom("Keepalive", "Probe", "payload", "UpdateRequest", "send", "I1" as const),
    pair: fc.constantFrom(...PAIRS),
    state: fc.constantFrom(...STATES),
    nonce: fc.integer({ min: 1, max: NONCES }),
    // Timers that control messages started are not kept: none may run out in a run.
    wait: fc.integer({ min: 0, max: 300 }),
  });
  type Input = typeof input extends fc.Arbitrary<infer Value> ? Value : never;

  function messageOf({ kind, state, nonce, pair }: Input, host: Host): ControlMessage | undefined {
    const receiverContextTag = only(host).tag;
    switch (kind) {
      case "Keepalive":
        return { type: "Keepalive", receiverContextTag, options: [] };
      case "Probe": {
        const itself = { source: address(pair.peer), destination: address(pair.local) };
        const sentProbes = [{ ...itself, nonce, data: 0 }];
        return {
          type: "Probe",
          receiverContextTag,
          state,
          sentProbes,
          receivedProbes: [],
          options: [],
        };
      }
      case "UpdateRequest": {
        const timeout = { name: "KeepaliveTimeout" as const, critical: false, timeout: 10 + nonce };
        return {
          type: "UpdateRequest",
          receiverContextTag,
          requestNonce: nonce,
          options: [timeout],
        };
      }
      case "I1": {
        const initiatorContextTag = only(host).peerTag;
        if (initiatorContextTag === undefined) throw new Error("no tag");
        return { type: "I1", initiatorContextTag, initiatorNonce: nonce, options: [] };
      }
      default:
        return undefined;
    }
  }

  function give({ world, a }: Lab, one: Input): void {
    world.run(one.wait as Duration);
    const source = address(one.pair.peer);
    const destination = address(one.pair.local);
    const message = messageOf(one, a);
    if (one.kind === "send") a.send(ULIDS);
    else if (message === undefined) {
      a.receive({ source, destination, payload: { tag: only(a).tag } });
    } else {
      a.receive({ source, destination, control: { bytes: encodeControl(message), message } });
    }
  }

  /** All that left, without random nonces, and what has become of the context. */
  function outcome({ world, a }: Lab): unknown {
    const sent = world.sent.map(({ at, source, destination, control, payload }) => [
      at,
      source,
      destination,
      payload,
      control && kindOf(control.message),
    ]);
    const { reapState, locators, peerLocators, switches } = only(a);
    return { sent, reapState, locators, peerLocators, switches };
  }

  function kindOf(message: ControlMessage): unknown {
    if (message.type === "Probe") return [message.state, message.receivedProbes.filter(isOfRun)];
    if (message.type === "UpdateAcknowledgement") return message;
    return message.type;
  }

  /** What was received before a restart is reported no more. */
  function isOfRun({ nonce }: { readonly nonce: number }): boolean {
    return nonce <= NONCES;
  }

  /** What has come since the last change that is saved counts for little, but it counts. */
  function restartWithNewest(host: Host): void {
    const state: unknown = host.endpoint.snapshot(only(host).tag);
    host.kill();
    expect(host.start(73, [state])).toEqual([]);
  }

  for (const [name, begin] of [
    ["null-mapped", established],
    ["switched", switched],
  ] as const) {
    test(`answers as one that was not restarted (${name})`, () => {
      fc.assert(
        fc.property(fc.array(input, { maxLength: 8 }), (inputs) => {
          const outcomes = [false, true].map((restarts) => {
            const lab = begin();
            // The peer only says what the inputs are.
            lab.world.hosts.splice(lab.world.hosts.indexOf(lab.b), 1);
            if (restarts) restartWithNewest(lab.a);
            for (const one of inputs) give(lab, one);
            return outcome(lab);
          });
          expect(outcomes[1]).toEqual(outcomes[0]);
        }),
        { numRuns: 100 },
      );
    });
  }

  test("gives the same snapshot, which JSON keeps, whatever came before", () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 8 }), fc.boolean(), (inputs, pending) => {
        const lab = switched();
        const { a } = lab;
        if (pending) a.setLocators([locator(A1), locator(A2), locator(A3)]);
        for (const one of inputs) give(lab, one);
        const { tag } = only(a);
        const before = a.endpoint.snapshot(tag);
        expect(JSON.parse(JSON.stringify(before))).toEqual(before);
        a.kill();
        a.start(73, [before]);
        if (before?.reap.outage !== null) return;
        expect(a.endpoint.snapshot(tag)).toEqual(before);
      }),
      { numRuns: 150 },
    );
  });

  test("has changed nothing to save by probes, keepalives and payload", () => {
    const { world, a, b } = switched();
    let saves = 0;
    const { endpoint } = a;
    const snapshot = endpoint.snapshot.bind(endpoint);
    endpoint.snapshot = (tag) => {
      saves += 1;
      return snapshot(tag);
    };
    for (let at = 0; at < 60_000; at += 1000) {
      world.in(at as Duration, () => b.send(REVERSED));
    }
    world.run(seconds(60));
    expect(world.messages.length).toBeGreaterThan(5);
    expect(saves).toBe(0);
    expect(only(a).keepalivesSent).toBeGreaterThan(5);
  });
});
