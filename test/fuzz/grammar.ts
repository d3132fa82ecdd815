import { type Address, addressToBytes } from "../../src/wire/address.ts";
import { PROTOCOL_SHIM6, PROTOCOL_UDP, UDP_HEADER_LENGTH } from "../../src/wire/ipv6.ts";
import type { ControlMessage, Option, ProbeReport } from "../../src/wire/message.ts";
import { type ContextTag, contextTag } from "../../src/wire/tag.ts";
import type { Dice } from "./dice.ts";

/** Where both ends take Shim6 in UDP. */
export const UDP_PORT = 61_140;

/** Values of each kind that the grammar draws from, newest last. */
const KEPT = 24;

/** What went over the wire so far: a stranger on the path knows as much. */
export class Vocabulary {
  readonly tags: ContextTag[] = [contextTag(0)];
  readonly nonces: number[] = [0, 0xffff_ffff];
  readonly validators: Uint8Array[] = [new Uint8Array(32)];
  readonly #addresses: readonly Address[];
  readonly #roll: Dice;

  constructor(addresses: readonly Address[], roll: Dice) {
    this.#addresses = addresses;
    this.#roll = roll;
  }

  /** Takes the values that the message carries. */
  learn(message: ControlMessage): void {
    for (const [key, value] of Object.entries(message)) {
      if (key.endsWith("Tag")) keep(this.tags, value as ContextTag);
      if (key.endsWith("Nonce")) keep(this.nonces, value as number);
    }
    if (message.type === "Probe") {
      for (const { nonce } of message.sentProbes) keep(this.nonces, nonce);
    }
    for (const option of "options" in message ? message.options : []) {
      if (option.name === "ResponderValidator") keep(this.validators, option.validator);
    }
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.#roll(values.length)] as Value;
  }

  tag(): ContextTag {
    return this.#roll(8) === 0 ? contextTag(this.#roll(2 ** 31)) : this.pick(this.tags);
  }

  nonce(): number {
    return this.#roll(8) === 0 ? this.#roll(2 ** 32 - 1) : this.pick(this.nonces);
  }

