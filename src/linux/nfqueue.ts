import { sendBytes } from "./libc.ts";
import {
  align4,
  BodyWriter,
  decodeAck,
  decodeMessages,
  type NetlinkMessage,
  NLM_F_ACK,
  NLMSG_ERROR,
  NLMSG_HEADER_LENGTH,
  viewOf,
} from "./netlink.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { isTaken, listBound } from "./nfnetlink-list.ts";
import type {
  BatchHandler,
  OpenQueue,
  PacketQueue,
  QueuedPacket,
  QueueOptions,
  Verdicts,
} from "./queue.ts";
import { type ReadableWatch, watchReadable } from "./readable.ts";
import { ReceiveVector } from "./receive-vector.ts";
import { SystemError } from "./system-error.ts";
import { VERDICT_BUFFER_LENGTH, VerdictBuffer } from "./verdict-buffer.ts";

const NETLINK_NETFILTER = 12;
/** Message types of the subsystem NFNL_SUBSYS_QUEUE (3): the subsystem is the high octet. */
const NFQNL_MSG_PACKET = 0x0300;
const NFQNL_MSG_CONFIG = 0x0302;
const NFGENMSG_LENGTH = 4;

const NFQA_CFG_CMD = 1;
const NFQA_CFG_PARAMS = 2;
const NFQA_CFG_QUEUE_MAXLEN = 3;
const NFQA_CFG_MASK = 4;
const NFQA_CFG_FLAGS = 5;
const NFQNL_CFG_CMD_BIND = 1;
const NFQNL_COPY_PACKET = 2;
const NFQA_CFG_F_FAIL_OPEN = 1;
const NFQA_CFG_F_GSO = 4;

const NFQA_PACKET_HDR = 1;
const NFQA_MARK = 3;
const NFQA_IFINDEX_INDEV = 5;
const NFQA_IFINDEX_OUTDEV = 6;
const NFQA_PAYLOAD = 10;
const NFQA_CAP_LEN = 13;

/** Columns of the kernel's list: packets dropped because the queue or the socket was full. */
const QUEUE_DROPPED = 5;
const USER_DROPPED = 6;

const EPERM = 1;
const ENOENT = 2;
const EIO = 5;
const EBUSY = 16;

const BATCH = 64;
/** Batches per wake-up: the event loop gets its turn after at most 256 packets. */
const BATCHES_PER_WAKE_UP = 4;
/** Packets of a batch from which more are expected at once: a ping's, for example, is fewer. */
const BUSY = 4;
/**
 * ms to rest after a batch that has emptied the queue: the next one is larger then, and costs less
 * for each packet, as with a network card that moderates interrupts. Large packets soon fill the
 * socket of their sender, which stands still until some of them have their verdict: so after these
 * the rest is short, and only after a batch of less than {@link FEW}. (The kernel's timer slack
 * makes either 0.05 ms longer.)
 */
const REST = 0.1;
const SHORT_REST = 0.02;
const FEW = 16;
/** Octets of a message that has a small packet, on average of a batch. */
const SMALL = 512;
/** Room for the netlink header and the attributes beside the packet. */
const METADATA_LENGTH = 512;
const MAX_COPY_RANGE = 65_531;
const RECEIVE_BUFFER = 8 * 1024 * 1024;

/**
 * A queue of the kernel's NFQUEUE target, over nfnetlink.
 * @throws SystemError EPERM without CAP_NET_ADMIN, EBUSY when another process has the queue
 */
export const openQueue: OpenQueue = (options, onBatch, onError) =>
  new NetfilterQueue(options, onBatch, onError);

class NetfilterQueue implements PacketQueue {
  readonly options: QueueOptions;
  readonly #socket: NetlinkSocket;
  readonly #vector: ReceiveVector;
  readonly #view: DataView;
  readonly #verdicts: VerdictBuffer;
  /** What the messages of the vector say, in their order: the same objects for each batch. */
  readonly #slots: readonly Slot[] = Array.from({ length: BATCH }, () => new Slot());
  readonly #onBatch: BatchHandler;
  readonly #onError: (error: Error) => void;
  readonly #watch: ReadableWatch;

