import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { literal } from "../../src/lab/topology.ts";
import { addressToBytes } from "../../src/wire/address.ts";
import {
  buildIcmpError,
  concernsPath,
  findIcmpError,
  icmpChecksum,
  translateIcmpError,
} from "../../src/wire/icmp6.ts";
import { bytes, mutated } from "../wire/support/arbitraries.ts";
import { extension, ipv6, upperLayer } from "../wire/support/packets.ts";
import {
  concat,
  hex,
  LOCAL_LOCATOR,
  LOCAL_ULID,
  MAPPING,
  OUR_TAG,
  PEER_LOCATOR,
  PEER_ULID,
  rewritten,
  ULIDS,
} from "./support/shim-packets.ts";
import { DROP, PASS, ShimPrograms, SLOT } from "./support/shim-programs.ts";

const ROUTER = addressToBytes(literal("2001:db8:77::1"));
const TRANSLATED = { returned: PASS, counted: { "translated-icmp-error": 1 } };
const PASSED = { returned: PASS, counted: { "passed-icmp-error": 1 } };
const WITHHELD = { returned: DROP, counted: { "withheld-icmp-error": 1 } };
const UNTOUCHED = { returned: PASS, counted: {} };

const PLAIN = ipv6(LOCAL_ULID, PEER_ULID, [upperLayer(17, new Uint8Array(40).fill(9))]);
const QUOTED = rewritten(PLAIN, LOCAL_LOCATOR, PEER_LOCATOR);

let programs: ShimPrograms;

beforeAll(() => {
  programs = new ShimPrograms();
});

beforeEach(() => {
  programs.kernel.records.reset(SLOT, ULIDS);
  programs.setMapping(MAPPING);
});

afterAll(() => programs.close());

interface Fields {
  readonly type: number;
  readonly code: number;
  readonly parameter: number;
}

function errorFor(destination: Uint8Array, fields: Fields, quoted: Uint8Array): Uint8Array {
  const message = buildIcmpError(ROUTER, destination, fields, quoted);
  return ipv6(ROUTER, destination, [upperLayer(58, message)]);
}

function icmpError(fields: Fields, quoted = QUOTED): Uint8Array {
  return errorFor(LOCAL_LOCATOR, fields, quoted);
}

function translated(packet: Uint8Array): Uint8Array | undefined {
  const result = translateIcmpError(packet, LOCAL_ULID, PEER_ULID);
  return result.ok ? result.value : undefined;
}

/** With the checksum field zeroed: there are two ways to write 0. */
function withoutChecksum(packet: Uint8Array): Uint8Array {
  return Uint8Array.from(packet).fill(0, 42, 44);
}

/** The kernel's half does not look at the length that RFC 4884 puts into errors of two types. */
function withoutQuotedLength(packet: Uint8Array): Uint8Array {
  const found = findIcmpError(packet);
  if (!found.ok || (found.value.error.type !== 1 && found.value.error.type !== 3)) return packet;
  const { icmpOffset } = found.value;
  return Uint8Array.from(packet).fill(0, icmpOffset + 4, icmpOffset + 5);
}

/** To the ULID where it is translated, else to the locator as before. */
function expectTranslation(packet: Uint8Array): void {
  const outcome = programs.run("uplink_in", packet);
  const expected = translated(packet);
  expect(outcome).toMatchObject(expected === undefined ? PASSED : TRANSLATED);
  expect(hex(withoutChecksum(outcome.packet))).toBe(hex(withoutChecksum(expected ?? packet)));
  const destination = outcome.packet.subarray(24, 40);
  expect(icmpChecksum(ROUTER, destination, outcome.packet.subarray(40))).toBe(0);
}

