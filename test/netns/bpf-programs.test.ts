import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  encodeFork,
  encodeForkKey,
  encodePair,
  encodePairState,
  encodePeerTag,
  encodeTag,
  encodeTagged,
  TCP_QUERY_LENGTH,
} from "../../src/dataplane/ebpf/layout.ts";
import { LOCATOR_MARK } from "../../src/dataplane/ulid-routes.ts";
import { encodeControl } from "../../src/wire/control.ts";
import { IPV6_HEADER_LENGTH, setPayloadLength } from "../../src/wire/ipv6.ts";
import {
  addPayloadHeader,
  findPayloadHeader,
  removePayloadHeader,
} from "../../src/wire/payload.ts";
import { bytes, mutated } from "../wire/support/arbitraries.ts";
import { extension, ipv6, upperLayer } from "../wire/support/packets.ts";
import {
  concat,
  hex,
  isWithinLimits,
  LOCAL_LOCATOR,
  LOCAL_ULID,
  LOCATORS,
  MAPPING,
  OUR_TAG,
  PEER_LOCATOR,
  PEER_TAG,
  PEER_ULID,
  packetBetween,
  padding,
  readdressed,
  rewritten,
  ULIDS,
} from "./support/shim-packets.ts";
import { DROP, PASS, REDIRECT, ShimPrograms, SLOT } from "./support/shim-programs.ts";

/** The kernel runs programs on no shorter one. */
const isLongEnough = (packet: Uint8Array): boolean => packet.length >= IPV6_HEADER_LENGTH;
const RUNS = { numRuns: 400 };
const UDP = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(17, new Uint8Array(20).fill(7))]);

let programs: ShimPrograms;

beforeAll(() => {
  programs = new ShimPrograms();
});

beforeEach(() => {
  programs.kernel.records.reset(SLOT, ULIDS);
  programs.setMapping(MAPPING);
});

afterAll(() => programs.close());

test("keys and values are as long as the programs' maps have them", () => {
  const { pairs, tags, peerTags, forks, locals, tcpQuery } = programs.kernel;
  const sizes = [pairs, tags, peerTags, forks, locals, tcpQuery].map(({ keySize, valueSize }) => [
    keySize,
    valueSize,
  ]);
  const plain = { link: 1, gateway: undefined, mtu: 1500 };
  const state = { slot: SLOT, mapping: MAPPING, forks: 0, plain, peerUlid: ULIDS.peer };
  const tagged = encodeTagged(SLOT, ULIDS).length;
  expect(sizes).toEqual([
    [encodePair(ULIDS).length, encodePairState(state).length],
    [encodeTag(OUR_TAG).length, tagged],
    [encodePeerTag(LOCATORS.peer, PEER_TAG).length, tagged],
    [encodeForkKey(ULIDS, 0).length, encodeFork(SLOT, MAPPING).length],
    [LOCAL_ULID.length, 4],
    [4, TCP_QUERY_LENGTH],
  ]);
});

