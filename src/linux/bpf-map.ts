import { readFileSync } from "node:fs";
import {
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_GET_NEXT_KEY,
  BPF_MAP_LOOKUP_BATCH,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_ELEM,
  BpfAttributes,
  infoName,
  openPin,
  pinDescriptor,
  readInfo,
} from "./bpf-syscall.ts";
import { closeDescriptor, type SharedMemory, shareMemory } from "./libc.ts";
import { ENOTSUPP, SystemError } from "./system-error.ts";

/** Flags of {@link BpfMap.update}. */
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;

const MAP_INFO_LENGTH = 88;
/** The types of maps that hold a value for each CPU, from enum bpf_map_type. */
const PER_CPU_TYPES: readonly number[] = [5, 6, 10, 21];

const MAX_BATCH = 1024;
/** Where the kernel keeps its place in a batched walk: a bucket's number or a key. */
const MIN_CURSOR_LENGTH = 8;

const ENOENT = 2;
const ENOSPC = 28;

export interface BpfMapEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A map of the kernel's (bpf(2)): shared by eBPF programs and whoever has a descriptor of it. */
export class BpfMap {
  readonly fd: number;
  /** The kernel's name for it: 15 characters at most. */
  readonly name: string;
  /** enum bpf_map_type. */
  readonly type: number;
  /** Octets. */
  readonly keySize: number;
  /** Octets; of a map with a value for each CPU: those of all possible CPUs, a multiple of 8 each. */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly #key: Uint8Array;
  readonly #value: Uint8Array;
  // Laid out once, for the calls that are made often.
  readonly #attributes: BpfAttributes;
  readonly #keyAttributes: BpfAttributes;
  #memory: { readonly shared: SharedMemory; readonly bytes: Uint8Array } | undefined;
  #open = true;