  constructor(options: QueueOptions, onBatch: BatchHandler, onError: (error: Error) => void) {
    this.options = options;
    this.#onBatch = onBatch;
    this.#onError = onError;
    const size = align4(Math.min(options.copyRange, MAX_COPY_RANGE) + METADATA_LENGTH);
    this.#vector = new ReceiveVector({ count: BATCH, size });
    this.#view = viewOf(this.#vector.payloads);
    this.#socket = new NetlinkSocket(NETLINK_NETFILTER);
    this.#verdicts = new VerdictBuffer(options.number, (bytes, length) =>
      sendBytes(this.#socket.fd, bytes, length, `give verdicts on queue ${options.number}`),
    );
    try {
      this.#socket.growBuffers(RECEIVE_BUFFER, 2 * VERDICT_BUFFER_LENGTH);
      this.#socket.ignoreOverruns();
      this.#bind();
      this.#watch = watchReadable(this.#socket.fd, () => this.#drain(), onError);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  get overruns(): number {
    const row = listBound("queue")?.find(([number]) => number === this.options.number);
    return (row?.[QUEUE_DROPPED] ?? 0) + (row?.[USER_DROPPED] ?? 0);
  }

  close(): void {
    this.#watch.close();
    this.#socket.close();
  }

  #bind(): void {
    const { number } = this.options;
    const attempt = `bind NFQUEUE number ${number}`;
    const body = encodeQueueConfig(this.options);
    const sequence = this.#socket.send(NFQNL_MSG_CONFIG, NLM_F_ACK, body, attempt);
    // Packets may come in before the acknowledgement; nobody is ready for them yet.
    let acknowledged = false;
    const acceptAll: BatchHandler = (packets, verdicts) => {
      for (const packet of packets) verdicts.accept(packet.id);
    };
    const onError = (message: NetlinkMessage): void => {
      if (message.sequence !== sequence) return;
      acknowledged = true;
      const { errno, text } = decodeAck(message);
      if (errno === EPERM && isTaken("queue", number)) {
        throw new SystemError(
          attempt,
          "netlink",
          EBUSY,
          "another process has this queue: stop it, or take another number",
        );
      }
      if (errno !== 0) throw new SystemError(attempt, "netlink", errno, text);
    };
    while (!acknowledged) {
      if (this.#receive(acceptAll, onError) > 0) continue;
      throw new SystemError(attempt, "netlink", EIO, "the kernel gave no answer");
    }
  }

  /** As long as packets keep coming this looks for them, and nobody has to wake it. */
  #drain(): void {
    let count = BATCH;
    for (let i = 0; i < BATCHES_PER_WAKE_UP && count === BATCH; i++) {
      count = this.#receive(this.#onBatch, (message) => this.#handleError(message));
    }
    if (count < BUSY) return;
    const rest = this.#rest(count);
    if (rest > 0) pause(rest);
    this.#watch.again();
  }

