import {
  bindSocket,
  closeDescriptor,
  growSocketBuffers,
  openSocket,
  readSocketOption,
  SOCK_DGRAM,
  SOL_SOCKET,
  setSocketOption,
} from "./libc.ts";
import { viewOf } from "./netlink.ts";
import { type ReadableWatch, watchReadable } from "./readable.ts";
import { ReceiveVector } from "./receive-vector.ts";
import {
  DROP,
  FilterProgram,
  ifEqual,
  KEEP,
  loadWord,
  OF_INTERFACE,
  OF_PROTOCOL,
  SO_ATTACH_FILTER,
} from "./socket-filter.ts";

const AF_PACKET = 17;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
/** Only a socket for all protocols sees what leaves. */
const ETH_P_ALL = 3;
const ETH_P_IPV6 = 0x86dd;
/** The loopback interface of every network namespace. */
const LOOPBACK = 1;

const SO_TIMESTAMPNS = 35;
/** struct cmsghdr, then struct timespec. */
const CMSGHDR_LENGTH = 16;
const CONTROL_LENGTH = CMSGHDR_LENGTH + 16;

/** struct sockaddr_ll. */
const SOCKADDR_LL_LENGTH = 20;
const SOCKADDR_PROTOCOL = 2;
const SOCKADDR_INTERFACE = 4;
const SOCKADDR_PACKET_TYPE = 10;
const PACKET_HOST = 0;
const PACKET_OUTGOING = 4;

const BATCH = 64;
/** Milliseconds after a full batch: others have their turn, and 16 000 packets a second are taken. */
const REST = 4;
const BUFFER = 8 * 1024 * 1024;

/** An IPv6 packet to or from this host as an interface sent or received it. */
export interface SeenPacket {
  /** Microseconds since 1970. */
  readonly at: number;
  /** Interface index. */
  readonly interface: number;
  readonly direction: "out" | "in";
  /** From the IPv6 header on, cut to what was asked for; valid only while the batch is handled. */
  readonly bytes: Uint8Array;
}

export interface PacketTap {
  /** IPv6 packets, whosever, that went by unseen since this was last called. */
  takeMissed(): number;
  /** Safe to call twice. */
  close(): void;
}

/** @param length octets of each packet at most */
export type OpenPackets = (
  length: number,
  onBatch: (packets: readonly SeenPacket[]) => void,
  onError: (error: Error) => void,
) => PacketTap;

/**
 * Sees the IPv6 packets of all interfaces but the loopback.
 * @throws SystemError EPERM without CAP_NET_RAW
 */
export const openPackets: OpenPackets = (length, onBatch, onError) =>
  new PacketSocket(length, onBatch, onError);

const PURPOSE = "watch packets on the interfaces";

class PacketSocket implements PacketTap {
  readonly #fd: number;
  readonly #vector: ReceiveVector;
  readonly #onBatch: (packets: readonly SeenPacket[]) => void;
  readonly #watch: ReadableWatch;
  #open = true;

  constructor(
    length: number,
    onBatch: (packets: readonly SeenPacket[]) => void,
    onError: (error: Error) => void,
  ) {
    this.#onBatch = onBatch;
    this.#vector = new ReceiveVector({
      count: BATCH,
      size: length,
      nameSize: SOCKADDR_LL_LENGTH,
      controlSize: CONTROL_LENGTH,
    });
    // Of no protocol, it receives nothing before it has its filter.
    this.#fd = openSocket(AF_PACKET, SOCK_DGRAM, 0, PURPOSE);
    try {
      setSocketOption(this.#fd, SOL_SOCKET, SO_ATTACH_FILTER, ipv6Elsewhere().option, PURPOSE);
      setSocketOption(this.#fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, PURPOSE);
      growSocketBuffers(this.#fd, BUFFER, BUFFER);
      bindSocket(this.#fd, allInterfaces(), PURPOSE);
      this.#watch = watchReadable(this.#fd, () => this.#drain(), onError);
    } catch (error) {
      closeDescriptor(this.#fd);
      throw error;
    }
  }

  /** The kernel begins at 0 again with each reading of struct tpacket_stats. */
  takeMissed(): number {
    const statistics = new Uint8Array(8);
    readSocketOption(this.#fd, SOL_PACKET, PACKET_STATISTICS, statistics, PURPOSE);
    return viewOf(statistics).getUint32(4, true);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watch.close();
    closeDescriptor(this.#fd);
  }

  #drain(): void {
    const count = this.#vector.receive(this.#fd, PURPOSE);
    const packets = Array.from({ length: count }, (_, index) => this.#decode(index));
    if (count === BATCH) this.#watch.rest(REST);
    this.#onBatch(packets.filter((packet) => packet !== undefined));
  }

  /** `undefined` for what is neither to this host alone nor from it. */
  #decode(index: number): SeenPacket | undefined {
    const name = viewOf(this.#vector.name(index));
    const type = name.getUint8(SOCKADDR_PACKET_TYPE);
    if (type !== PACKET_HOST && type !== PACKET_OUTGOING) return undefined;
    return {
      at: microseconds(this.#vector.control(index)),
      interface: name.getInt32(SOCKADDR_INTERFACE, true),
      direction: type === PACKET_OUTGOING ? "out" : "in",
      bytes: this.#vector.payload(index),
    };
  }
}

function ipv6Elsewhere(): FilterProgram {
  return new FilterProgram([
    loadWord(OF_PROTOCOL),
    ifEqual(ETH_P_IPV6, 0, 2),
    loadWord(OF_INTERFACE),
    ifEqual(LOOPBACK, 0, 1),
    DROP,
    KEEP,
  ]);
}

function allInterfaces(): Uint8Array {
  const address = new Uint8Array(SOCKADDR_LL_LENGTH);
  viewOf(address).setUint16(0, AF_PACKET, true);
  viewOf(address).setUint16(SOCKADDR_PROTOCOL, ETH_P_ALL);
  return address;
}

/** Of a control message with a struct timespec. */
function microseconds(control: Uint8Array): number {
  const view = viewOf(control);
  const seconds = Number(view.getBigInt64(CMSGHDR_LENGTH, true));
  const nanoseconds = Number(view.getBigInt64(CMSGHDR_LENGTH + 8, true));
  return seconds * 1_000_000 + Math.floor(nanoseconds / 1000);
}