  /** @param fd a map's; this object's own from now on */
  constructor(fd: number) {
    const info = readInfo(fd, MAP_INFO_LENGTH, "read what kind of map a descriptor stands for");
    this.fd = fd;
    this.name = infoName(info, 24);
    this.type = info.getUint32(0, true);
    this.keySize = info.getUint32(8, true);
    this.valueSize = valueLength(this.type, info.getUint32(12, true));
    this.maxEntries = info.getUint32(16, true);
    this.#key = new Uint8Array(this.keySize);
    this.#value = new Uint8Array(this.valueSize);
    this.#keyAttributes = new BpfAttributes().u32(0, fd).pointer(8, this.#key);
    this.#attributes = new BpfAttributes()
      .u32(0, fd)
      .pointer(8, this.#key)
      .pointer(16, this.#value);
  }

  /** @throws SystemError ENOENT when nothing is pinned there, EINVAL when it is no map */
  static fromPin(path: string): BpfMap {
    return new BpfMap(openPin(path, "map"));
  }

  /**
   * Copies the value of `key` to `value`.
   * @returns false, with `value` untouched, when there is no such entry
   */
  lookup(key: Uint8Array, value: Uint8Array): boolean {
    requireSize(value, this.valueSize, "value");
    this.#setKey(key);
    const result = this.#attributes.u32(24, 0).tryCall(BPF_MAP_LOOKUP_ELEM);
    if (result === -ENOENT) return false;
    if (result < 0) throw this.#error("look up an entry of", result);
    value.set(this.#value);
    return true;
  }

  /**
   * Sets the value of `key`, for all CPUs at once.
   * @param flags {@link BPF_NOEXIST} or {@link BPF_EXIST}; either is well when left out
   * @throws SystemError E2BIG when the map is full, EEXIST, ENOENT
   */
  update(key: Uint8Array, value: Uint8Array, flags = 0): void {
    requireSize(value, this.valueSize, "value");
    this.#setKey(key);
    this.#value.set(value);
    const result = this.#attributes.u32(24, flags).tryCall(BPF_MAP_UPDATE_ELEM);
    if (result < 0) throw this.#error("set an entry of", result);
  }

  /** @returns false when there is no such entry */
  delete(key: Uint8Array): boolean {
    this.#setKey(key);
    const result = this.#keyAttributes.tryCall(BPF_MAP_DELETE_ELEM);
    if (result === -ENOENT) return false;
    if (result < 0) throw this.#error("delete an entry of", result);
    return true;
  }

  /**
   * All entries, many for each system call where the kernel has that for this type of map. What
   * is added or deleted meanwhile may be among them or not. The arrays are the receiver's to keep.
   */
  *entries(): IterableIterator<BpfMapEntry> {
    let cursor: Uint8Array | undefined;
    for (let count = Math.min(this.maxEntries, MAX_BATCH); ; ) {
      const batch = this.#readBatch(cursor, count);
      if (batch === "not supported") return yield* this.#entriesOneByOne();
      if (batch === "too small") count = Math.min(2 * count, this.maxEntries);
      else {
        yield* batch.entries;
        if (batch.cursor === undefined) return;
        cursor = batch.cursor;
      }
    }
  }

  /** Pins it to a path on a bpffs. @throws SystemError EEXIST */
  pin(path: string): void {
    pinDescriptor(this.fd, path, `map ${this.name}`);
  }

  /**
   * The values of an array that was made with BPF_F_MMAPABLE, each on a multiple of 8, as the
   * programs see them: for reading and writing, until {@link close}.
   * @throws SystemError ENOTSUPP or EINVAL for another map
   */
  memory(): Uint8Array {
    if (this.#memory !== undefined) return this.#memory.bytes;
    const length = align8(this.valueSize) * this.maxEntries;
    const attempt = `map the memory of map ${this.name}`;
    const shared = shareMemory(this.fd, 0, length, "read and write", attempt);
    this.#memory = { shared, bytes: new Uint8Array(shared.bytes) };
    return this.#memory.bytes;
  }

  /** Safe to call twice. {@link memory} holds zeros afterwards. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#memory?.shared.close();
    closeDescriptor(this.fd);
  }

  #setKey(key: Uint8Array): void {
    requireSize(key, this.keySize, "key");
    this.#key.set(key);
  }

  #readBatch(
    from: Uint8Array | undefined,
    count: number,
  ): { entries: BpfMapEntry[]; cursor: Uint8Array | undefined } | "not supported" | "too small" {
    const cursor = new Uint8Array(Math.max(this.keySize, MIN_CURSOR_LENGTH));
    const keys = new Uint8Array(count * this.keySize);
    const values = new Uint8Array(count * this.valueSize);
    const attributes = new BpfAttributes()
      .pointer(0, from)
      .pointer(8, cursor)
      .pointer(16, keys)
      .pointer(24, values)
      .u32(32, count)
      .u32(36, this.fd);
    const result = attributes.tryCall(BPF_MAP_LOOKUP_BATCH);
    if (result === -ENOTSUPP) return "not supported";
    // One bucket of a hash has more entries than there is room for.
    if (result === -ENOSPC && count < this.maxEntries) return "too small";
    if (result < 0 && result !== -ENOENT) throw this.#error("read the entries of", result);
    const entries = Array.from({ length: attributes.get(32) }, (_, i) => ({
      key: keys.subarray(i * this.keySize, (i + 1) * this.keySize),
      value: values.subarray(i * this.valueSize, (i + 1) * this.valueSize),
    }));
    return { entries, cursor: result === -ENOENT ? undefined : cursor };
  }

  /** A key that is deleted while it is walked over starts the walk anew: hence the bound. */
  *#entriesOneByOne(): IterableIterator<BpfMapEntry> {
    let key = this.#nextKey(undefined);
    for (let i = 0; key !== undefined && i < this.maxEntries; i++) {
      const value = new Uint8Array(this.valueSize);
      if (this.lookup(key, value)) yield { key, value };
      key = this.#nextKey(key);
    }
  }

  #nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    const next = new Uint8Array(this.keySize);
    const attributes = new BpfAttributes().u32(0, this.fd).pointer(8, key).pointer(16, next);
    const result = attributes.tryCall(BPF_MAP_GET_NEXT_KEY);
    if (result === -ENOENT) return undefined;
    if (result < 0) throw this.#error("walk through", result);
    return next;
  }

  #error(verb: string, result: number): SystemError {
    return new SystemError(`${verb} map ${this.name}`, "bpf", -result);
  }
}

/** Octets that the kernel reads and writes for a value of a map of this type. */
export function valueLength(type: number, valueSize: number): number {
  return PER_CPU_TYPES.includes(type) ? possibleCpus() * align8(valueSize) : valueSize;
}

/** How many processors the kernel may ever have: their numbers are below that. */
export function possibleCpus(): number {
  // "0-3" or "0,2-7".
  const list = readFileSync("/sys/devices/system/cpu/possible", "utf8").trim();
  return 1 + Math.max(...list.split(/[-,]/).map(Number));
}

function align8(length: number): number {
  return (length + 7) & ~7;
}

function requireSize(bytes: Uint8Array, size: number, what: string): void {
  if (bytes.length === size) return;
  throw new RangeError(`a ${what} of ${bytes.length} octets for a map whose ${what}s have ${size}`);
}