  /** ms. @param count messages of the last batch, which the vector still has */
  #rest(count: number): number {
    let octets = 0;
    for (let i = 0; i < count; i++) octets += this.#vector.length(i);
    if (octets <= count * SMALL) return count < BATCH ? REST : 0;
    return count < FEW ? SHORT_REST : 0;
  }

  /** Receives one batch and has it handled; returns the number of messages. */
  #receive(onBatch: BatchHandler, onError: (message: NetlinkMessage) => void): number {
    const count = this.#vector.receive(this.#socket.fd, `read queue ${this.options.number}`);
    if (count === 0) return 0;
    const packets: QueuedPacket[] = [];
    for (let i = 0; i < count; i++) {
      const type = this.#view.getUint16(this.#vector.start(i) + 4, true);
      if (type === NFQNL_MSG_PACKET) packets.push(this.#decodePacket(i));
      else for (const message of decodeMessages(this.#vector.payload(i))) onError(message);
    }
    if (packets.length > 0) this.#handle(packets, onBatch, this.#verdicts);
    return count;
  }

  #handle(packets: readonly QueuedPacket[], onBatch: BatchHandler, verdicts: VerdictBuffer): void {
    verdicts.begin(packets);
    try {
      onBatch(packets, verdicts satisfies Verdicts);
    } finally {
      verdicts.flush();
    }
  }

  /** The kernel refused a verdict. ENOENT: the packet's interface went away meanwhile. */
  #handleError(message: NetlinkMessage): void {
    if (message.type !== NLMSG_ERROR) return;
    const { errno, text } = decodeAck(message);
    if (errno === 0 || errno === ENOENT) return;
    const attempt = `give a verdict on queue ${this.options.number}`;
    this.#onError(new SystemError(attempt, "netlink", errno, text));
  }

  /** The hot path: reads the attributes in place rather than through a Map, and makes nothing. */
  #decodePacket(index: number): QueuedPacket {
    const view = this.#view;
    const slot = this.#slots[index] as Slot;
    const start = this.#vector.start(index);
    const end = start + this.#vector.length(index);
    slot.clear();
    let at = start + NLMSG_HEADER_LENGTH + NFGENMSG_LENGTH;
    while (at + 4 <= end) {
      const length = view.getUint16(at, true);
      if (length < 4) break;
      switch (view.getUint16(at + 2, true)) {
        case NFQA_PACKET_HDR:
          slot.id = view.getUint32(at + 4);
          slot.hook = view.getUint8(at + 10);
          break;
        case NFQA_IFINDEX_INDEV:
          slot.inputInterface = view.getUint32(at + 4);
          break;
        case NFQA_IFINDEX_OUTDEV:
          slot.outputInterface = view.getUint32(at + 4);
          break;
        case NFQA_MARK:
          slot.mark = view.getUint32(at + 4);
          break;
        case NFQA_PAYLOAD:
          slot.carry(this.#vector.payloads, at + 4, at + length);
          break;
        case NFQA_CAP_LEN:
          slot.length = view.getUint32(at + 4);
          break;
      }
      at += align4(length);
    }
    slot.length = Math.max(slot.length, slot.payload.length);
    return slot;
  }
}

const EMPTY = new Uint8Array(0);

class Slot implements QueuedPacket {
  id = 0;
  hook = 0;
  inputInterface = 0;
  outputInterface = 0;
  mark = 0;
  payload: Uint8Array = EMPTY;
  length = 0;
  /** Packets of one length, the most usual case, lie where the one before them lay. */
  #view: Uint8Array = EMPTY;
  #start = 0;

  /** The attributes that a message has not are as nothing. */
  clear(): void {
    this.id = 0;
    this.hook = 0;
    this.inputInterface = 0;
    this.outputInterface = 0;
    this.mark = 0;
    this.payload = EMPTY;
    this.length = 0;
  }

  /** @param bytes the same array in each call */
  carry(bytes: Uint8Array, start: number, end: number): void {
    if (this.#start !== start || this.#view.length !== end - start) {
      this.#view = bytes.subarray(start, end);
      this.#start = start;
    }
    this.payload = this.#view;
  }
}

const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4));

/** Timers have whole milliseconds only. */
function pause(milliseconds: number): void {
  Atomics.wait(NEVER_WOKEN, 0, 0, milliseconds);
}

/** One message configures all, so that no packet is queued with half of it. */
function encodeQueueConfig(options: QueueOptions): Uint8Array {
  const header = new Uint8Array(NFGENMSG_LENGTH);
  viewOf(header).setUint16(2, options.number);
  const parameters = new Uint8Array(5);
  viewOf(parameters).setUint32(0, Math.min(options.copyRange, MAX_COPY_RANGE));
  parameters[4] = NFQNL_COPY_PACKET;
  const flags = (options.failOpen ? NFQA_CFG_F_FAIL_OPEN : 0) | (options.gso ? NFQA_CFG_F_GSO : 0);
  return new BodyWriter(header)
    .bytes(NFQA_CFG_CMD, Uint8Array.of(NFQNL_CFG_CMD_BIND, 0, 0, 0))
    .bytes(NFQA_CFG_PARAMS, parameters)
    .u32BigEndian(NFQA_CFG_QUEUE_MAXLEN, options.maxLength)
    .u32BigEndian(NFQA_CFG_MASK, NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO)
    .u32BigEndian(NFQA_CFG_FLAGS, flags)
    .finish();
}