describe("an ICMPv6 error about a rewritten packet", () => {
  /** Payload that is cut anywhere behind its Shim6 header, or whole. */
  const quoted = fc
    .tuple(
      fc.constantFrom(6, 17, 58, 132, 44),
      bytes(300),
      fc.oneof(fc.nat(300), fc.constant(9999)),
    )
    .map(([protocol, body, cut]) => {
      const plain = ipv6(LOCAL_ULID, PEER_ULID, [
        upperLayer(protocol, concat(Uint8Array.of(17, 1), body)),
      ]);
      return rewritten(plain, LOCAL_LOCATOR, PEER_LOCATOR).subarray(0, 48 + cut);
    });
  const pointer = fc.oneof(fc.nat(120), fc.constantFrom(6, 39, 40, 47, 48, 49), fc.nat(0xffffffff));
  const fields: fc.Arbitrary<Fields> = fc.oneof(
    fc.record({ type: fc.constant(1), code: fc.nat(9), parameter: fc.constant(0) }),
    fc.record({
      type: fc.constant(2),
      code: fc.constant(0),
      parameter: fc.oneof(fc.integer({ min: 1270, max: 1300 }), fc.nat(0xffffffff)),
    }),
    fc.record({ type: fc.constant(3), code: fc.nat(1), parameter: fc.constant(0) }),
    fc.record({ type: fc.constant(4), code: fc.nat(2), parameter: pointer }),
  );

  test("is translated as src/wire does, checksum included, or passed where that is about Shim6", () => {
    fc.assert(
      fc.property(fields, quoted, (each, packet) => expectTranslation(icmpError(each, packet))),
      { numRuns: 300 },
    );
  });

  test.each([1279, 1280, 1287, 1288, 1289, 1500])("about an MTU of %i", (parameter) => {
    expectTranslation(icmpError({ type: 2, code: 0, parameter }));
  });

  test.each([0, 6, 7, 24, 39, 40, 41, 47, 48, 49, 80])(
    "with a pointer to octet %i",
    (parameter) => {
      for (const code of [0, 1, 2]) expectTranslation(icmpError({ type: 4, code, parameter }));
    },
  );

  test("a checksum that is wrong stays wrong", () => {
    const packet = icmpError({ type: 3, code: 0, parameter: 0 });
    packet[43] = (packet[43] as number) ^ 1;
    const outcome = programs.run("uplink_in", packet);
    expect(outcome).toMatchObject(TRANSLATED);
    expect(icmpChecksum(ROUTER, LOCAL_ULID, outcome.packet.subarray(40))).not.toBe(0);
  });

  test("what RFC 4884 puts behind the packet stays, without the length: src/wire leaves it out", () => {
    const units = QUOTED.length / 8;
    const extensions = Uint8Array.of(0x20, 0, 0, 0);
    const fields = { type: 3, code: 0, parameter: units << 24 };
    const packet = icmpError(fields, concat(QUOTED, extensions));
    const outcome = programs.run("uplink_in", packet);
    expect(outcome).toMatchObject(TRANSLATED);
    const plain = errorFor(LOCAL_ULID, { ...fields, parameter: 0 }, concat(PLAIN, extensions));
    expect(withoutChecksum(outcome.packet)).toEqual(withoutChecksum(plain));
    expect(translated(packet)?.length).toBe(plain.length - extensions.length);
  });

  test("octets behind the packet stay where they are", () => {
    const packet = icmpError({ type: 3, code: 0, parameter: 0 });
    const behind = Uint8Array.of(1, 2, 3);
    const outcome = programs.run("uplink_in", concat(packet, behind));
    expect(outcome.packet.subarray(-3)).toEqual(behind);
    expect(outcome.packet.length).toBe(packet.length - 8 + 3);
    const message = outcome.packet.subarray(40, -3);
    expect(icmpChecksum(ROUTER, LOCAL_ULID, message)).toBe(0);
  });

  test("is withheld where the record says so and another path may help", () => {
    programs.kernel.records.setFlags(SLOT, { watched: false, withholding: true });
    for (const type of [1, 2, 3, 4]) {
      for (const code of [0, 1, 3, 4, 5, 6, 7, 8]) {
        const packet = icmpError({ type, code, parameter: type === 2 ? 1400 : 0 });
        const outcome = programs.run("uplink_in", packet);
        expect(outcome).toMatchObject(concernsPath({ type, code }) ? WITHHELD : TRANSLATED);
      }
    }
  });

  test.each([
    {
      name: "for another host",
      packet: errorFor(PEER_ULID, { type: 3, code: 0, parameter: 0 }, QUOTED),
    },
    {
      name: "that ends before the tag does",
      packet: icmpError({ type: 3, code: 0, parameter: 0 }, QUOTED.subarray(0, 47)),
    },
    {
      name: "about a control message",
      packet: icmpError(
        { type: 4, code: 1, parameter: 6 },
        ipv6(LOCAL_LOCATOR, PEER_LOCATOR, [upperLayer(140, new Uint8Array(8))]),
      ),
    },
    {
      // src/wire does translate it.
      name: "about a packet with headers before the Shim6 header",
      packet: icmpError(
        { type: 3, code: 0, parameter: 0 },
        rewritten(
          ipv6(LOCAL_ULID, PEER_ULID, [extension(0, 0), upperLayer(17, new Uint8Array(9))]),
          LOCAL_LOCATOR,
          PEER_LOCATOR,
        ),
      ),
    },
    { name: "of a type that nobody knows", packet: icmpError({ type: 5, code: 0, parameter: 0 }) },
  ])("one $name is left alone", ({ packet }) => {
    expect(programs.run("uplink_in", packet)).toMatchObject({ ...UNTOUCHED, packet });
  });

  test("one about another's tag is left alone and counted", () => {
    const foreign = rewritten(PLAIN, LOCAL_LOCATOR, PEER_LOCATOR, OUR_TAG);
    const packet = icmpError({ type: 3, code: 0, parameter: 0 }, foreign);
    expect(programs.run("uplink_in", packet)).toMatchObject({ ...PASSED, packet });
  });

  test("random changes never make more of it than a translation or nothing", () => {
    const base = fields.map((each) => icmpError(each));
    fc.assert(
      fc.property(mutated(base), (packet) => {
        const { returned, packet: found, counted } = programs.run("uplink_in", packet);
        expect(returned).toBe(PASS);
        if (Buffer.compare(found, packet) === 0) return;
        expect(counted).toEqual({ "translated-icmp-error": 1 });
        expect(translated(withoutQuotedLength(packet))).toBeDefined();
        expect(found.length).toBe(packet.length - 8);
      }),
      { numRuns: 800, examples: [[icmpError({ type: 1, code: 0, parameter: 0x0100_0000 })]] },
    );
  });
});

describe("an ICMPv6 error about a packet that left unchanged", () => {
  test("passes, or is withheld where the record of its pair says so", () => {
    for (const withholding of [false, true]) {
      programs.kernel.records.setFlags(SLOT, { watched: false, withholding });
      for (const [type, code] of [
        [1, 0],
        [1, 4],
        [2, 0],
        [3, 0],
        [4, 0],
      ] as const) {
        const packet = errorFor(LOCAL_ULID, { type, code, parameter: 1400 }, PLAIN);
        const outcome = programs.run("uplink_in", packet);
        const isWithheld = withholding && concernsPath({ type, code });
        expect(outcome).toMatchObject({ ...(isWithheld ? WITHHELD : UNTOUCHED), packet });
      }
    }
  });

  test("of a pair without a context passes", () => {
    programs.kernel.records.setFlags(SLOT, { watched: false, withholding: true });
    const other = ipv6(LOCAL_LOCATOR, PEER_ULID, [upperLayer(17, new Uint8Array(20))]);
    const packet = errorFor(LOCAL_LOCATOR, { type: 1, code: 0, parameter: 0 }, other);
    expect(programs.run("uplink_in", packet)).toMatchObject({ ...UNTOUCHED, packet });
  });
});
