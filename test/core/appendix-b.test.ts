import { beforeEach, describe, expect, test } from "vitest";
import { minutes, seconds } from "../../src/core/time.ts";
import type { ContextState } from "../../src/core/view.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage, Option } from "../../src/wire/message.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { address, type Host, nameOf, World } from "./support/world.ts";

/*
 * RFC 5533 appendix B, cell by cell: a host in each STATE gets each trigger, and does what the
 * table says. The peer is a puppet, so that it can say anything at any time.
 */

const HERE = address("2001:db8:a1::1");
const PEER = address("2001:db8:b1::1");
const PEER_TAG = contextTag(0x0bbb_bbbb_bbbb);
const STRANGE_TAG = contextTag(0x0ccc_cccc_cccc);
const PEER_NONCE = 77;

/** One cell: what comes in, what goes out for it, and the STATE then. */
type Cell = readonly [trigger: Trigger, sent: readonly string[], next: ContextState];

type Trigger =
  | "I1"
  | "I1 that matches"
  | "I2"
  | "I2 with a bad validator"
  | "I2bis"
  | "I2bis with a bad validator"
  | "R1"
  | "R1 with a bad nonce"
  | "R2"
  | "R2 with a bad nonce"
  | "R1bis"
  | "payload"
  | "other control"
  | "the heuristics' trigger"
  | "ICMP payload unknown"
  | "a timeout"
  | "timeouts beyond the last retry"
  | "the end of the hold-down"
  | "idle time";

const NO_CONTEXT_NEEDED: readonly Cell[] = [
  ["I1", ["R1"], "IDLE"],
  ["I2", ["R2"], "ESTABLISHED"],
  ["I2 with a bad validator", [], "IDLE"],
  ["I2bis", ["R2"], "ESTABLISHED"],
  ["I2bis with a bad validator", [], "IDLE"],
  ["R1", [], "IDLE"],
  ["R2", [], "IDLE"],
  ["R1bis", [], "IDLE"],
  ["payload", ["R1bis"], "IDLE"],
  ["other control", ["R1bis"], "IDLE"],
];

/** Any packet is processed as in IDLE, and the hold-down goes on. */
function asInIdle(state: ContextState): Cell[] {
  return NO_CONTEXT_NEEDED.map(([trigger, sent, next]): Cell => {
    return [trigger, sent, next === "IDLE" ? state : next];
  });
}

const TABLES: Readonly<Record<ContextState, readonly Cell[]>> = {
  IDLE: [...NO_CONTEXT_NEEDED, ["the heuristics' trigger", ["I1"], "I1-SENT"]],
  "I1-SENT": [
    ["R1", ["I2"], "I2-SENT"],
    ["R1 with a bad nonce", [], "I1-SENT"],
    ["I1", ["R2"], "I1-SENT"],
    ["R2", [], "ESTABLISHED"],
    ["R2 with a bad nonce", [], "I1-SENT"],
    ["I2", ["R2"], "ESTABLISHED"],
    ["I2 with a bad validator", [], "I1-SENT"],
    ["I2bis", ["R2"], "ESTABLISHED"],
    ["I2bis with a bad validator", [], "I1-SENT"],
    ["a timeout", ["I1"], "I1-SENT"],
    ["timeouts beyond the last retry", ["I1", "I1", "I1", "I1"], "E-FAILED"],
    // Appendix B says E-FAILED; section 7.8, which rules, has a STATE of its own for it.
    ["ICMP payload unknown", [], "NO-SUPPORT"],
    ["R1bis", [], "I1-SENT"],
    ["payload", [], "I1-SENT"],
    ["other control", [], "I1-SENT"],
  ],
  "I2-SENT": [
    ["R2", [], "ESTABLISHED"],
    ["R2 with a bad nonce", [], "I2-SENT"],
    ["I1", ["R2"], "I2-SENT"],
    ["I2", ["R2"], "I2-SENT"],
    ["I2bis", ["R2"], "I2-SENT"],
    ["R1", [], "I2-SENT"],
    ["a timeout", ["I2"], "I2-SENT"],
    ["timeouts beyond the last retry", ["I2", "I2", "I1"], "I1-SENT"],
    ["R1bis", [], "I2-SENT"],
    ["payload", ["I2"], "I2-SENT"],
    ["other control", ["I2"], "I2-SENT"],
  ],
  "I2BIS-SENT": [
    ["R2", [], "ESTABLISHED"],
    ["R2 with a bad nonce", [], "I2BIS-SENT"],
    ["I1", ["R2"], "I2BIS-SENT"],
    ["I2", ["R2"], "I2BIS-SENT"],
    ["I2bis", ["R2"], "I2BIS-SENT"],
    ["R1", [], "I2BIS-SENT"],
    ["a timeout", ["I2bis"], "I2BIS-SENT"],
    ["timeouts beyond the last retry", ["I2bis", "I2bis", "I1"], "I1-SENT"],
    ["R1bis", [], "I2BIS-SENT"],
    ["payload", ["I2bis"], "I2BIS-SENT"],
    // This one is an Update Request, which is processed too (section 10.4).
    ["other control", ["I2bis", "UpdateAcknowledgement"], "I2BIS-SENT"],
  ],
  ESTABLISHED: [
    ["I1", ["R1"], "ESTABLISHED"],
    ["I1 that matches", ["R2"], "ESTABLISHED"],
    ["I2", ["R2"], "ESTABLISHED"],
    ["I2 with a bad validator", [], "ESTABLISHED"],
    ["I2bis", ["R2"], "ESTABLISHED"],
    ["I2bis with a bad validator", [], "ESTABLISHED"],
    ["R2", [], "ESTABLISHED"],
    ["R1", [], "ESTABLISHED"],
    ["R1bis", ["I2bis"], "I2BIS-SENT"],
    ["payload", [], "ESTABLISHED"],
    ["other control", ["UpdateAcknowledgement"], "ESTABLISHED"],
    ["idle time", [], "IDLE"],
  ],
  "E-FAILED": [...asInIdle("E-FAILED"), ["the end of the hold-down", [], "IDLE"]],
  "NO-SUPPORT": [...asInIdle("NO-SUPPORT"), ["the end of the hold-down", [], "IDLE"]],
};

