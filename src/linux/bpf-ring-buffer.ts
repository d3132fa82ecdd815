import type { BpfMap } from "./bpf-map.ts";
import { pageSize, type SharedMemory, shareMemory } from "./libc.ts";
import { watchReadable } from "./readable.ts";

/** Bits of a record's length: being written; thrown away. From linux/bpf.h. */
const BPF_RINGBUF_BUSY_BIT = 0x8000_0000;
const BPF_RINGBUF_DISCARD_BIT = 0x4000_0000;
const BPF_RINGBUF_HDR_LENGTH = 8;

/** The event loop gets its turn after this many. */
const RECORDS_PER_WAKE_UP = 256;

/**
 * Reads the records of a BPF_MAP_TYPE_RINGBUF as they come. A record is the receiver's to keep.
 * One process reads a ring at a time: what two read, each gets in part.
 *
 * The ring lies in memory that the kernel shares with us, and its map's descriptor is readable
 * when something is in it. So there is no need for libbpf's ring_buffer__poll and its callbacks.
 * @param onError gets what `onRecord` throws
 * @throws SystemError
 */
export function openRingBuffer(
  map: BpfMap,
  onRecord: (record: Uint8Array) => void,
  onError: (error: Error) => void,
): { close(): void } {
  const ring = new Ring(map);
  const watch = watchReadable(map.fd, () => ring.drain(onRecord), onError);
  return {
    close() {
      watch.close();
      ring.close();
    },
  };
}

/**
 * One page with the reader's position, one with the writer's, then the data, twice in a row, so
 * that no record is ever cut in two. Positions only grow.
 */
class Ring {
  readonly #size: number;
  readonly #reader: SharedMemory;
  readonly #writer: SharedMemory;
  readonly #readerPosition: BigUint64Array;
  readonly #writerPosition: BigUint64Array;
  readonly #data: Uint8Array;
  readonly #lengths: Uint32Array;
  #open = true;

  constructor(map: BpfMap) {
    const page = pageSize();
    const attempt = `map the memory of ring buffer ${map.name}`;
    this.#size = map.maxEntries;
    this.#reader = shareMemory(map.fd, 0, page, "read and write", attempt);
    this.#writer = shareMemory(map.fd, page, page + 2 * this.#size, "read", attempt);
    this.#readerPosition = new BigUint64Array(this.#reader.bytes, 0, 1);
    this.#writerPosition = new BigUint64Array(this.#writer.bytes, 0, 1);
    this.#data = new Uint8Array(this.#writer.bytes, page);
    this.#lengths = new Uint32Array(this.#writer.bytes, page);
  }

  /** The order of these reads and writes is the kernel's contract, hence Atomics. */
  drain(onRecord: (record: Uint8Array) => void): void {
    let position = Atomics.load(this.#readerPosition, 0);
    for (let i = 0; i < RECORDS_PER_WAKE_UP && this.#open; i++) {
      if (position === Atomics.load(this.#writerPosition, 0)) return;
      const at = Number(position % BigInt(this.#size));
      const word = Atomics.load(this.#lengths, at / 4);
      if (word >= BPF_RINGBUF_BUSY_BIT) return;
      const length = word & ~BPF_RINGBUF_DISCARD_BIT;
      const start = at + BPF_RINGBUF_HDR_LENGTH;
      const record = word === length ? this.#data.slice(start, start + length) : undefined;
      position += BigInt(align8(BPF_RINGBUF_HDR_LENGTH + length));
      Atomics.store(this.#readerPosition, 0, position);
      if (record !== undefined) onRecord(record);
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#reader.close();
    this.#writer.close();
  }
}

function align8(length: number): number {
  return (length + 7) & ~7;
}
