import { align4, BodyWriter, decodeAck, NLM_F_ACK, NLMSG_ERROR, viewOf } from "./netlink.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { isTaken } from "./nfnetlink-list.ts";
import { type ReadableWatch, watchReadable } from "./readable.ts";
import { ReceiveVector } from "./receive-vector.ts";
import { SystemError } from "./system-error.ts";

const NETLINK_NETFILTER = 12;
/** Message types of the subsystem NFNL_SUBSYS_ULOG (4): the subsystem is the high octet. */
const NFULNL_MSG_PACKET = 0x0400;
const NFULNL_MSG_CONFIG = 0x0401;
const NFGENMSG_LENGTH = 4;
const HEADERS_LENGTH = 16 + NFGENMSG_LENGTH;

const NFULA_CFG_CMD = 1;
const NFULA_CFG_MODE = 2;
const NFULA_CFG_NLBUFSIZ = 3;
const NFULA_CFG_TIMEOUT = 4;
const NFULA_CFG_QTHRESH = 5;
const NFULA_CFG_FLAGS = 6;
const NFULNL_CFG_CMD_BIND = 1;
const NFULNL_COPY_PACKET = 2;
const NFULNL_CFG_F_SEQ = 1;

const NFULA_PACKET_HDR = 1;
const NFULA_PAYLOAD = 9;
const NFULA_SEQ = 12;

const EPERM = 1;
const EIO = 5;
const EBUSY = 16;

/** The kernel hands packets over when it has this many, or this many hundredths of a second after. */
const THRESHOLD = 64;
const TIMEOUT_CENTISECONDS = 1;
/** Octets of one delivery: 64 packets with 64 octets of each and the attributes beside them. */
const DELIVERY_LENGTH = 16_384;
const DELIVERIES = 16;
const RECEIVE_BUFFER = 8 * 1024 * 1024;
const SEND_BUFFER = 65_536;

export interface LogOptions {
  /** Group number, 0 .. 65535. */
  readonly group: number;
  /** Octets of each packet that are copied, at most 128. */
  readonly copyRange: number;
}

/** A packet that went by. `payload` is valid only while the batch is handled. */
export interface LoggedPacket {
  /** The netfilter hook: NF_INET_PRE_ROUTING 0, LOCAL_IN 1, LOCAL_OUT 3. */
  readonly hook: number;
  /** The IPv6 packet, at most `copyRange` octets of it. */
  readonly payload: Uint8Array;
}

export interface PacketLog {
  /** Packets that went by untold, because nobody read fast enough. */
  readonly lost: number;
  /** Safe to call twice. */
  close(): void;
}

export type LogHandler = (packets: readonly LoggedPacket[]) => void;

export type OpenLog = (
  options: LogOptions,
  onBatch: LogHandler,
  onError: (error: Error) => void,
) => PacketLog;

/**
 * Hears of the packets that the kernel's NFLOG target names to a group, up to 10 ms later. The
 * packets themselves don't wait for anybody.
 * @throws SystemError EPERM without CAP_NET_ADMIN, EBUSY when another process has the group
 */
export const openLog: OpenLog = (options, onBatch, onError) =>
  new NetfilterLog(options, onBatch, onError);

class NetfilterLog implements PacketLog {
  readonly #group: number;
  readonly #socket = new NetlinkSocket(NETLINK_NETFILTER);
  readonly #vector = new ReceiveVector({ count: DELIVERIES, size: DELIVERY_LENGTH });
  readonly #view = viewOf(this.#vector.payloads);
  readonly #onBatch: LogHandler;
  readonly #watch: ReadableWatch;
  #nextSequence: number | undefined;
  #lost = 0;

