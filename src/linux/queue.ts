/**
 * What the NFQUEUE binding (nfqueue.ts) offers to the data plane. Kept apart as types so that
 * the plane can be tested with a queue made of arrays.
 */
export interface QueueOptions {
  /** Queue number, 0 .. 65535. */
  readonly number: number;
  /** Octets of each packet that are copied to user space. */
  readonly copyRange: number;
  /** Take GSO super-packets whole (NFQA_CFG_F_GSO). Never on a queue that rewrites. */
  readonly gso: boolean;
  /** Accept packets when the queue is full (NFQA_CFG_F_FAIL_OPEN). */
  readonly failOpen: boolean;
  /** Packets that the kernel holds at most. */
  readonly maxLength: number;
}

/** One packet of a batch. `payload` is valid only while the batch is handled. */
export interface QueuedPacket {
  readonly id: number;
  /** The netfilter hook: NF_INET_PRE_ROUTING 0, LOCAL_IN 1, LOCAL_OUT 3. */
  readonly hook: number;
  /** Interface indices, 0 for none. */
  readonly inputInterface: number;
  readonly outputInterface: number;
  /** The packet's mark, 0 for none. */
  readonly mark: number;
  /** The IPv6 packet, at most `copyRange` octets of it. */
  readonly payload: Uint8Array;
  /** Octets of the whole packet (NFQA_CAP_LEN), `payload.length` when nothing was cut off. */
  readonly length: number;
}

/** Each packet of a batch gets exactly one verdict; they leave in one system call per batch. */
export interface Verdicts {
  /**
   * Accept, with another mark unless it is left out. At LOCAL_OUT a packet is routed anew when
   * its addresses or its mark change.
   */
  accept(id: number, mark?: number): void;
  /** As {@link accept} with other content. `packet` is copied before the call returns. */
  replace(id: number, packet: Uint8Array, mark?: number): void;
  drop(id: number): void;
  /**
   * The same in place, which saves the copy: {@link reserve}, write the content to {@link room}
   * from there on, and the next call is {@link replaceReserved}, or another verdict in its stead.
   */
  readonly room: Uint8Array;
  /**
   * @param length octets of the content at most; {@link RESERVED_BEFORE} before it may be
   *   overwritten too
   * @returns where in {@link room} it begins
   * @throws RangeError when a verdict cannot carry that much
   */
  reserve(length: number): number;
  /** @param length octets of the content */
  replaceReserved(id: number, length: number, mark: number): void;
}

/** Octets of a verdict that stand before its packet and are written last. */
export const RESERVED_BEFORE = 44;

export interface PacketQueue {
  readonly options: QueueOptions;
  /** Packets that the kernel dropped because the queue was full, as far as it said so: to root. */
  readonly overruns: number;
  close(): void;
}

export type BatchHandler = (packets: readonly QueuedPacket[], verdicts: Verdicts) => void;

/** Binds a queue. @throws SystemError, e.g. EPERM without CAP_NET_ADMIN, EBUSY when it is taken. */
export type OpenQueue = (
  options: QueueOptions,
  onBatch: BatchHandler,
  onError: (error: Error) => void,
) => PacketQueue;
