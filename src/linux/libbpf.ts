/**
 * libbpf, which makes eBPF programs out of an object file. It is loaded when it is first needed,
 * for the daemon must run where it is missing.
 */
import koffi, { type LibraryHandle } from "koffi";
import { formatMessage } from "./libc.ts";
import { SystemError } from "./system-error.ts";

const LIBRARY = "libbpf.so.1";
const ENOENT = 2;

/** enum libbpf_print_level */
const LIBBPF_DEBUG = 2;
/** How many of libbpf's last messages an error carries at most. */
const KEPT_MESSAGES = 12;

/** Pointers to libbpf's own structures. */
export type Handle = bigint;

export interface Libbpf {
  bpf_object__open_file(path: string, options: Uint8Array): Handle | null;
  bpf_object__load(object: Handle): number;
  bpf_object__close(object: Handle): void;
  bpf_object__find_map_by_name(object: Handle, name: string): Handle | null;
  bpf_object__find_program_by_name(object: Handle, name: string): Handle | null;
  bpf_map__set_max_entries(map: Handle, entries: number): number;
  bpf_map__reuse_fd(map: Handle, fd: number): number;
  bpf_map__type(map: Handle): number;
  bpf_map__key_size(map: Handle): number;
  bpf_map__value_size(map: Handle): number;
  bpf_map__fd(map: Handle): number;
  bpf_program__fd(program: Handle): number;
}

const PROTOTYPES = [
  "void *bpf_object__open_file(str path, const void *options)",
  "int bpf_object__load(void *object)",
  "void bpf_object__close(void *object)",
  "void *bpf_object__find_map_by_name(void *object, str name)",
  "void *bpf_object__find_program_by_name(void *object, str name)",
  "int bpf_map__set_max_entries(void *map, uint32_t entries)",
  "int bpf_map__reuse_fd(void *map, int fd)",
  "int bpf_map__type(void *map)",
  "uint32_t bpf_map__key_size(void *map)",
  "uint32_t bpf_map__value_size(void *map)",
  "int bpf_map__fd(void *map)",
  "int bpf_program__fd(void *program)",
];

const messages: string[] = [];
let loaded: Libbpf | undefined;

/** @throws SystemError ENOENT when libbpf is not installed */
export function libbpf(): Libbpf {
  loaded ??= load();
  return loaded;
}

/** What libbpf said since this was last called; its last messages, without line ends. */
export function takeMessages(): string[] {
  return messages.splice(0);
}

function load(): Libbpf {
  const library = openLibrary();
  const functions = PROTOTYPES.map((prototype) => library.func(prototype));
  const byName = Object.fromEntries(functions.map((each) => [each.info.name, each]));
  keepMessages(library);
  return byName as unknown as Libbpf;
}

function openLibrary(): LibraryHandle {
  try {
    return koffi.load(LIBRARY);
  } catch (cause) {
    throw missing(cause);
  }
}

function missing(cause: unknown): SystemError {
  const detail = `${LIBRARY} is missing: install libbpf1 (${String(cause)})`;
  return new SystemError("load eBPF programs", "dlopen", ENOENT, detail);
}

/** Without this libbpf would write to standard error. */
function keepMessages(library: LibraryHandle): void {
  const print = koffi.proto("int libbpf_print(int level, void *format, void *variables)");
  const setPrint = library.func("libbpf_set_print", "void *", [koffi.pointer(print)]);
  // A va_list passes as a pointer: on x86-64 it is an array, on arm64 too large for registers.
  const keep = (level: number, format: unknown, variables: unknown): number => {
    if (level >= LIBBPF_DEBUG) return 0;
    messages.push(formatMessage(format, variables).trimEnd());
    if (messages.length > KEPT_MESSAGES) messages.shift();
    return 0;
  };
  setPrint(koffi.register(keep, koffi.pointer(print)));
}
