import { type Address, addressFromBytes, writeAddress } from "../wire/address.ts";
import {
  AF_INET6,
  addressOf,
  bindSocket,
  closeDescriptor,
  growSocketBuffers,
  openSocket,
  readSocketOption,
  SOCK_RAW,
  SOL_SOCKET,
  sendMessage,
  setSocketOption,
} from "./libc.ts";
import { viewOf } from "./netlink.ts";
import { type ReadableWatch, watchReadable } from "./readable.ts";
import { ReceiveVector } from "./receive-vector.ts";
import { type FilterProgram, SO_ATTACH_FILTER } from "./socket-filter.ts";

const SOL_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_RECVPKTINFO = 49;
const IPV6_PKTINFO = 50;
const IPV6_DONTFRAG = 62;

const SOCKADDR_IN6_LENGTH = 28;
const SOCKADDR_PORT = 2;
const SOCKADDR_ADDRESS = 8;
const SOCKADDR_SCOPE = 24;
/** struct cmsghdr (length, level, type), then struct in6_pktinfo (address, interface index). */
const CMSGHDR_LENGTH = 16;
const PKTINFO_LENGTH = 20;
const CONTROL_LENGTH = CMSGHDR_LENGTH + 24;
const MSGHDR_LENGTH = 56;
const IOVEC_LENGTH = 16;

const HOP_LIMIT = 64;
const BATCH = 16;
const BATCHES_PER_WAKE_UP = 4;
const BUFFER = 1024 * 1024;

/** Nine 32-bit numbers, of which the last counts what found the buffer full. */
const SO_MEMINFO = 55;
const MEMINFO_LENGTH = 36;
const MEMINFO_DROPS = 32;

/** The longest message taken or sent: a Shim6 header of 255 units and the first 8 octets. */
export const MAX_MESSAGE_LENGTH = 2048;

/** A message that came in on a raw socket. */
export interface ReceivedMessage {
  readonly source: Address;
  readonly destination: Address;
  /** Index of the interface that it came in on. */
  readonly interface: number;
  /** From the protocol's own header on, at most {@link MAX_MESSAGE_LENGTH}; the receiver's to keep. */
  readonly bytes: Uint8Array;
}

export interface OutgoingMessage {
  readonly source: Address;
  readonly destination: Address;
  /** Leaves by this interface; by the routing table when it is left out. */
  readonly interface?: number;
  /** From the protocol's own header on, at most {@link MAX_MESSAGE_LENGTH} octets. */
  readonly bytes: Uint8Array;
}

export interface RawSocketOptions {
  /** SOCK_RAW where it is missing. */
  readonly type?: number;
  /** The IP protocol number. */
  readonly protocol: number;
  /** Of a socket that has ports: its own, and that of whomever it speaks with. */
  readonly port?: number;
  /** Completes "cannot …" in errors. */
  readonly purpose: string;
  /** What comes in; everything unless it is given. */
  readonly filter?: FilterProgram;
  /** Further options, set before anything is received. */
  readonly setUp: (fd: number) => void;
  /** Octets that wait at most; a mebibyte by default. The kernel counts its own structures in. */
  readonly receiveBuffer?: number;
  /** Messages taken in a second at most; without it as many as there are. */
  readonly pace?: number;
}