describe("ulid_device", () => {
  const outbound = packetBetween(LOCAL_ULID, PEER_ULID);

  test("puts header and locators in as src/wire does, or drops what is beyond its limits", () => {
    fc.assert(
      fc.property(outbound, padding, (packet, behind) => {
        const {
          returned,
          packet: left,
          mark,
          counted,
        } = programs.run("ulid_device", concat(packet, behind));
        const sent = { returned: REDIRECT, mark: LOCATOR_MARK, counted: {} };
        const dropped = { returned: DROP, mark: 0, counted: { "drop-outbound-malformed": 1 } };
        const fits = isWithinLimits(packet);
        expect({ returned, mark, counted }).toEqual(fits ? sent : dropped);
        const expected = fits ? rewritten(packet, LOCAL_LOCATOR, PEER_LOCATOR) : packet;
        expect(hex(left)).toBe(hex(concat(expected, behind)));
      }),
      RUNS,
    );
  });

  test.each([
    { headers: 4, fits: true },
    { headers: 5, fits: false },
  ])("of $headers headers before the Shim6 header: $fits", ({ headers, fits }) => {
    const parts = Array.from({ length: headers }, () => extension(43, 1));
    const packet = ipv6(LOCAL_ULID, PEER_ULID, [...parts, upperLayer(17, new Uint8Array(8))]);
    expect(programs.run("ulid_device", packet).returned).toBe(fits ? REDIRECT : DROP);
  });

  test.each([
    { octets: 256, protocol: 0, fits: true },
    { octets: 264, protocol: 0, fits: false },
    // These stand behind the Shim6 header.
    { octets: 2048, protocol: 60, fits: true },
  ])("of $octets octets in extension header $protocol: $fits", ({ octets, protocol, fits }) => {
    const parts = [extension(protocol, octets / 8 - 1), upperLayer(17, new Uint8Array(8))];
    const packet = ipv6(LOCAL_ULID, PEER_ULID, parts);
    expect(programs.run("ulid_device", packet).returned).toBe(fits ? REDIRECT : DROP);
  });

  test("drops a packet that ends in a header, as src/wire refuses it", () => {
    fc.assert(
      fc.property(outbound, fc.nat(120), (packet, length) => {
        fc.pre(isWithinLimits(packet) && length > 0 && length < packet.length - 40);
        setPayloadLength(packet, length);
        const outcome = programs.run("ulid_device", packet);
        const expected = addPayloadHeader(packet, LOCAL_LOCATOR, PEER_LOCATOR, PEER_TAG);
        const left = expected.ok ? concat(expected.value, packet.subarray(40 + length)) : packet;
        expect(outcome.returned).toBe(expected.ok ? REDIRECT : DROP);
        expect(hex(outcome.packet)).toBe(hex(left));
      }),
      RUNS,
    );
  });

  test("an empty packet that Ethernet filled up gets its header before the filling", () => {
    const packet = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(59, new Uint8Array(0))]);
    const filling = new Uint8Array(6).fill(0xee);
    const { packet: found } = programs.run("ulid_device", concat(packet, filling));
    expect(found).toEqual(concat(rewritten(packet, LOCAL_LOCATOR, PEER_LOCATOR), filling));
    expect(programs.kernel.records.snapshot(SLOT)).toMatchObject({ packetsOut: 1, bytesOut: 40 });
  });

  test("counts the octets of the ULP's packet, not what is behind it", () => {
    programs.run("ulid_device", concat(UDP, new Uint8Array(9)));
    const traffic = programs.kernel.records.snapshot(SLOT);
    expect(traffic).toMatchObject({ packetsOut: 1, bytesOut: UDP.length, packetsIn: 0 });
    expect(traffic.firstUnansweredOut).toBe(traffic.lastOut);
  });

  test("passes what is no payload, and payload without a mapping, unchanged and marked", () => {
    const error = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(58, new Uint8Array(48).fill(1))]);
    const control = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(140, Uint8Array.of(59, 0, 1))]);
    const solicitation = Uint8Array.of(135, 0, 0, 0);
    const discovery = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(58, solicitation)]);
    const expected = { returned: REDIRECT, mark: LOCATOR_MARK };
    for (const packet of [error, control, discovery]) {
      expect(programs.run("ulid_device", packet)).toEqual({ ...expected, packet, counted: {} });
    }
    programs.setMapping(undefined);
    const counted = { "passed-unmapped": 1 };
    expect(programs.run("ulid_device", UDP)).toEqual({ ...expected, packet: UDP, counted });
    expect(programs.kernel.records.snapshot(SLOT).packetsOut).toBe(1);
  });

  test("drops what is too big for the path, what has no way, and pairs without a context", () => {
    const way = { link: 1, gateway: undefined, mtu: UDP.length + 8 };
    programs.setMapping({ ...MAPPING, way });
    expect(programs.run("ulid_device", UDP).returned).toBe(REDIRECT);
    programs.setMapping({ ...MAPPING, way: { ...way, mtu: UDP.length + 7 } });
    expect(programs.run("ulid_device", UDP)).toMatchObject({
      returned: DROP,
      packet: UDP,
      counted: { oversize: 1 },
    });
    programs.setMapping({ ...MAPPING, way: undefined });
    expect(programs.run("ulid_device", UDP).returned).toBe(DROP);
    const stranger = readdressed(UDP, LOCAL_ULID, PEER_LOCATOR);
    expect(programs.run("ulid_device", stranger)).toMatchObject({
      returned: DROP,
      counted: { "drop-no-route": 1 },
    });
  });
});

