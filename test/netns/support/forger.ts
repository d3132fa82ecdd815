import { removeNamespace } from "../../../src/lab/leftovers.ts";
import { ipBatchIn, run } from "../../../src/lab/shell.ts";
import { CORE, literal } from "../../../src/lab/topology.ts";
import {
  AF_INET6,
  addressOf,
  closeDescriptor,
  openSocket,
  SOCK_RAW,
  sendMessage,
} from "../../../src/linux/libc.ts";
import { viewOf } from "../../../src/linux/netlink.ts";
import { type Address, addressToBytes, writeAddress } from "../../../src/wire/address.ts";
import { encodeControl } from "../../../src/wire/control.ts";
import { buildIcmpError, ICMP_DESTINATION_UNREACHABLE } from "../../../src/wire/icmp6.ts";
import {
  DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH,
  NEXT_HEADER_OFFSET,
  PROTOCOL_ICMPV6,
  PROTOCOL_SHIM6,
  SOURCE_OFFSET,
  setPayloadLength,
} from "../../../src/wire/ipv6.ts";
import type { ControlMessage } from "../../../src/wire/message.ts";
import { addPayloadHeader } from "../../../src/wire/payload.ts";
import type { ContextTag } from "../../../src/wire/tag.ts";
import { TestNamespace } from "./namespaces.ts";
import type { ShimLab } from "./shim-lab.ts";

const NAME = "forger";
const NETWORK = "2001:db8:fff0:67";
const PURPOSE = "send forged packets";
/** Packets come with their IPv6 header. */
const IPPROTO_RAW = 255;
const PROTOCOL_UDP = 17;
const HOP_LIMIT = 64;

const SOCKADDR_IN6_LENGTH = 28;
const SOCKADDR_ADDRESS = 8;
const MSGHDR_LENGTH = 56;
const IOVEC_LENGTH = 16;
const PACKET_MAX = 1500;

/** A host behind the lab's core router that sends packets from any source. Goes with the lab. */
export class Forger {
  readonly address = literal(`${NETWORK}::2`);
  readonly #fd: number;
  readonly #header = new Uint8Array(MSGHDR_LENGTH);
  // The kernel reaches these by pointer only: the fields keep them from being collected.
  readonly #name = new Uint8Array(SOCKADDR_IN6_LENGTH);
  readonly #iovec = new Uint8Array(IOVEC_LENGTH);
  readonly #packet = new Uint8Array(PACKET_MAX);
  /** Packets sent. */
  sent = 0;

  private constructor(fd: number) {
    this.#fd = fd;
    viewOf(this.#name).setUint16(0, AF_INET6, true);
    viewOf(this.#iovec).setBigUint64(0, addressOf(this.#packet), true);
    const header = viewOf(this.#header);
    header.setBigUint64(0, addressOf(this.#name), true);
    header.setUint32(8, SOCKADDR_IN6_LENGTH, true);
    header.setBigUint64(16, addressOf(this.#iovec), true);
    header.setBigUint64(24, 1n, true);
  }

  static async join({ lab }: ShimLab): Promise<Forger> {
    const { network } = lab;
    const [own, core] = [network.namespace(NAME), network.namespace(CORE)];
    await run(["ip", "netns", "add", own]);
    lab.defer(() => removeNamespace(own));
    const ends = ["name", NAME, "netns", core, "type", "veth", "peer", "name", CORE, "netns", own];
    await run(["ip", "link", "add", ...ends]);
    await ipBatchIn(own, [
      `address add ${NETWORK}::2/64 dev ${CORE} nodad`,
      `link set dev ${CORE} up`,
      `route add default via ${NETWORK}::1 dev ${CORE}`,
    ]);
    // What goes back to sources that nobody has ends here.
    await ipBatchIn(core, [
      `address add ${NETWORK}::1/64 dev ${NAME} nodad`,
      `link set dev ${NAME} up`,
      `route add default via ${NETWORK}::2 dev ${NAME}`,
    ]);
    const fd = new TestNamespace(own).enter(() =>
      openSocket(AF_INET6, SOCK_RAW, IPPROTO_RAW, PURPOSE),
    );
    lab.defer(async () => closeDescriptor(fd));
    return new Forger(fd);
  }

  say(source: Address, destination: Address, message: ControlMessage): void {
    this.replay(source, destination, encodeControl(message));
  }

  /** @param octets from the Shim6 header on */
  replay(source: Address, destination: Address, octets: Uint8Array): void {
    this.#send(packetOf(PROTOCOL_SHIM6, source, destination, octets), destination);
  }

  /** A datagram between two ULIDs with a payload header. */
  sendPayload(source: Address, destination: Address, tag: ContextTag): void {
    const datagram = packetOf(PROTOCOL_UDP, source, destination, new Uint8Array(24));
    const [from, to] = [source, destination].map(addressToBytes) as [Uint8Array, Uint8Array];
    const packet = addPayloadHeader(datagram, from, to, tag);
    if (!packet.ok) throw new Error(packet.error);
    this.#send(packet.value, destination);
  }

  /** "No route to B", as a router would tell A of its packet to B. */
  sayUnreachable(a: Address, b: Address): void {
    const quoted = packetOf(PROTOCOL_UDP, a, b, new Uint8Array(24));
    const [from, to] = [this.address, a].map(addressToBytes) as [Uint8Array, Uint8Array];
    const fields = { type: ICMP_DESTINATION_UNREACHABLE, code: 0, parameter: 0 };
    const error = buildIcmpError(from, to, fields, quoted);
    this.#send(packetOf(PROTOCOL_ICMPV6, this.address, a, error), a);
  }

  #send(packet: Uint8Array, destination: Address): void {
    writeAddress(destination, this.#name, SOCKADDR_ADDRESS);
    this.#packet.set(packet);
    viewOf(this.#iovec).setBigUint64(8, BigInt(packet.length), true);
    sendMessage(this.#fd, this.#header, PURPOSE);
    this.sent += 1;
  }
}

function packetOf(
  protocol: number,
  source: Address,
  destination: Address,
  payload: Uint8Array,
): Uint8Array {
  const packet = new Uint8Array(IPV6_HEADER_LENGTH + payload.length);
  packet[0] = 0x60;
  packet[NEXT_HEADER_OFFSET] = protocol;
  packet[NEXT_HEADER_OFFSET + 1] = HOP_LIMIT;
  setPayloadLength(packet, payload.length);
  writeAddress(source, packet, SOURCE_OFFSET);
  writeAddress(destination, packet, DESTINATION_OFFSET);
  packet.set(payload, IPV6_HEADER_LENGTH);
  return packet;
}
