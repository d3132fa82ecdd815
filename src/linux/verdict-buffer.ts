import { align4, NLM_F_REQUEST, viewOf } from "./netlink.ts";
import { type QueuedPacket, RESERVED_BEFORE, type Verdicts } from "./queue.ts";

/** Message types of the subsystem NFNL_SUBSYS_QUEUE (3): the subsystem is the high octet. */
const NFQNL_MSG_VERDICT = 0x0301;
const NFQNL_MSG_VERDICT_BATCH = 0x0303;
const NFQA_VERDICT_HDR = 2;
const NFQA_MARK = 3;
const NFQA_PAYLOAD = 10;
const NF_DROP = 0;
const NF_ACCEPT = 1;

/** Netlink header, struct nfgenmsg, and the verdict attribute of struct nfqnl_msg_verdict_hdr. */
const VERDICT_LENGTH = 16 + 4 + 12;
const ATTRIBUTE_HEADER_LENGTH = 4;
const MARK_LENGTH = ATTRIBUTE_HEADER_LENGTH + 4;

/** A netlink attribute's length is 16 bits. */
export const MAX_REPLACEMENT_LENGTH = 0xffff - ATTRIBUTE_HEADER_LENGTH;

/** Holds 64 rewritten packets of 1,500 octets, or any single replacement. */
export const VERDICT_BUFFER_LENGTH = 131_072;

/**
 * Collects the verdicts of a batch as netlink messages and sends them together.
 *
 * The kernel's batch verdict says "all packets up to this number", which a run of accepts may
 * use only while verdicts come in the order of the packets, with none left out.
 */
export class VerdictBuffer implements Verdicts {
  readonly #send: (bytes: Uint8Array, length: number) => void;
  readonly room = new Uint8Array(VERDICT_BUFFER_LENGTH);
  readonly #view = viewOf(this.room);
  readonly #queueNumber: number;
  #length = 0;
  #packets: readonly QueuedPacket[] = [];
  /** Index of the packet whose verdict is next if they come in order; -1 once they did not. */
  #next = 0;
  /** The last packet of the run of accepts that is not written yet, and the run's length. */
  #runEnd = 0;
  #runLength = 0;

  constructor(queueNumber: number, send: (bytes: Uint8Array, length: number) => void) {
    this.#queueNumber = queueNumber;
    this.#send = send;
  }

  /** Verdicts on these packets follow. */
  begin(packets: readonly QueuedPacket[]): void {
    this.#packets = packets;
    this.#next = 0;
  }

  accept(id: number, mark?: number): void {
    const inOrder = this.#inOrder(id);
    if (mark !== undefined) {
      this.#endRun();
      this.#write(NFQNL_MSG_VERDICT, NF_ACCEPT, id, undefined, mark);
    } else if (inOrder) {
      this.#runEnd = id;
      this.#runLength++;
    } else {
      this.#write(NFQNL_MSG_VERDICT, NF_ACCEPT, id);
    }
  }

  drop(id: number): void {
    this.#inOrder(id);
    this.#endRun();
    this.#write(NFQNL_MSG_VERDICT, NF_DROP, id);
  }

  /** @throws RangeError when `packet` is longer than {@link MAX_REPLACEMENT_LENGTH} octets. */
  replace(id: number, packet: Uint8Array, mark?: number): void {
    refuseTooLong(packet.length);
    this.#inOrder(id);
    this.#endRun();
    this.#write(NFQNL_MSG_VERDICT, NF_ACCEPT, id, packet, mark);
  }

  /** @throws RangeError when `length` is more than {@link MAX_REPLACEMENT_LENGTH} octets. */
  reserve(length: number): number {
    refuseTooLong(length);
    this.#endRun();
    if (this.#length + RESERVED_BEFORE + align4(length) > VERDICT_BUFFER_LENGTH) this.#empty();
    return this.#length + RESERVED_BEFORE;
  }

  replaceReserved(id: number, length: number, mark: number): void {
    this.#inOrder(id);
    const at = this.#length;
    this.#writeHeader(at, RESERVED_BEFORE + length, NFQNL_MSG_VERDICT, NF_ACCEPT, id);
    this.#writeMark(at + VERDICT_LENGTH, mark);
    this.#writePayloadHeader(at + VERDICT_LENGTH + MARK_LENGTH, length);
    this.#length = at + align4(RESERVED_BEFORE + length);
  }

  /** Sends all verdicts given so far. */
  flush(): void {
    this.#endRun();
    this.#empty();
  }

  #empty(): void {
    if (this.#length === 0) return;
    const length = this.#length;
    this.#length = 0;
    this.#send(this.room, length);
  }

  #inOrder(id: number): boolean {
    if (this.#next < 0) return false;
    if (this.#packets[this.#next]?.id === id) {
      this.#next++;
      return true;
    }
    this.#endRun();
    this.#next = -1;
    return false;
  }

  #endRun(): void {
    if (this.#runLength === 0) return;
    const type = this.#runLength === 1 ? NFQNL_MSG_VERDICT : NFQNL_MSG_VERDICT_BATCH;
    this.#runLength = 0;
    this.#write(type, NF_ACCEPT, this.#runEnd);
  }

  #write(type: number, verdict: number, id: number, packet?: Uint8Array, mark?: number): void {
    const payload = packet === undefined ? 0 : ATTRIBUTE_HEADER_LENGTH + packet.length;
    const length = VERDICT_LENGTH + (mark === undefined ? 0 : MARK_LENGTH) + payload;
    if (this.#length + align4(length) > VERDICT_BUFFER_LENGTH) this.#empty();
    const at = this.#length;
    this.#writeHeader(at, length, type, verdict, id);
    if (mark !== undefined) this.#writeMark(at + VERDICT_LENGTH, mark);
    if (packet !== undefined) {
      this.#writePayloadHeader(at + length - payload, packet.length);
      this.room.set(packet, at + length - packet.length);
    }
    this.#length = at + align4(length);
  }

  #writeHeader(at: number, length: number, type: number, verdict: number, id: number): void {
    const view = this.#view;
    view.setUint32(at, length, true);
    view.setUint16(at + 4, type, true);
    view.setUint16(at + 6, NLM_F_REQUEST, true);
    view.setUint32(at + 8, 0, true);
    view.setUint32(at + 12, 0, true);
    // struct nfgenmsg: any family, version 0, the queue number in network order.
    view.setUint16(at + 16, 0, true);
    view.setUint16(at + 18, this.#queueNumber);
    view.setUint16(at + 20, 12, true);
    view.setUint16(at + 22, NFQA_VERDICT_HDR, true);
    view.setUint32(at + 24, verdict);
    view.setUint32(at + 28, id);
  }

  #writeMark(at: number, mark: number): void {
    this.#view.setUint16(at, MARK_LENGTH, true);
    this.#view.setUint16(at + 2, NFQA_MARK, true);
    this.#view.setUint32(at + 4, mark);
  }

  #writePayloadHeader(at: number, length: number): void {
    this.#view.setUint16(at, ATTRIBUTE_HEADER_LENGTH + length, true);
    this.#view.setUint16(at + 2, NFQA_PAYLOAD, true);
  }
}

function refuseTooLong(length: number): void {
  if (length > MAX_REPLACEMENT_LENGTH) {
    throw new RangeError(`NFQUEUE cannot take back a packet of ${length} octets`);
  }
}