  address(): Address {
    return this.pick(this.#addresses);
  }

  /** A message of any type, well-formed, with values that mostly mean something. */
  message(): ControlMessage {
    const build = this.pick(MESSAGES);
    return build(this, this.#roll);
  }

  options(): Option[] {
    return Array.from({ length: this.#roll(5) }, () => this.pick(OPTIONS)(this, this.#roll));
  }
}

function keep<Value>(values: Value[], value: Value): void {
  if (values.includes(value)) return;
  values.push(value);
  if (values.length > KEPT) values.shift();
}

type Build<Value> = (words: Vocabulary, roll: Dice) => Value;

const MESSAGES: readonly Build<ControlMessage>[] = [
  (words) => ({ type: "I1", ...initiator(words), options: words.options() }),
  (words) => ({
    type: "R1",
    initiatorNonce: words.nonce(),
    responderNonce: words.nonce(),
    options: words.options(),
  }),
  (words) => ({
    type: "I2",
    ...initiator(words),
    responderNonce: words.nonce(),
    options: words.options(),
  }),
  (words) => ({
    type: "R2",
    responderContextTag: words.tag(),
    initiatorNonce: words.nonce(),
    options: words.options(),
  }),
  (words) => ({
    type: "R1bis",
    packetContextTag: words.tag(),
    responderNonce: words.nonce(),
    options: words.options(),
  }),
  (words) => ({
    type: "I2bis",
    ...initiator(words),
    responderNonce: words.nonce(),
    packetContextTag: words.tag(),
    options: words.options(),
  }),
  (words) => ({ type: "UpdateRequest", ...receiver(words), options: words.options() }),
  (words) => ({ type: "UpdateAcknowledgement", ...receiver(words), options: words.options() }),
  (words) => ({ type: "Keepalive", receiverContextTag: words.tag(), options: words.options() }),
  (words, roll) => ({
    type: "Probe",
    receiverContextTag: words.tag(),
    state: words.pick(["operational", "exploring", "inboundok"]),
    sentProbes: reports(words, 1 + roll(15)),
    receivedProbes: reports(words, roll(16)),
    options: [],
  }),
  (_words, roll) => ({
    type: "Error",
    errorCode: roll(128),
    pointer: roll(65_536),
    packetInError: new Uint8Array(8 * roll(20)).map(() => roll(256)),
  }),
  (_words, roll) => ({ type: "Unknown", typeCode: 70 + roll(50), body: new Uint8Array(10) }),
];

function initiator(words: Vocabulary): { initiatorContextTag: ContextTag; initiatorNonce: number } {
  return { initiatorContextTag: words.tag(), initiatorNonce: words.nonce() };
}

function receiver(words: Vocabulary): { receiverContextTag: ContextTag; requestNonce: number } {
  return { receiverContextTag: words.tag(), requestNonce: words.nonce() };
}

function reports(words: Vocabulary, length: number): ProbeReport[] {
  return Array.from({ length }, () => ({
    source: words.address(),
    destination: words.address(),
    nonce: words.nonce(),
    data: words.nonce(),
  }));
}

const OPTIONS: readonly Build<Option>[] = [
  (words, roll) => ({
    name: "ResponderValidator",
    critical: roll(2) === 0,
    validator: words.pick(words.validators),
  }),
  (words, roll) => ({
    name: "LocatorList",
    critical: roll(4) === 0,
    generation: roll(4),
    locators: Array.from({ length: roll(20) }, () => ({
      address: words.address(),
      method: roll(16) === 0 ? roll(256) : 201,
    })),
  }),
  (_words, roll) => ({
    name: "LocatorPreferences",
    critical: roll(4) === 0,
    generation: roll(4),
    elementLength: 3,
    elements: Array.from({ length: roll(20) }, () => ({
      flags: roll(4),
      priority: roll(256),
      weight: roll(256),
    })),
  }),
  (words, roll) => ({
    name: "UlidPair",
    critical: roll(2) === 0,
    senderUlid: words.address(),
    receiverUlid: words.address(),
  }),
  (_words, roll) => ({
    name: "ForkedInstanceIdentifier",
    critical: roll(4) === 0,
    identifier: roll(3),
  }),
  (_words, roll) => ({
    name: "KeepaliveTimeout",
    critical: roll(4) === 0,
    timeout: roll(3) === 0 ? roll(65_536) : roll(20),
  }),
  (_words, roll) => ({
    name: "UdpEncapsulation",
    critical: roll(8) === 0,
    port: roll(4) === 0 ? roll(65_536) : UDP_PORT,
  }),
  (_words, roll) => ({
    name: "CgaParameterDataStructure",
    critical: roll(4) === 0,
    parameters: new Uint8Array(roll(60)),
  }),
  (_words, roll) => ({
    name: "Unknown",
    critical: roll(8) === 0,
    type: 100 + roll(1000),
    contents: new Uint8Array(roll(30)),
  }),
];

/** What goes, or would go, over the wire. */
export interface Flight {
  readonly source: Address;
  readonly destination: Address;
  readonly bytes: Uint8Array;
  readonly encapsulated: boolean;
}

/** Its IPv6 packet as an ICMPv6 error or a Shim6 Error quotes it. */
export function quote({ source, destination, bytes: shim6, encapsulated }: Flight): Uint8Array {
  const bytes = encapsulated ? inUdp(shim6) : shim6;
  const packet = new Uint8Array(40 + bytes.length);
  const protocol = encapsulated ? PROTOCOL_UDP : PROTOCOL_SHIM6;
  packet.set([0x60, 0, 0, 0, bytes.length >> 8, bytes.length & 0xff, protocol, 64]);
  packet.set(addressToBytes(source), 8);
  packet.set(addressToBytes(destination), 24);
  packet.set(bytes, 40);
  return packet;
}

/** Without a checksum, which nobody verifies in a quotation. */
function inUdp(bytes: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(UDP_HEADER_LENGTH + bytes.length);
  const header = new DataView(datagram.buffer);
  for (const at of [0, 2]) header.setUint16(at, UDP_PORT);
  header.setUint16(4, datagram.length);
  datagram.set(bytes, UDP_HEADER_LENGTH);
  return datagram;
}
