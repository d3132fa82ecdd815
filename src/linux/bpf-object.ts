import koffi from "koffi";
import { BpfMap, valueLength } from "./bpf-map.ts";
import { BpfProgram } from "./bpf-program.ts";
import { type Handle, libbpf, takeMessages } from "./libbpf.ts";
import { addressOf, duplicateDescriptor } from "./libc.ts";
import { viewOf } from "./netlink.ts";
import { SystemError } from "./system-error.ts";

/** struct bpf_object_open_opts of libbpf 1.0; later ones are longer. */
const OPEN_OPTIONS_LENGTH = 80;
const KERNEL_LOG_BUFFER = 56;
const KERNEL_LOG_SIZE = 64;

/** Octets. Kernels before 6.4 fail with ENOSPC, and hide the true error, when the log is longer. */
const LOG_LENGTH = 16 * 1024 * 1024;
/** The verifier's last lines say what it did not like. */
const LOG_LINES = 12;
const LOG_TAIL_LENGTH = 4096;

const ENOENT = 2;
const EINVAL = 22;

/**
 * An object file of clang's with eBPF programs and the maps that they share: opened, adjusted,
 * then loaded into the kernel. Maps and programs that it hands out are closed along with it.
 */
export class BpfObject {
  readonly #path: string;
  readonly #handle: Handle;
  /** libbpf has a pointer to it. */
  readonly #log: Uint8Array;
  readonly #maps = new Map<string, BpfMap>();
  readonly #programs = new Map<string, BpfProgram>();
  #open = true;

  private constructor(path: string, handle: Handle, log: Uint8Array) {
    this.#path = path;
    this.#handle = handle;
    this.#log = log;
  }

  /** @throws SystemError ENOENT without the file, and without libbpf.so.1 */
  static open(path: string): BpfObject {
    const log = new Uint8Array(LOG_LENGTH);
    const options = new Uint8Array(OPEN_OPTIONS_LENGTH);
    viewOf(options).setBigUint64(0, BigInt(options.length), true);
    viewOf(options).setBigUint64(KERNEL_LOG_BUFFER, addressOf(log), true);
    viewOf(options).setBigUint64(KERNEL_LOG_SIZE, BigInt(log.length), true);
    takeMessages();
    const handle = libbpf().bpf_object__open_file(path, options);
    if (handle === null) throw failure(`open ${path}`, "bpf_object__open_file", koffi.errno());
    return new BpfObject(path, handle, log);
  }

  /** Before {@link load}. @param entries how many the map is to hold at most */
  setMaxEntries(map: string, entries: number): void {
    const result = libbpf().bpf_map__set_max_entries(this.#findMap(map), entries);
    this.#check(result, `make map ${map} for ${entries} entries`, "bpf_map__set_max_entries");
  }

  /**
   * Before {@link load}: the programs use this map in place of a new one.
   * @throws SystemError EINVAL when it is of another type, or its keys or values have another size
   */
  reuseMap(map: string, existing: BpfMap): void {
    const attempt = `use the map ${map} that is there`;
    const handle = this.#findMap(map);
    requireSameShape(handle, existing, attempt);
    const result = libbpf().bpf_map__reuse_fd(handle, existing.fd);
    this.#check(result, attempt, "bpf_map__reuse_fd");
  }

  /**
   * Makes the maps and has the kernel check the programs.
   * @throws SystemError with the last words of libbpf and of the kernel's verifier
   */
  load(): void {
    takeMessages();
    const result = libbpf().bpf_object__load(this.#handle);
    this.#check(result, `load ${this.#path}`, "bpf_object__load");
  }

  /** After {@link load}. @throws SystemError ENOENT */
  map(name: string): BpfMap {
    return held(this.#maps, name, () => {
      const fd = libbpf().bpf_map__fd(this.#findMap(name));
      this.#check(fd, `use map ${name}`, "bpf_map__fd");
      return new BpfMap(duplicateDescriptor(fd));
    });
  }

  /** After {@link load}. @throws SystemError ENOENT */
  program(name: string): BpfProgram {
    return held(this.#programs, name, () => {
      const attempt = `use program ${name} of ${this.#path}`;
      const handle = libbpf().bpf_object__find_program_by_name(this.#handle, name);
      if (handle === null) throw failure(attempt, "bpf_object__find_program_by_name", ENOENT);
      const fd = libbpf().bpf_program__fd(handle);
      this.#check(fd, attempt, "bpf_program__fd");
      return new BpfProgram(duplicateDescriptor(fd), name);
    });
  }

  /** What is attached or pinned stays. Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const each of [...this.#maps.values(), ...this.#programs.values()]) each.close();
    libbpf().bpf_object__close(this.#handle);
  }

  #findMap(name: string): Handle {
    const handle = libbpf().bpf_object__find_map_by_name(this.#handle, name);
    if (handle !== null) return handle;
    throw failure(`find map ${name} in ${this.#path}`, "bpf_object__find_map_by_name", ENOENT);
  }

  #check(result: number, attempt: string, call: string): void {
    if (result < 0) throw failure(attempt, call, -result, lastLines(this.#log));
  }
}

function held<Value>(known: Map<string, Value>, name: string, make: () => Value): Value {
  const value = known.get(name) ?? make();
  known.set(name, value);
  return value;
}

function requireSameShape(handle: Handle, existing: BpfMap, attempt: string): void {
  const bpf = libbpf();
  const type = bpf.bpf_map__type(handle);
  const pairs = [
    ["type", type, existing.type],
    ["key size", bpf.bpf_map__key_size(handle), existing.keySize],
    ["value size", valueLength(type, bpf.bpf_map__value_size(handle)), existing.valueSize],
  ] as const;
  for (const [what, wanted, found] of pairs) {
    if (wanted === found) continue;
    const detail = `its ${what} is ${found}, and the programs want ${wanted}`;
    throw new SystemError(attempt, "bpf_map__reuse_fd", EINVAL, detail);
  }
}

function failure(attempt: string, call: string, errno: number, log: string[] = []): SystemError {
  const words = [...takeMessages(), ...log].join("\n");
  return new SystemError(attempt, call, errno, words === "" ? undefined : words);
}

function lastLines(log: Uint8Array): string[] {
  const end = log.indexOf(0);
  const tail = log.subarray(Math.max(0, end - LOG_TAIL_LENGTH), Math.max(0, end));
  return new TextDecoder().decode(tail).trimEnd().split("\n").filter(Boolean).slice(-LOG_LINES);
}
