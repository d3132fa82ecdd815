import type { AddressPair } from "../../../src/core/output.ts";
import type { Packet } from "../../../src/sim/packet.ts";
import type { Address } from "../../../src/wire/address.ts";
import { encodeControl } from "../../../src/wire/control.ts";
import { IPV6_HEADER_LENGTH } from "../../../src/wire/ipv6.ts";
import type { ControlMessage } from "../../../src/wire/message.ts";
import type { ContextTag } from "../../../src/wire/tag.ts";
import type { Arena, Station } from "./arena.ts";

/** Of a payload that an attacker makes up: no application sends on it. */
const FORGED_FLOW = 666;

type Seen<Type extends ControlMessage["type"]> = Extract<Packet, { readonly type: "control" }> & {
  readonly message: Extract<ControlMessage, { readonly type: Type }>;
};

/**
 * A host that knows the protocol and no rules: sends what it likes from any source, and while it is
 * on the path sees all packets of A and B.
 */
export class Attacker implements Station {
  readonly address: Address;
  /** What came to its own address. */
  readonly received: Packet[] = [];
  /** What it saw on the path. */
  readonly overheard: Packet[] = [];
  /** Does something at once when a packet comes. */
  answer: (packet: Packet) => void = () => undefined;
  /** Octets of the control messages that it made up, IPv6 headers included. */
  octetsSaid = 0;
  readonly #arena: Arena;
  #onPath = false;

  constructor(arena: Arena, address: Address) {
    this.#arena = arena;
    this.address = address;
    arena.add(this);
  }

  enterPath(): void {
    this.#onPath = true;
  }

  leavePath(): void {
    this.#onPath = false;
  }

  overhear(packet: Packet): void {
    if (this.#onPath) this.overheard.push(packet);
  }

  receive(packet: Packet): void {
    this.received.push(packet);
    this.answer(packet);
  }

  get receivedPayload(): Packet[] {
    return this.received.filter(({ type }) => type === "payload");
  }

  /** @param source whosever address it is */
  say(source: Address, destination: Address, message: ControlMessage): void {
    const bytes = encodeControl(message);
    this.octetsSaid += IPV6_HEADER_LENGTH + bytes.length;
    this.#arena.inject({ type: "control", source, destination, bytes, message });
  }

  /**
   * Payload of its own making.
   * @param tag in the payload header; `undefined` for plain IPv6
   * @param ulids that its transport checksum is right for, as its alleged sender has them
   */
  sendPayload(
    source: Address,
    destination: Address,
    tag: ContextTag | undefined,
    ulids: AddressPair = { local: source, peer: destination },
  ): void {
    const payload = { flow: FORGED_FLOW, kind: "request" as const, sequence: 1, ulids };
    this.#arena.inject({ type: "payload", source, destination, payload, tag });
  }

  /** A packet that it has seen, octet for octet. */
  replay(packet: Packet): void {
    this.#arena.inject(packet);
  }

  /** The last message of the type that it has seen on the path. */
  seen<Type extends ControlMessage["type"]>(type: Type): Seen<Type> {
    const found = this.overheard.findLast(
      (packet) => packet.type === "control" && packet.message.type === type,
    );
    if (found?.type !== "control") throw new Error(`the attacker has seen no ${type}`);
    return found as Seen<Type>;
  }

  /** The tags of A and B, as their exchange showed them. */
  get tags(): { readonly a: ContextTag; readonly b: ContextTag } {
    return {
      a: this.seen("I2").message.initiatorContextTag,
      b: this.seen("R2").message.responderContextTag,
    };
  }
}