/** A raw IPv6 socket, or one with a port, that knows the addresses at both ends of each message. */
export class RawSocket {
  readonly #fd: number;
  readonly #purpose: string;
  readonly #onMessage: (message: ReceivedMessage) => void;
  readonly #vector = new ReceiveVector({
    count: BATCH,
    size: MAX_MESSAGE_LENGTH,
    nameSize: SOCKADDR_IN6_LENGTH,
    controlSize: CONTROL_LENGTH,
  });
  readonly #port: number;
  readonly #outgoing: OutgoingHeader;
  readonly #watch: ReadableWatch;
  readonly #pace: number | undefined;
  #open = true;
  #overruns = 0;
  /** The kernel's count when it was last read; of 32 bits. */
  #drops = 0;

  /** @throws SystemError EPERM without CAP_NET_RAW */
  constructor(
    options: RawSocketOptions,
    onMessage: (message: ReceivedMessage) => void,
    onError: (error: Error) => void,
  ) {
    const { type = SOCK_RAW, protocol, port = 0, purpose, setUp, receiveBuffer = BUFFER } = options;
    this.#port = port;
    this.#outgoing = new OutgoingHeader(port);
    this.#purpose = purpose;
    this.#pace = options.pace;
    this.#onMessage = onMessage;
    this.#fd = openSocket(AF_INET6, type, protocol, purpose);
    try {
      if (options.filter !== undefined) this.setFilter(options.filter);
      setUp(this.#fd);
      setSocketOption(this.#fd, SOL_IPV6, IPV6_RECVPKTINFO, 1, purpose);
      setSocketOption(this.#fd, SOL_IPV6, IPV6_UNICAST_HOPS, HOP_LIMIT, purpose);
      setSocketOption(this.#fd, SOL_IPV6, IPV6_DONTFRAG, 1, purpose);
      growSocketBuffers(this.#fd, receiveBuffer, BUFFER);
      if (port !== 0) bindSocket(this.#fd, socketAddress(port), purpose);
      this.#watch = watchReadable(this.#fd, () => this.#drain(), onError);
    } catch (error) {
      closeDescriptor(this.#fd);
      throw error;
    }
  }

  /**
   * Messages that the kernel dropped because the buffer was full. Newer kernels count what came
   * at that time and the filter would have dropped, too.
   */
  get overruns(): number {
    if (this.#open) this.#countDrops();
    return this.#overruns;
  }

  /** Takes the place of the filter before, with no packet between them. @throws SystemError */
  setFilter(filter: FilterProgram): void {
    this.setOption(SO_ATTACH_FILTER, filter);
  }

  /** Sets an option that takes a program. @throws SystemError */
  setOption(option: number, program: FilterProgram): void {
    setSocketOption(this.#fd, SOL_SOCKET, option, program.option, this.#purpose);
  }

  /**
   * Sends at once.
   * @throws SystemError e.g. EINVAL when the source is no address of this host, ENETUNREACH
   *   without a route, EMSGSIZE when the message is longer than the path's MTU
   */
  send(message: OutgoingMessage): void {
    this.#outgoing.fill(message);
    const { source, destination } = message;
    sendMessage(
      this.#fd,
      this.#outgoing.header,
      `${this.#purpose}: send from ${source} to ${destination}`,
    );
  }

  /** Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watch.close();
    closeDescriptor(this.#fd);
  }

  #drain(): void {
    const batches = this.#pace === undefined ? BATCHES_PER_WAKE_UP : 1;
    for (let i = 0; i < batches; i++) {
      const count = this.#vector.receive(this.#fd, this.#purpose);
      for (let index = 0; index < count; index++) {
        const message = this.#decode(index);
        if (message !== undefined && this.#open) this.#onMessage(message);
      }
      if (count < BATCH || !this.#open) return;
    }
    if (this.#pace === undefined) return;
    this.#countDrops();
    this.#watch.rest((1000 * BATCH) / this.#pace);
  }

  /** Often enough for the kernel's count not to come round unseen. */
  #countDrops(): void {
    const info = new Uint8Array(MEMINFO_LENGTH);
    readSocketOption(this.#fd, SOL_SOCKET, SO_MEMINFO, info, this.#purpose);
    const drops = viewOf(info).getUint32(MEMINFO_DROPS, true);
    this.#overruns += (drops - this.#drops) >>> 0;
    this.#drops = drops;
  }

  /** `undefined` for a message that came before IPV6_RECVPKTINFO was set, or from another port. */
  #decode(index: number): ReceivedMessage | undefined {
    const control = this.#vector.control(index);
    if (control.length < CMSGHDR_LENGTH + PKTINFO_LENGTH) return undefined;
    const name = this.#vector.name(index);
    if (this.#port !== 0 && viewOf(name).getUint16(SOCKADDR_PORT) !== this.#port) return undefined;
    return {
      source: addressFromBytes(name, SOCKADDR_ADDRESS),
      destination: addressFromBytes(control, CMSGHDR_LENGTH),
      interface: viewOf(control).getUint32(CMSGHDR_LENGTH + 16, true),
      bytes: this.#vector.payload(index).slice(),
    };
  }
}

/** The `struct msghdr` of one message to send and all that it points to, laid out once. */
class OutgoingHeader {
  readonly header = new Uint8Array(MSGHDR_LENGTH);
  readonly #name: Uint8Array;
  readonly #iovec = new Uint8Array(IOVEC_LENGTH);
  readonly #control = new Uint8Array(CONTROL_LENGTH);
  readonly #bytes = new Uint8Array(MAX_MESSAGE_LENGTH);

  constructor(port: number) {
    this.#name = socketAddress(port);
    const header = viewOf(this.header);
    header.setBigUint64(0, addressOf(this.#name), true);
    header.setUint32(8, SOCKADDR_IN6_LENGTH, true);
    header.setBigUint64(16, addressOf(this.#iovec), true);
    header.setBigUint64(24, 1n, true);
    header.setBigUint64(32, addressOf(this.#control), true);
    header.setBigUint64(40, BigInt(CONTROL_LENGTH), true);
    viewOf(this.#iovec).setBigUint64(0, addressOf(this.#bytes), true);
    const control = viewOf(this.#control);
    control.setBigUint64(0, BigInt(CMSGHDR_LENGTH + PKTINFO_LENGTH), true);
    control.setInt32(8, SOL_IPV6, true);
    control.setInt32(12, IPV6_PKTINFO, true);
  }

  fill(message: OutgoingMessage): void {
    const { source, destination, bytes } = message;
    if (bytes.length > MAX_MESSAGE_LENGTH) {
      throw new RangeError(`a message of ${bytes.length} octets is longer than any Shim6 message`);
    }
    this.#bytes.set(bytes);
    viewOf(this.#iovec).setBigUint64(8, BigInt(bytes.length), true);
    writeAddress(destination, this.#name, SOCKADDR_ADDRESS);
    viewOf(this.#name).setUint32(SOCKADDR_SCOPE, message.interface ?? 0, true);
    writeAddress(source, this.#control, CMSGHDR_LENGTH);
    viewOf(this.#control).setUint32(CMSGHDR_LENGTH + 16, message.interface ?? 0, true);
  }
}

/** A `struct sockaddr_in6` of any address. */
function socketAddress(port: number): Uint8Array {
  const address = new Uint8Array(SOCKADDR_IN6_LENGTH);
  viewOf(address).setUint16(0, AF_INET6, true);
  viewOf(address).setUint16(SOCKADDR_PORT, port);
  return address;
}
