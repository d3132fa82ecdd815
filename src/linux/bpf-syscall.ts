/**
 * The bpf(2) system call: all that is done with maps, programs and links once they are loaded.
 * Offsets are those of `union bpf_attr` in linux/bpf.h, whose fields never move.
 */
import { readlinkSync } from "node:fs";
import { addressOf, callBpf, closeDescriptor } from "./libc.ts";
import { viewOf } from "./netlink.ts";
import { SystemError } from "./system-error.ts";

export const BPF_MAP_LOOKUP_ELEM = 1;
export const BPF_MAP_UPDATE_ELEM = 2;
export const BPF_MAP_DELETE_ELEM = 3;
export const BPF_MAP_GET_NEXT_KEY = 4;
const BPF_OBJ_PIN = 6;
const BPF_OBJ_GET = 7;
export const BPF_PROG_TEST_RUN = 10;
const BPF_OBJ_GET_INFO_BY_FD = 15;
export const BPF_MAP_LOOKUP_BATCH = 24;
export const BPF_LINK_CREATE = 28;
export const BPF_LINK_UPDATE = 29;
export const BPF_ENABLE_STATS = 32;
export const BPF_LINK_DETACH = 34;

/** A kernel that knows less than this accepts the rest as long as it is zero. */
const ATTRIBUTES_LENGTH = 128;

/** BPF_OBJ_NAME_LEN, with the zero that ends it. */
const NAME_LENGTH = 16;

const EINVAL = 22;

/** What a descriptor can stand for, as /proc/self/fd names it; some kernels write "bpf_link". */
const KINDS = { map: "bpf-map", program: "bpf-prog", link: "bpf-link" } as const;

/** A `union bpf_attr`, and all the memory that it points to. */
export class BpfAttributes {
  readonly bytes = new Uint8Array(ATTRIBUTES_LENGTH);
  readonly #view = viewOf(this.bytes);
  readonly #held = new Map<number, Uint8Array>();

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  /** Points to `bytes`; to nothing when it is `undefined`. */
  pointer(offset: number, bytes: Uint8Array | undefined): this {
    this.#view.setBigUint64(offset, bytes === undefined ? 0n : addressOf(bytes), true);
    if (bytes !== undefined) this.#held.set(offset, bytes);
    return this;
  }

  /** What the kernel put there, if it did. */
  get(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  /** The call's result, or the negative of `errno`. */
  tryCall(command: number): number {
    const result = callBpf(command, this.bytes);
    // Being looked at after the call, what the kernel has pointers to cannot be collected in it.
    return this.#held.size < 0 ? 0 : result;
  }

  /** @throws SystemError */
  call(command: number, attempt: string): number {
    const result = this.tryCall(command);
    if (result < 0) throw new SystemError(attempt, "bpf", -result);
    return result;
  }
}

/** Pins what `fd` stands for to a path on a bpffs. @throws SystemError EEXIST, EPERM off a bpffs */
export function pinDescriptor(fd: number, path: string, what: string): void {
  const attributes = new BpfAttributes().pointer(0, cString(path)).u32(8, fd);
  attributes.call(BPF_OBJ_PIN, `pin ${what} to ${path}`);
}

/**
 * A descriptor of what is pinned to a path.
 * @throws SystemError ENOENT when there is no such pin, EINVAL when it is of another kind
 */
export function openPin(path: string, kind: keyof typeof KINDS): number {
  const attempt = `open the ${kind} that is pinned to ${path}`;
  const fd = new BpfAttributes().pointer(0, cString(path)).call(BPF_OBJ_GET, attempt);
  const found = readlinkSync(`/proc/self/fd/${fd}`).replace("anon_inode:", "").replace("_", "-");
  if (found === KINDS[kind]) return fd;
  closeDescriptor(fd);
  throw new SystemError(attempt, "bpf", EINVAL, `it is a ${found}`);
}

/**
 * Reads a `struct bpf_map_info`, `bpf_prog_info` or `bpf_link_info`.
 * @param length octets; what the kernel does not know of stays zero
 */
export function readInfo(fd: number, length: number, attempt: string): DataView {
  const info = new Uint8Array(length);
  new BpfAttributes()
    .u32(0, fd)
    .u32(4, length)
    .pointer(8, info)
    .call(BPF_OBJ_GET_INFO_BY_FD, attempt);
  return viewOf(info);
}

/** The name in such an info: 15 characters at most. */
export function infoName(info: DataView, offset: number): string {
  const bytes = new Uint8Array(info.buffer, info.byteOffset + offset, NAME_LENGTH);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
