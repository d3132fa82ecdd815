import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { onesComplementSum } from "../../src/wire/checksum.ts";
import { addPayloadHeader } from "../../src/wire/payload.ts";
import { writeUdpHeader } from "../../src/wire/udp.ts";
import { bytes } from "../wire/support/arbitraries.ts";
import { extension, fragment, ipv6, upperLayer } from "../wire/support/packets.ts";
import {
  hex,
  LOCAL_LOCATOR,
  LOCAL_ULID,
  LOCATORS,
  MAPPING,
  OUR_TAG,
  PEER_LOCATOR,
  PEER_TAG,
  PEER_ULID,
  ULIDS,
} from "./support/shim-packets.ts";
import { DROP, PASS, REDIRECT, ShimPrograms, SLOT } from "./support/shim-programs.ts";

const PORT = 61_140;
const RUNS = { numRuns: 300 };
/** Upper layers whose sum the kernel's half knows, and where their checksums are. */
const SUMMED = { 6: 16, 17: 6, 58: 2 } as const;

let programs: ShimPrograms;

beforeAll(() => {
  programs = new ShimPrograms(PORT);
});

beforeEach(() => {
  programs.kernel.records.reset(SLOT, ULIDS);
  const locators = { ...LOCATORS, encapsulated: true };
  programs.setMapping({ ...MAPPING, mapping: { ...MAPPING.mapping, locators } });
});

afterAll(() => programs.close());

/** A packet with a right checksum, as the ULID device has them. */
function summed(source: Uint8Array, destination: Uint8Array, protocol: 6 | 17 | 58) {
  return bytes(1300, 20).map((segment) => {
    const body = Uint8Array.from(segment);
    const at = SUMMED[protocol];
    // An echo request: errors and neighbor discovery are none of the shim's.
    if (protocol === 58) body[0] = 128;
    body.fill(0, at, at + 2);
    const pseudo = onesComplementSum(Uint8Array.of(...source, ...destination), 0, 32);
    const sum = ~onesComplementSum(body, 0, body.length, pseudo + body.length + protocol) & 0xffff;
    const checksum = sum === 0 ? 0xffff : sum;
    body.set([checksum >> 8, checksum & 0xff], at);
    return ipv6(source, destination, [upperLayer(protocol, body)]);
  });
}

function anySummed(source: Uint8Array, destination: Uint8Array) {
  return fc.constantFrom(6, 17, 58).chain((protocol) => summed(source, destination, protocol));
}

function inUdp(
  packet: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  tag: typeof OUR_TAG,
  port = PORT,
): Uint8Array {
  const added = addPayloadHeader(packet, source, destination, tag, port);
  if (!added.ok) throw new Error(added.error);
  return added.value;
}

describe("ulid_device in UDP", () => {
  test("puts headers, locators and checksum in as src/wire does", () => {
    fc.assert(
      fc.property(anySummed(LOCAL_ULID, PEER_ULID), (packet) => {
        const { returned, packet: left } = programs.run("ulid_device", packet);
        expect(returned).toBe(REDIRECT);
        expect(hex(left)).toBe(hex(inUdp(packet, LOCAL_LOCATOR, PEER_LOCATOR, PEER_TAG)));
      }),
      RUNS,
    );
  });

  test.each([
    ["SCTP", [upperLayer(132, new Uint8Array(20))]],
    ["a fragment", [fragment(0, true), upperLayer(17, new Uint8Array(64))]],
    ["an extension header", [extension(60, 0), upperLayer(17, new Uint8Array(20))]],
    ["UDP without a checksum", [upperLayer(17, new Uint8Array(20))]],
  ])("hands %s over to user space, and counts it as sent", (_, parts) => {
    const packet = ipv6(LOCAL_ULID, PEER_ULID, parts);
    const { returned, counted } = programs.run("ulid_device", packet);
    expect({ returned, counted }).toEqual({ returned: DROP, counted: { oversize: 1 } });
    expect(programs.kernel.records.snapshot(SLOT).packetsOut).toBe(1);
  });
});

describe("uplink_in in UDP", () => {
  test("takes headers and locators out as src/wire does", () => {
    fc.assert(
      fc.property(anySummed(PEER_ULID, LOCAL_ULID), (packet) => {
        const received = inUdp(packet, PEER_LOCATOR, LOCAL_LOCATOR, OUR_TAG);
        const { returned, packet: left } = programs.run("uplink_in", received);
        expect(returned).toBe(PASS);
        expect(hex(left)).toBe(hex(packet));
      }),
      RUNS,
    );
  });

  test("drops what has a tag that nobody has, or is cut", () => {
    const packet = ipv6(PEER_ULID, LOCAL_ULID, [upperLayer(17, new Uint8Array(20))]);
    const unknown = inUdp(packet, PEER_LOCATOR, LOCAL_LOCATOR, PEER_TAG);
    expect(programs.run("uplink_in", unknown)).toMatchObject({
      ...{ returned: DROP, counted: { "drop-unknown-tag": 1 } },
    });
    const cut = inUdp(packet, PEER_LOCATOR, LOCAL_LOCATOR, OUR_TAG);
    cut.set([0, 15], 4);
    expect(programs.run("uplink_in", cut)).toMatchObject({
      ...{ returned: DROP, counted: { "drop-inbound-malformed": 1 } },
    });
  });

  test("leaves other ports, and control messages, as they are", () => {
    const packet = ipv6(PEER_ULID, LOCAL_ULID, [upperLayer(17, new Uint8Array(20))]);
    const other = inUdp(packet, PEER_LOCATOR, LOCAL_LOCATOR, OUR_TAG, PORT + 1);
    const control = ipv6(PEER_ULID, LOCAL_ULID, [upperLayer(17, new Uint8Array(24))]);
    writeUdpHeader(control, 40, control.length, PORT);
    for (const received of [other, control]) {
      const { returned, packet: left, counted } = programs.run("uplink_in", received);
      expect({ returned, counted }).toEqual({ returned: PASS, counted: {} });
      expect(hex(left)).toBe(hex(received));
    }
    // Between the ULIDs it would else be payload.
    expect(programs.kernel.records.snapshot(SLOT).packetsIn).toBe(0);
  });
});