describe("RFC 5533 appendix B", () => {
  let world: World;
  let here: Host;
  let proofs: { readonly i2: Proof; readonly i2bis: Proof };

  beforeEach(() => {
    world = new World();
    here = world.host(91, [HERE]);
  });

  /** What R1 and R1bis gave the puppet before the test's state was reached. */
  interface Proof {
    readonly responderNonce: number;
    readonly validator: Uint8Array;
  }

  function lastSent(): ControlMessage {
    const message = world.sent.at(-1)?.control?.message;
    if (message === undefined) throw new Error("nothing was sent");
    return message;
  }

  function say(message: ControlMessage): void {
    const bytes = encodeControl(message);
    here.receive({ source: PEER, destination: HERE, control: { bytes, message } });
  }

  function proofIn(message: ControlMessage): Proof {
    if (message.type !== "R1" && message.type !== "R1bis") throw new Error(message.type);
    const option = message.options.find(({ name }) => name === "ResponderValidator");
    if (option?.name !== "ResponderValidator") throw new Error("no validator");
    return { responderNonce: message.responderNonce, validator: option.validator };
  }

  function collectProofs(): void {
    sayI1(PEER_TAG);
    const i2 = proofIn(lastSent());
    here.receive({ source: PEER, destination: HERE, payload: { tag: STRANGE_TAG } });
    proofs = { i2, i2bis: proofIn(lastSent()) };
  }

  function sayI1(initiatorContextTag: typeof PEER_TAG): void {
    say({ type: "I1", initiatorContextTag, initiatorNonce: PEER_NONCE, options: [] });
  }

  function saySecond(type: "I2" | "I2bis", spoil = 0): void {
    const { responderNonce, validator } = type === "I2" ? proofs.i2 : proofs.i2bis;
    const octets = validator.map((octet, i) => (i === 0 ? octet ^ spoil : octet));
    const options: Option[] = [{ name: "ResponderValidator", critical: false, validator: octets }];
    const common = {
      initiatorContextTag: PEER_TAG,
      initiatorNonce: PEER_NONCE,
      responderNonce,
      options,
    };
    if (type === "I2") say({ type, ...common });
    else say({ type, packetContextTag: STRANGE_TAG, ...common });
  }

  /** The nonce of our exchange, from what we sent in it. */
  function ourNonce(): number {
    for (const { control } of world.sent.toReversed()) {
      const message = control?.message;
      if (message !== undefined && "initiatorContextTag" in message) return message.initiatorNonce;
    }
    return 5;
  }

  function sayAnswer(type: "R1" | "R2", nonce = ourNonce()): void {
    if (type === "R2") {
      return say({ type, responderContextTag: PEER_TAG, initiatorNonce: nonce, options: [] });
    }
    const validator = new Uint8Array(32).fill(9);
    const options: Option[] = [{ name: "ResponderValidator", critical: false, validator }];
    say({ type, initiatorNonce: nonce, responderNonce: 3, options });
  }

  function sayR1bis(): void {
    const validator = new Uint8Array(32).fill(8);
    const options: Option[] = [{ name: "ResponderValidator", critical: false, validator }];
    say({ type: "R1bis", packetContextTag: PEER_TAG, responderNonce: 4, options });
  }

  function ourTag() {
    return here.endpoint.contexts()[0]?.tag ?? STRANGE_TAG;
  }

  /** ICMPv6 Parameter Problem, unrecognized Next Header, that quotes our I1. */
  function refuseProtocol(): void {
    const i1 = world.sent.findLast(({ control }) => control?.message.type === "I1")?.control;
    if (i1 === undefined) throw new Error("no I1 was sent");
    const error = new Uint8Array(8 + 40 + i1.bytes.length);
    error.set([4, 1, 0, 0, 0, 0, 0, 6]);
    error.set([0x60, 0, 0, 0, 0, i1.bytes.length, 140, 64], 8);
    error.set(addressToBytes(HERE), 16);
    error.set(addressToBytes(PEER), 32);
    error.set(i1.bytes, 48);
    here.command((endpoint, now) => endpoint.handleIcmpError(now, PEER, error));
  }

  const REACH: Readonly<Record<ContextState, () => void>> = {
    IDLE: () => collectProofs(),
    "I1-SENT": () => {
      collectProofs();
      here.open(HERE, PEER);
    },
    "I2-SENT": () => {
      REACH["I1-SENT"]();
      sayAnswer("R1");
      // Repetitions for the peer's packets have to be apart from the first I2.
      world.run(seconds(1));
    },
    ESTABLISHED: () => {
      REACH["I2-SENT"]();
      sayAnswer("R2");
    },
    "I2BIS-SENT": () => {
      REACH.ESTABLISHED();
      sayR1bis();
      world.run(seconds(1));
    },
    "E-FAILED": () => {
      REACH["I1-SENT"]();
      ACT["timeouts beyond the last retry"]();
      collectProofs();
    },
    "NO-SUPPORT": () => {
      REACH["I1-SENT"]();
      refuseProtocol();
    },
  };

  const ACT: Readonly<Record<Trigger, () => void>> = {
    I1: () => sayI1(STRANGE_TAG),
    "I1 that matches": () => sayI1(PEER_TAG),
    I2: () => saySecond("I2"),
    "I2 with a bad validator": () => saySecond("I2", 1),
    I2bis: () => saySecond("I2bis"),
    "I2bis with a bad validator": () => saySecond("I2bis", 1),
    R1: () => sayAnswer("R1"),
    "R1 with a bad nonce": () => sayAnswer("R1", (ourNonce() ^ 1) >>> 0),
    R2: () => sayAnswer("R2"),
    "R2 with a bad nonce": () => sayAnswer("R2", (ourNonce() ^ 1) >>> 0),
    R1bis: () => sayR1bis(),
    payload: () => here.receive({ source: PEER, destination: HERE, payload: { tag: ourTag() } }),
    "other control": () =>
      say({
        type: "UpdateRequest",
        receiverContextTag: ourTag(),
        requestNonce: 1,
        options: [],
      }),
    "the heuristics' trigger": () =>
      here.command((endpoint, now) => endpoint.handleTrigger(now, { local: HERE, peer: PEER })),
    "ICMP payload unknown": () => refuseProtocol(),
    "a timeout": () => {
      world.now = here.endpoint.pollTimeout()?.at ?? world.now;
      here.timeout(world.now);
    },
    "timeouts beyond the last retry": () => {
      const before = stateNow();
      while (stateNow() === before) ACT["a timeout"]();
    },
    "the end of the hold-down": () => ACT["a timeout"](),
    "idle time": () => {
      world.run(minutes(25));
    },
  };

  function stateNow(): ContextState {
    return here.endpoint.contexts()[0]?.state ?? "IDLE";
  }

  for (const [state, cells] of Object.entries(TABLES)) {
    test.each(cells)(`STATE ${state}: %s -> %j, %s`, (trigger, sent, next) => {
      REACH[state as ContextState]();
      expect(stateNow()).toBe(state);
      const before = world.sent.length;
      ACT[trigger]();
      const messages = world.sent.slice(before).flatMap(({ control }) => {
        return control === undefined ? [] : [nameOf(control.message)];
      });
      expect(messages).toEqual(sent);
      expect(stateNow()).toBe(next);
    });
  }
});
