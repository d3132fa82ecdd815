import fc from "fast-check";
import { type Address, addressFromBytes } from "../../../src/wire/address.ts";
import type {
  ControlMessage,
  LocatorPreference,
  Option,
  ProbeReport,
} from "../../../src/wire/message.ts";
import { type ContextTag, contextTag } from "../../../src/wire/tag.ts";

/** Values of the wire's types, within the limits of the format. */

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);

export const tag: fc.Arbitrary<ContextTag> = fc.maxSafeNat().map((n) => contextTag(n % 2 ** 47));

/** Plain octets: not a view of a longer array, so that values compare equal. */
export function bytes(maxLength: number, minLength = 0): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength, maxLength, size: "max" });
}

/** Addresses with runs of zeros more often than chance gives. */
export const address: fc.Arbitrary<Address> = fc
  .array(fc.oneof(fc.constant(0), u16), { minLength: 8, maxLength: 8 })
  .map((groups) => addressFromBytes(Uint8Array.from(groups.flatMap((g) => [g >> 8, g & 0xff]))));

const preferences = fc
  .oneof(fc.constantFrom(1, 2, 3), fc.integer({ min: 4, max: 9 }))
  .chain((elementLength) =>
    fc
      .array(bytes(elementLength, elementLength).map(preference), { maxLength: 8 })
      .map((elements) => ({
        elementLength,
        elements,
      })),
  );

function preference(octets: Uint8Array): LocatorPreference {
  const [flags = 0, priority, weight] = octets;
  return {
    flags,
    ...(priority !== undefined && { priority }),
    ...(weight !== undefined && { weight }),
    ...(octets.length > 3 && { rest: octets.slice(3) }),
  };
}

const UNKNOWN_OPTION_TYPES = fc
  .nat(0x7fff)
  .filter((type) => !(type >= 1 && type <= 7) && type !== 10 && type !== 16_524);

export const option: fc.Arbitrary<Option> = fc.boolean().chain((critical): fc.Arbitrary<Option> => {
  const locators = fc.array(fc.record({ address, method: u8 }), { maxLength: 9 });
  return fc.oneof(
    bytes(40).map((validator) => ({ name: "ResponderValidator" as const, critical, validator })),
    fc.record({ generation: u32, locators }).map((fields) => ({
      name: "LocatorList" as const,
      critical,
      ...fields,
    })),
    fc.tuple(u32, preferences).map(([generation, rest]) => ({
      name: "LocatorPreferences" as const,
      critical,
      generation,
      ...rest,
    })),
    bytes(200).map((parameters) => ({
      name: "CgaParameterDataStructure" as const,
      critical,
      parameters,
    })),
    bytes(140).map((signature) => ({ name: "CgaSignature" as const, critical, signature })),
    fc.record({ senderUlid: address, receiverUlid: address }).map((fields) => ({
      name: "UlidPair" as const,
      critical,
      ...fields,
    })),
    u32.map((identifier) => ({ name: "ForkedInstanceIdentifier" as const, critical, identifier })),
    u16.map((timeout) => ({ name: "KeepaliveTimeout" as const, critical, timeout })),
    u16.map((port) => ({ name: "UdpEncapsulation" as const, critical, port })),
    fc.record({ type: UNKNOWN_OPTION_TYPES, contents: bytes(30) }).map((fields) => ({
      name: "Unknown" as const,
      critical,
      ...fields,
    })),
  );
});

const options = fc.array(option, { maxLength: 4 });

const report: fc.Arbitrary<ProbeReport> = fc.record({
  source: address,
  destination: address,
  nonce: u32,
  data: u32,
});

const UNKNOWN_MESSAGE_TYPES = fc
  .nat(0x7f)
  .filter((type) => !(type >= 1 && type <= 6) && !(type >= 64 && type <= 68));

/** Octets that fill a message behind `before` octets to a multiple of 8. */
function filling(before: number, maxUnits: number): fc.Arbitrary<Uint8Array> {
  return fc.integer({ min: 1, max: maxUnits }).chain((units) => {
    const length = 8 * units - before;
    return bytes(length, length);
  });
}

function constant<const T extends string>(type: T) {
  return fc.constant(type);
}

export const message: fc.Arbitrary<ControlMessage> = fc.oneof(
  fc.record({
    type: constant("I1"),
    initiatorContextTag: tag,
    initiatorNonce: u32,
    options,
  }),
  fc.record({ type: constant("R1"), initiatorNonce: u32, responderNonce: u32, options }),
  fc.record({
    type: constant("I2"),
    initiatorContextTag: tag,
    initiatorNonce: u32,
    responderNonce: u32,
    options,
  }),
  fc.record({ type: constant("R2"), responderContextTag: tag, initiatorNonce: u32, options }),
  fc.record({ type: constant("R1bis"), packetContextTag: tag, responderNonce: u32, options }),
  fc.record({
    type: constant("I2bis"),
    initiatorContextTag: tag,
    initiatorNonce: u32,
    responderNonce: u32,
    packetContextTag: tag,
    options,
  }),
  fc.record({
    type: fc.constantFrom("UpdateRequest", "UpdateAcknowledgement"),
    receiverContextTag: tag,
    requestNonce: u32,
    options,
  }),
  fc.record({ type: constant("Keepalive"), receiverContextTag: tag, options }),
  fc.record({
    type: constant("Probe"),
    receiverContextTag: tag,
    state: fc.constantFrom("operational", "exploring", "inboundok"),
    sentProbes: fc.array(report, { minLength: 1, maxLength: 15 }),
    receivedProbes: fc.array(report, { maxLength: 15 }),
    options: fc.array(option, { maxLength: 1 }),
  }),
  fc.record({
    type: constant("Error"),
    errorCode: fc.nat(127),
    pointer: u16,
    packetInError: filling(0, 100),
  }),
  fc.record({ type: constant("Unknown"), typeCode: UNKNOWN_MESSAGE_TYPES, body: filling(6, 100) }),
);

/** `base` with some octets changed, cut off or put on. */
export function mutated(base: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(2100), u8);
  return fc
    .tuple(base, fc.array(change, { maxLength: 4 }), fc.integer({ min: -24, max: 24 }))
    .map(([octets, changes, growth]) => {
      const copy = new Uint8Array(Math.max(0, octets.length + growth));
      copy.set(octets.subarray(0, copy.length));
      for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value;
      return copy;
    });
}
