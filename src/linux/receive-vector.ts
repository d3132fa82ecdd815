import { addressOf, receiveMessages } from "./libc.ts";

/** Layout of `struct mmsghdr` (64-bit): a `struct msghdr` of 56 octets and the received length. */
const MMSGHDR_LENGTH = 64;
const MSG_NAMELEN = 8;
const MSG_CONTROLLEN = 40;
const MSG_LEN = 56;
const IOVEC_LENGTH = 16;

export interface ReceiveVectorOptions {
  /** Messages that one call takes at most. */
  readonly count: number;
  /** Octets for the payload of each message. */
  readonly size: number;
  /** Octets for the sender's socket address, 0 for none. */
  readonly nameSize?: number;
  /** Octets for ancillary data, 0 for none. */
  readonly controlSize?: number;
}

/**
 * Memory for recvmmsg, laid out once and used again for each batch. What it gives out is valid
 * until the next {@link receive}.
 */
export class ReceiveVector {
  readonly count: number;
  /** All payloads: message `index` lies at {@link start} and is {@link length} octets long. */
  readonly payloads: Uint8Array;
  readonly #size: number;
  readonly #nameSize: number;
  readonly #controlSize: number;
  readonly #headers: Uint8Array;
  readonly #headerView: DataView;
  // The kernel reaches these (and the payloads) by pointer only: the fields keep them from being
  // collected.
  readonly #iovecs: Uint8Array;
  readonly #ancillary: Uint8Array;

  constructor(options: ReceiveVectorOptions) {
    this.count = options.count;
    this.#size = options.size;
    this.#nameSize = options.nameSize ?? 0;
    this.#controlSize = options.controlSize ?? 0;
    this.#headers = new Uint8Array(this.count * MMSGHDR_LENGTH);
    this.#headerView = new DataView(this.#headers.buffer);
    this.#iovecs = new Uint8Array(this.count * IOVEC_LENGTH);
    this.payloads = new Uint8Array(this.count * this.#size);
    this.#ancillary = new Uint8Array(this.count * (this.#nameSize + this.#controlSize));
    this.#layOut();
  }

  /** Receives what waits, `count` messages at most; returns how many. */
  receive(fd: number, purpose: string): number {
    if (this.#nameSize + this.#controlSize > 0) this.#resetLengths();
    return receiveMessages(fd, this.#headers, this.count, purpose);
  }

  start(index: number): number {
    return index * this.#size;
  }

  length(index: number): number {
    return this.#headerView.getUint32(index * MMSGHDR_LENGTH + MSG_LEN, true);
  }

  /** The received octets of message `index`. */
  payload(index: number): Uint8Array {
    const start = this.start(index);
    return this.payloads.subarray(start, start + this.length(index));
  }

  /** The sender's socket address of message `index`. */
  name(index: number): Uint8Array {
    const start = index * (this.#nameSize + this.#controlSize);
    return this.#ancillary.subarray(start, start + this.#nameSize);
  }

  /** The ancillary data of message `index`, as long as the kernel filled it. */
  control(index: number): Uint8Array {
    const start = index * (this.#nameSize + this.#controlSize) + this.#nameSize;
    const length = this.#headerView.getUint32(index * MMSGHDR_LENGTH + MSG_CONTROLLEN, true);
    return this.#ancillary.subarray(start, start + length);
  }

  #layOut(): void {
    const iovecs = new DataView(this.#iovecs.buffer);
    const iovecBase = addressOf(this.#iovecs);
    const payloadBase = addressOf(this.payloads);
    const ancillaryBase = this.#ancillary.length > 0 ? addressOf(this.#ancillary) : 0n;
    for (let i = 0; i < this.count; i++) {
      const header = i * MMSGHDR_LENGTH;
      const ancillary = ancillaryBase + BigInt(i * (this.#nameSize + this.#controlSize));
      if (this.#nameSize > 0) this.#headerView.setBigUint64(header, ancillary, true);
      this.#headerView.setBigUint64(header + 16, iovecBase + BigInt(i * IOVEC_LENGTH), true);
      this.#headerView.setBigUint64(header + 24, 1n, true);
      if (this.#controlSize > 0) {
        this.#headerView.setBigUint64(header + 32, ancillary + BigInt(this.#nameSize), true);
      }
      iovecs.setBigUint64(i * IOVEC_LENGTH, payloadBase + BigInt(i * this.#size), true);
      iovecs.setBigUint64(i * IOVEC_LENGTH + 8, BigInt(this.#size), true);
    }
  }

  /** The kernel overwrites these with what it used, and reads them as what it may use. */
  #resetLengths(): void {
    for (let i = 0; i < this.count; i++) {
      const header = i * MMSGHDR_LENGTH;
      this.#headerView.setUint32(header + MSG_NAMELEN, this.#nameSize, true);
      this.#headerView.setUint32(header + MSG_CONTROLLEN, this.#controlSize, true);
    }
  }
}
