import { expect, test } from "vitest";
import type { CounterName } from "../../../src/core/counters.ts";
import { SimRandom } from "../../../src/sim/random.ts";
import type { Address } from "../../../src/wire/address.ts";
import { IPV6_HEADER_LENGTH } from "../../../src/wire/ipv6.ts";
import type { ControlMessage } from "../../../src/wire/message.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import { Arena, address } from "../support/arena.ts";
import { Attacker } from "../support/attacker.ts";
import { ELSEWHERE, expectFailover, expectIntact } from "../support/session.ts";

/* RFC 4218 section 7, RFC 5533 section 16: floods from forged sources, beside a session. */

/** Eight times what strangers get answers to. */
const PER_SECOND = 8_000;
const SECONDS = 2;
/** ANSWERS_BURST and ANSWERS_PER_SECOND of src/core/defaults.ts. */
const MOST_ANSWERS = 2000 + 1000 * (SECONDS + 1);

const random = new SimRandom(8, "floods");
const validator = new Uint8Array(32);
const proof = { name: "ResponderValidator" as const, critical: false, validator };

/** Somebody in one of 65536 networks of a victim's provider. */
function forgedSource(): Address {
  const group = () => (1 + random.index(0xfffe)).toString(16);
  return address(`2001:db9:${group()}:${group()}::${group()}`);
}

function anyTag() {
  return contextTag(random.index(2 ** 46));
}

type Flood = readonly [name: string, counter: CounterName, make: () => ControlMessage];

const FLOODS: readonly Flood[] = [
  [
    "I1",
    "drop-rate-limit",
    () => ({ type: "I1", initiatorContextTag: anyTag(), initiatorNonce: 1, options: [] }),
  ],
  [
    "I2",
    "drop-validator",
    () => ({
      ...{ type: "I2", initiatorContextTag: anyTag(), initiatorNonce: 1, responderNonce: 1 },
      options: [proof],
    }),
  ],
  [
    "R1bis",
    "drop-unknown-context",
    () => ({ type: "R1bis", packetContextTag: anyTag(), responderNonce: 1, options: [proof] }),
  ],
  [
    "Keepalive",
    "drop-rate-limit",
    () => ({ type: "Keepalive", receiverContextTag: anyTag(), options: [] }),
  ],
  [
    "unknown",
    "drop-rate-limit",
    () => ({ type: "Unknown", typeCode: 77, body: new Uint8Array(10) }),
  ],
];

test.each(FLOODS)(
  "a flood of %s messages is refused: no state, few answers, and the session goes on",
  (_, counter, make) => {
    const arena = new Arena();
    const attacker = new Attacker(arena, ELSEWHERE);
    arena.establish();
    const { peer } = arena.ulids;
    const count = arena.wire.length;
    for (let i = 0; i < SECONDS * 100; i++) {
      for (let j = 0; j < PER_SECOND / 100; j++) attacker.say(forgedSource(), peer, make());
      arena.run(0.01);
    }
    arena.run(1);
    expect(arena.b.endpoint.counters[counter]).toBeGreaterThanOrEqual(
      PER_SECOND * SECONDS - MOST_ANSWERS,
    );
    expect(arena.b.endpoint.contexts()).toHaveLength(1);
    expect(arena.b.plane.size).toBe(1);
    const answers = arena.wire
      .slice(count)
      .filter(({ packet }) => packet.destination.startsWith("2001:db9:"));
    expect(answers.length).toBeLessThanOrEqual(MOST_ANSWERS);
    const octets = answers.reduce((sum, { packet }) => {
      return sum + IPV6_HEADER_LENGTH + (packet.type === "control" ? packet.bytes.length : 0);
    }, 0);
    expect(octets).toBeLessThan(attacker.octetsSaid);
    expectIntact(arena, attacker);
    expectFailover(arena, attacker);
  },
);
