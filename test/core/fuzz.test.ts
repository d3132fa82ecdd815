import { describe, expect, test } from "vitest";
import { Endpoint } from "../../src/core/endpoint.ts";
import { type Instant, instant, minutes, seconds } from "../../src/core/time.ts";
import type { Address } from "../../src/wire/address.ts";
import { encodeControl } from "../../src/wire/control.ts";
import type { ControlMessage } from "../../src/wire/message.ts";
import { contextTag } from "../../src/wire/tag.ts";
import { type Dice, dice, mutate, noise } from "../fuzz/dice.ts";
import { hmac, seededRandom } from "./support/random.ts";
import { address } from "./support/world.ts";

const PACKETS = 1_000_000;
const HERE = ["2001:db8:a::1", "2001:db8:aa::1"].map(address);
const STRANGERS = ["2001:db8:b::1", "2001:db8:c::1", "fe80::1", "::1"].map(address);

const probe = {
  source: STRANGERS[0] as Address,
  destination: HERE[0] as Address,
  nonce: 7,
  data: 0,
};
const SEEDS: readonly ControlMessage[] = [
  { type: "I1", initiatorContextTag: contextTag(5), initiatorNonce: 9, options: [] },
  {
    type: "I1",
    initiatorContextTag: contextTag(5),
    initiatorNonce: 9,
    options: [
      {
        name: "UlidPair",
        critical: true,
        senderUlid: STRANGERS[1] as Address,
        receiverUlid: HERE[1] as Address,
      },
      { name: "ForkedInstanceIdentifier", critical: false, identifier: 3 },
    ],
  },
  {
    type: "R1",
    initiatorNonce: 9,
    responderNonce: 8,
    options: [{ name: "ResponderValidator", critical: false, validator: new Uint8Array(20) }],
  },
  {
    type: "I2",
    initiatorContextTag: contextTag(5),
    initiatorNonce: 9,
    responderNonce: 8,
    options: [
      { name: "ResponderValidator", critical: false, validator: new Uint8Array(32) },
      {
        name: "LocatorList",
        critical: false,
        generation: 1,
        locators: STRANGERS.map((locator) => ({ address: locator, method: 201 })),
      },
      {
        name: "LocatorPreferences",
        critical: false,
        generation: 1,
        elementLength: 3,
        elements: STRANGERS.map(() => ({ flags: 1, priority: 2, weight: 3 })),
      },
      { name: "KeepaliveTimeout", critical: false, timeout: 10 },
    ],
  },
  {
    type: "R2",
    responderContextTag: contextTag(6),
    initiatorNonce: 9,
    options: [
      { name: "CgaParameterDataStructure", critical: false, parameters: new Uint8Array(40) },
    ],
  },
  { type: "R1bis", packetContextTag: contextTag(5), responderNonce: 1, options: [] },
  {
    type: "I2bis",
    initiatorContextTag: contextTag(5),
    initiatorNonce: 9,
    responderNonce: 8,
    packetContextTag: contextTag(4),
    options: [],
  },
  { type: "UpdateRequest", receiverContextTag: contextTag(5), requestNonce: 2, options: [] },
  { type: "Keepalive", receiverContextTag: contextTag(5), options: [] },
  {
    type: "Probe",
    receiverContextTag: contextTag(5),
    state: "exploring",
    sentProbes: [probe],
    receivedProbes: [probe, probe],
    options: [],
  },
  { type: "Error", errorCode: 1, pointer: 4, packetInError: new Uint8Array(16) },
];

describe("a million hostile packets", () => {
  test("raise no exception, create no state and cost at most one answer each", {
    timeout: 240_000,
  }, () => {
    const random = dice(20061);
    const seeds = SEEDS.map(encodeControl);
    const endpoint = new Endpoint({
      security: "unverified",
      sendTimeout: seconds(15),
      contextIdleTimeout: minutes(10),
      maxContexts: 100,
      random: seededRandom(4),
      keyedHash: hmac,
    });
    endpoint.handleLocalLocators(
      instant(0),
      HERE.map((locator) => ({ address: locator, preference: 0, operational: true })),
    );
    let most = 0;
    for (let i = 0; i < PACKETS; i++) {
      const packet =
        i % 4 === 0 ? noise(random) : mutate(seeds[random(seeds.length)] ?? noise(random), random);
      const now = instant(1000 + i * 10);
      offer(endpoint, now, packet, random);
      most = Math.max(most, drain(endpoint));
    }
    expect(endpoint.contexts()).toEqual([]);
    expect(endpoint.pollTimeout()).toBeUndefined();
    expect(most).toBe(1);
    const { counters } = endpoint;
    expect(counters["control-received"]).toBe(PACKETS);
    // The fuzz reaches past the checksum: else it would prove nothing.
    expect(counters["drop-validator"]).toBeGreaterThan(1000);
    expect(counters["drop-unknown-context"]).toBeGreaterThan(1000);
    expect(counters["drop-malformed"]).toBeGreaterThan(1000);
    expect(counters["control-sent"]).toBeGreaterThan(1000);
  });
});

function offer(endpoint: Endpoint, now: Instant, packet: Uint8Array, random: Dice): void {
  const source = STRANGERS[random(STRANGERS.length)] as Address;
  const destination = HERE[random(HERE.length)] as Address;
  endpoint.handleControl(now, source, destination, packet);
  if (random(8) === 0) endpoint.handleIcmpError(now, source, packet);
}

/** Takes all outputs; a stranger's packet may cause no other than one R1, R1bis or Error. */
function drain(endpoint: Endpoint): number {
  let count = 0;
  for (let output = endpoint.poll(); output !== undefined; output = endpoint.poll()) {
    if (output.type !== "send" || !["R1", "R1bis", "Error"].includes(output.message.type))
      throw new Error(`unexpected ${output.type}`);
    count += 1;
  }
  return count;
}