describe("uplink_in", () => {
  /** What the peer sends us with our tag, within the limits. */
  const inbound = packetBetween(PEER_ULID, LOCAL_ULID)
    .filter(isWithinLimits)
    .map((packet) => rewritten(packet, PEER_LOCATOR, LOCAL_LOCATOR, OUR_TAG));

  test("takes header and locators out as src/wire does", () => {
    fc.assert(
      fc.property(inbound, padding, (packet, behind) => {
        const outcome = programs.run("uplink_in", concat(packet, behind));
        const expected = removePayloadHeader(packet, PEER_ULID, LOCAL_ULID);
        if (!expected.ok) throw new Error(expected.error);
        expect(hex(outcome.packet)).toBe(hex(concat(expected.value, behind)));
        expect([outcome.returned, outcome.counted]).toEqual([PASS, {}]);
      }),
      RUNS,
    );
  });

  test("counts the octets of the ULP's packet", () => {
    const reply = readdressed(UDP, PEER_ULID, LOCAL_ULID);
    const packet = rewritten(reply, PEER_LOCATOR, LOCAL_LOCATOR, OUR_TAG);
    programs.run("uplink_in", concat(packet, new Uint8Array(5)));
    programs.run("uplink_in", concat(reply, new Uint8Array(5)));
    const traffic = programs.kernel.records.snapshot(SLOT);
    expect(traffic).toMatchObject({ packetsIn: 2, bytesIn: 2 * UDP.length, packetsOut: 0 });
  });

  test("drops a tag that no context has, unchanged", () => {
    const other = rewritten(UDP, PEER_LOCATOR, LOCAL_LOCATOR, PEER_TAG);
    const expected = { returned: DROP, packet: other, counted: { "drop-unknown-tag": 1 } };
    expect(programs.run("uplink_in", other)).toMatchObject(expected);
  });

  test("leaves alone what is for other hosts, control messages, and other headers before it", () => {
    const foreign = rewritten(UDP, PEER_LOCATOR, PEER_ULID, OUR_TAG);
    const message = { type: "I1", initiatorContextTag: PEER_TAG, initiatorNonce: 7 } as const;
    const bytesOfI1 = encodeControl({ ...message, options: [] });
    const control = ipv6(PEER_LOCATOR, LOCAL_LOCATOR, [upperLayer(140, bytesOfI1)]);
    const header = Uint8Array.of(17, 0, 0x80, 0, 0, 0, 0, 0);
    const five = Array.from({ length: 5 }, () => extension(43, 0));
    const behind = ipv6(PEER_LOCATOR, LOCAL_LOCATOR, [...five, upperLayer(140, header)]);
    for (const packet of [foreign, control, behind]) {
      expect(programs.run("uplink_in", packet)).toMatchObject({
        returned: PASS,
        packet,
        counted: {},
      });
    }
    expect(programs.kernel.records.snapshot(SLOT).packetsIn).toBe(0);
  });

  test.each([
    { name: "Hdr Ext Len is not 0", change: (packet: Uint8Array) => packet.fill(1, 41, 42) },
    { name: "the packet ends in it", change: (packet: Uint8Array) => packet.fill(7, 5, 6) },
    { name: "octets are missing", change: (packet: Uint8Array) => packet.fill(29, 5, 6) },
  ])("drops and counts a payload header where $name", ({ change }) => {
    const packet = rewritten(UDP, PEER_LOCATOR, LOCAL_LOCATOR, OUR_TAG);
    change(packet);
    expect(programs.run("uplink_in", packet)).toMatchObject({
      returned: DROP,
      packet,
      counted: { "drop-inbound-malformed": 1 },
    });
    expect(programs.kernel.records.snapshot(SLOT).packetsIn).toBe(0);
  });

  test("random octets change nothing but what src/wire finds to be ours", () => {
    const frames = fc.oneof(
      mutated(inbound),
      mutated(packetBetween(PEER_LOCATOR, LOCAL_LOCATOR)),
      bytes(300, IPV6_HEADER_LENGTH),
    );
    fc.assert(
      fc.property(frames.filter(isLongEnough), (packet) => {
        const { returned, packet: found } = programs.run("uplink_in", packet);
        expect([PASS, DROP]).toContain(returned);
        if (Buffer.compare(found, packet) === 0) return;
        expect(findPayloadHeader(packet)).toMatchObject({ value: { tag: OUR_TAG } });
        const expected = removePayloadHeader(packet, PEER_ULID, LOCAL_ULID);
        if (!expected.ok) throw new Error(expected.error);
        expect(hex(found.subarray(0, expected.value.length))).toBe(hex(expected.value));
        expect(found.length).toBe(packet.length - 8);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("uplink_out", () => {
  test("sends a mapped pair's payload to the ULID device, unchanged; never what is rewritten", () => {
    expect(programs.run("uplink_out", UDP)).toMatchObject({ returned: REDIRECT, packet: UDP });
    expect(programs.run("uplink_out", UDP, LOCATOR_MARK).returned).toBe(PASS);
    const tagged = rewritten(UDP, LOCAL_ULID, PEER_ULID);
    expect(programs.run("uplink_out", tagged).returned).toBe(PASS);
    expect(programs.kernel.records.snapshot(SLOT).packetsOut).toBe(0);
  });

  test("counts an unmapped pair's payload and changes nothing, whatever is sent", () => {
    programs.setMapping(undefined);
    programs.run("uplink_out", concat(UDP, new Uint8Array(3)));
    const expected = { packetsOut: 1, bytesOut: UDP.length };
    expect(programs.kernel.records.snapshot(SLOT)).toMatchObject(expected);
    const frames = fc.oneof(
      mutated(packetBetween(LOCAL_ULID, PEER_ULID)),
      bytes(300, IPV6_HEADER_LENGTH),
    );
    fc.assert(
      fc.property(frames.filter(isLongEnough), (packet) => {
        const outcome = programs.run("uplink_out", packet);
        expect(outcome.returned).toBe(PASS);
        expect(hex(outcome.packet)).toBe(hex(packet));
      }),
      RUNS,
    );
  });
});

describe("a pair without a context", () => {
  const strangers = { local: LOCATORS.local, peer: ULIDS.peer };

  test("becomes a candidate by its own host's packets, in and out", () => {
    programs.run("uplink_out", readdressed(UDP, LOCAL_LOCATOR, PEER_ULID));
    programs.run("uplink_in", readdressed(UDP, PEER_ULID, LOCAL_LOCATOR));
    const candidate = new Uint8Array(16);
    expect(programs.kernel.candidates.lookup(encodePair(strangers), candidate)).toBe(true);
    expect(candidate[8]).toBe(2);
  });

  test("of other hosts, whose packets a router passes on, is none", () => {
    const transit = readdressed(UDP, PEER_LOCATOR, PEER_ULID);
    for (const program of ["uplink_in", "uplink_out"]) {
      const expected = { returned: PASS, packet: transit, counted: {} };
      expect(programs.run(program, transit)).toMatchObject(expected);
    }
    const pairs = [
      { local: LOCATORS.peer, peer: ULIDS.peer },
      { local: ULIDS.peer, peer: LOCATORS.peer },
    ];
    for (const pair of pairs) {
      expect(programs.kernel.candidates.lookup(encodePair(pair), new Uint8Array(16))).toBe(false);
    }
  });
});