  constructor(options: LogOptions, onBatch: LogHandler, onError: (error: Error) => void) {
    this.#group = options.group;
    this.#onBatch = onBatch;
    try {
      this.#socket.growBuffers(RECEIVE_BUFFER, SEND_BUFFER);
      this.#socket.ignoreOverruns();
      this.#bind(options);
      this.#watch = watchReadable(this.#socket.fd, () => this.#drain(), onError);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  get lost(): number {
    return this.#lost;
  }

  close(): void {
    this.#watch.close();
    this.#socket.close();
  }

  /** What the group's rules name before the acknowledgement is passed over. */
  #bind(options: LogOptions): void {
    const attempt = `bind NFLOG group ${options.group}`;
    const body = encodeLogConfig(options);
    const sequence = this.#socket.send(NFULNL_MSG_CONFIG, NLM_F_ACK, body, attempt);
    for (;;) {
      const messages = this.#socket.receive(attempt);
      if (messages === undefined || messages === "overrun") {
        throw new SystemError(attempt, "netlink", EIO, "the kernel gave no answer");
      }
      const answer = messages.find(
        (message) => message.type === NLMSG_ERROR && message.sequence === sequence,
      );
      if (answer === undefined) continue;
      const { errno, text } = decodeAck(answer);
      if (errno === 0) return;
      if (errno === EPERM && isTaken("log", options.group)) {
        const remedy = "another process has this group: stop it, or take another number";
        throw new SystemError(attempt, "netlink", EBUSY, remedy);
      }
      throw new SystemError(attempt, "netlink", errno, text);
    }
  }

  #drain(): void {
    const attempt = `read NFLOG group ${this.#group}`;
    const deliveries = this.#vector.receive(this.#socket.fd, attempt);
    const packets: LoggedPacket[] = [];
    for (let i = 0; i < deliveries; i++) this.#decodeDelivery(i, packets);
    if (packets.length > 0) this.#onBatch(packets);
  }

  #decodeDelivery(index: number, packets: LoggedPacket[]): void {
    const end = this.#vector.start(index) + this.#vector.length(index);
    let at = this.#vector.start(index);
    while (at + HEADERS_LENGTH <= end) {
      const length = this.#view.getUint32(at, true);
      if (length < HEADERS_LENGTH || at + length > end) return;
      if (this.#view.getUint16(at + 4, true) === NFULNL_MSG_PACKET) {
        packets.push(this.#decodePacket(at + HEADERS_LENGTH, at + length));
      }
      at += align4(length);
    }
  }

  /** Reads the attributes in place: this runs for every packet. */
  #decodePacket(start: number, end: number): LoggedPacket {
    const view = this.#view;
    let hook = 0;
    let payload: Uint8Array = EMPTY;
    for (let at = start; at + 4 <= end; ) {
      const length = view.getUint16(at, true);
      if (length < 4) break;
      switch (view.getUint16(at + 2, true)) {
        case NFULA_PACKET_HDR:
          hook = view.getUint8(at + 6);
          break;
        case NFULA_PAYLOAD:
          payload = this.#vector.payloads.subarray(at + 4, at + length);
          break;
        case NFULA_SEQ:
          this.#countLost(view.getUint32(at + 4));
          break;
      }
      at += align4(length);
    }
    return { hook, payload };
  }

  #countLost(sequence: number): void {
    if (this.#nextSequence !== undefined) this.#lost += (sequence - this.#nextSequence) >>> 0;
    this.#nextSequence = (sequence + 1) >>> 0;
  }
}

const EMPTY = new Uint8Array(0);

/** One message configures all, so that no packet is named with half of it. */
function encodeLogConfig({ group, copyRange }: LogOptions): Uint8Array {
  const header = new Uint8Array(NFGENMSG_LENGTH);
  viewOf(header).setUint16(2, group);
  const mode = new Uint8Array(6);
  viewOf(mode).setUint32(0, copyRange);
  mode[4] = NFULNL_COPY_PACKET;
  return new BodyWriter(header)
    .bytes(NFULA_CFG_CMD, Uint8Array.of(NFULNL_CFG_CMD_BIND))
    .bytes(NFULA_CFG_MODE, mode)
    .u32BigEndian(NFULA_CFG_NLBUFSIZ, DELIVERY_LENGTH)
    .u32BigEndian(NFULA_CFG_TIMEOUT, TIMEOUT_CENTISECONDS)
    .u32BigEndian(NFULA_CFG_QTHRESH, THRESHOLD)
    .bytes(NFULA_CFG_FLAGS, Uint8Array.of(0, NFULNL_CFG_F_SEQ))
    .finish();
}
