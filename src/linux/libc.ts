/**
 * The C library through koffi: the only foreign calls of the project but for libbpf's (libbpf.ts).
 * A typed array passes as a pointer to its octets, without a copy. Structures are laid out by hand for 64-bit little-endian
 * Linux, which x86-64 and arm64 share.
 */
import { endianness } from "node:os";
import koffi from "koffi";
import { SystemError } from "./system-error.ts";

if (koffi.sizeof("void *") !== 8 || endianness() !== "LE") {
  throw new Error("L3SHIM needs a 64-bit little-endian machine (x86-64 or arm64)");
}

/** The C library that Node itself is linked with, be it glibc or musl. */
const libc = koffi.load(null);

// koffi has no ssize_t; `long` has its size.
const calls = {
  socket: libc.func("int socket(int family, int type, int protocol)"),
  bind: libc.func("int bind(int fd, const void *address, uint32_t length)"),
  connect: libc.func("int connect(int fd, const void *address, uint32_t length)"),
  setsockopt: libc.func("int setsockopt(int fd, int level, int name, const void *v, uint32_t n)"),
  send: libc.func("long send(int fd, const void *data, size_t length, int flags)"),
  recv: libc.func("long recv(int fd, void *data, size_t length, int flags)"),
  sendmsg: libc.func("long sendmsg(int fd, const void *message, int flags)"),
  recvmmsg: libc.func("int recvmmsg(int fd, void *v, unsigned int n, int flags, void *timeout)"),
  getsockopt: libc.func("int getsockopt(int fd, int level, int name, void *v, void *length)"),
  close: libc.func("int close(int fd)"),
  setns: libc.func("int setns(int fd, int type)"),
  prctl: libc.func("int prctl(int option, size_t a, size_t b, size_t c, size_t d)"),
  capset: libc.func("int capset(const void *header, const void *data)"),
  fcntl: libc.func("int fcntl(int fd, int command, int argument)"),
  ioctl: libc.func("int ioctl(int fd, unsigned long request, void *argument)"),
  execv: libc.func("int execv(const char *path, const char **argv)"),
  // Variadic in C; the calling conventions of x86-64 and arm64 pass whole numbers alike.
  syscall: libc.func("long syscall(long number, int command, void *data, unsigned int length)"),
  mmap: libc.func("uint64_t mmap(uint64_t at, size_t n, int prot, int flags, int fd, long offset)"),
  sysconf: libc.func("long sysconf(int name)"),
  umount2: libc.func("int umount2(const char *path, int flags)"),
  mount: libc.func("int mount(str source, str target, str type, size_t flags, str options)"),
  vsnprintf: libc.func("int vsnprintf(void *text, size_t size, void *format, void *arguments)"),
};

export const AF_UNIX = 1;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOL_SOCKET = 1;
const MSG_TRUNC = 0x20;

const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const CLONE_NEWNET = 0x40000000;
const EAGAIN = 11;

const F_SETFD = 2;
const F_DUPFD_CLOEXEC = 1030;
const STANDARD_STREAMS = [0, 1, 2];

const SYS_BPF = process.arch === "arm64" ? 280 : 321;

/** _SC_PAGESIZE, in glibc and musl. */
const SC_PAGESIZE = 30;

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** _LINUX_CAPABILITY_VERSION_3: sets of 64 bits. */
const CAPABILITY_VERSION = 0x20080522;

/**
 * Opens a non-blocking socket that child processes do not inherit.
 * @param purpose completes "cannot …" in an error
 */
export function openSocket(
  family: number,
  type: number,
  protocol: number,
  purpose: string,
): number {
  const fd: number = calls.socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) throw new SystemError(purpose, "socket", koffi.errno());
  return fd;
}

/** Binds to a socket address in the kernel's layout. */
export function bindSocket(fd: number, address: Uint8Array, purpose: string): void {
  if (calls.bind(fd, address, address.length) < 0) {
    throw new SystemError(purpose, "bind", koffi.errno());
  }
}

/** Connects a datagram socket to a socket address in the kernel's layout. */
export function connectSocket(fd: number, address: Uint8Array, purpose: string): void {
  if (calls.connect(fd, address, address.length) < 0) throw lastError(purpose, "connect");
}

/** Sets an option to a 32-bit number, or to octets in the kernel's layout. */
export function setSocketOption(
  fd: number,
  level: number,
  name: number,
  value: number | Uint8Array,
  purpose: string,
): void {
  const bytes = typeof value === "number" ? new Int32Array([value]) : value;
  if (calls.setsockopt(fd, level, name, bytes, bytes.byteLength) < 0) {
    throw new SystemError(purpose, "setsockopt", koffi.errno());
  }
}

/** Reads an option into `bytes`; how many octets it has. */
export function readSocketOption(
  fd: number,
  level: number,
  name: number,
  bytes: Uint8Array,
  purpose: string,
): number {
  const length = new Uint32Array([bytes.length]);
  if (calls.getsockopt(fd, level, name, bytes, length) < 0) throw lastError(purpose, "getsockopt");
  return length[0] ?? 0;
}

/**
 * Asks for socket buffers of this many octets. Beyond net.core.{r,w}mem_max that takes
 * CAP_NET_ADMIN; without it the kernel's maximum has to do, which is why this never fails.
 */
export function growSocketBuffers(fd: number, receive: number, send: number): void {
  const sizes = [
    { size: receive, force: SO_RCVBUFFORCE, plain: SO_RCVBUF },
    { size: send, force: SO_SNDBUFFORCE, plain: SO_SNDBUF },
  ];
  for (const { size, force, plain } of sizes) {
    const value = new Int32Array([size]);
    if (calls.setsockopt(fd, SOL_SOCKET, force, value, 4) === 0) continue;
    calls.setsockopt(fd, SOL_SOCKET, plain, value, 4);
  }
}

/** Sends the first `length` octets as one message. */
export function sendBytes(fd: number, bytes: Uint8Array, length: number, purpose: string): void {
  if (calls.send(fd, bytes, length, 0) < 0) throw new SystemError(purpose, "send", koffi.errno());
}

/** Receives one message; its whole length even where `bytes` is shorter, `undefined` if none waits. */
export function receiveBytes(fd: number, bytes: Uint8Array, purpose: string): number | undefined {
  const length: number = calls.recv(fd, bytes, bytes.length, MSG_TRUNC);
  if (length >= 0) return length;
  const errno = koffi.errno();
  if (errno === EAGAIN) return undefined;
  throw new SystemError(purpose, "recv", errno);
}

/** Sends what a `struct msghdr` describes. All memory that it points to must be held by the caller. */
export function sendMessage(fd: number, header: Uint8Array, purpose: string): void {
  if (calls.sendmsg(fd, header, 0) < 0) throw new SystemError(purpose, "sendmsg", koffi.errno());
}

/** Fills up to `count` elements of a `struct mmsghdr` vector; how many, 0 when nothing waits. */
export function receiveMessages(
  fd: number,
  vector: Uint8Array,
  count: number,
  purpose: string,
): number {
  const received: number = calls.recvmmsg(fd, vector, count, 0, null);
  if (received >= 0) return received;
  const errno = koffi.errno();
  if (errno === EAGAIN) return 0;
  throw new SystemError(purpose, "recvmmsg", errno);
}

export function closeDescriptor(fd: number): void {
  if (calls.close(fd) < 0) throw new SystemError("close a descriptor", "close", koffi.errno());
}

/**
 * Moves the calling thread to a network namespace. Sockets stay in the namespace that they were
 * opened in, so that one process can hold sockets of several.
 * @param fd an open /run/netns/NAME or /proc/PID/ns/net
 */
export function enterNetworkNamespace(fd: number): void {
  if (calls.setns(fd, CLONE_NEWNET) < 0) {
    throw new SystemError("enter a network namespace", "setns", koffi.errno());
  }
}

/** prctl(2) for the calling thread: its result, `undefined` when it failed ({@link lastError}). */
export function processControl(option: number, a: number, b: number): number | undefined {
  const result: number = calls.prctl(option, a, b, 0, 0);
  return result < 0 ? undefined : result;
}

/** Sets the calling thread's effective, permitted and inheritable capabilities, all to `mask`. */
export function setCapabilities(mask: bigint): void {
  const low = Number(mask & 0xffff_ffffn);
  const high = Number(mask >> 32n);
  const header = new Uint32Array([CAPABILITY_VERSION, 0]);
  const data = new Uint32Array([low, low, low, high, high, high]);
  if (calls.capset(header, data) < 0) throw lastError("reduce the capabilities", "capset");
}

/**
 * Executes a program in place of this one, with this one's environment and standard streams, and
 * the privileges of the calling thread. All other threads end.
 * @throws SystemError when it can't; else it does not return
 */
export function replaceProcess(file: string, argv: readonly string[]): never {
  // Node keeps its own from whatever it executes.
  for (const fd of STANDARD_STREAMS) calls.fcntl(fd, F_SETFD, 0);
  calls.execv(file, [...argv, null]);
  throw lastError(`execute ${file}`, "execve");
}

/**
 * bpf(2).
 * @param attributes a `union bpf_attr`; all memory that it points to must be held by the caller
 * @returns its result, or the negative of `errno`
 */
export function callBpf(command: number, attributes: Uint8Array): number {
  const result: number = calls.syscall(SYS_BPF, command, attributes, attributes.length);
  return result < 0 ? -koffi.errno() : result;
}

/** ioctl(2). All memory that `argument` points to must be held by the caller. @throws SystemError */
export function controlDevice(
  fd: number,
  request: number,
  argument: Uint8Array,
  attempt: string,
): void {
  if (calls.ioctl(fd, request, argument) < 0) throw lastError(attempt, "ioctl");
}

/** A second descriptor of what `fd` is one of; child processes do not inherit it. */
export function duplicateDescriptor(fd: number): number {
  const duplicate: number = calls.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) throw lastError("duplicate a descriptor", "fcntl");
  return duplicate;
}

/** Octets. */
export function pageSize(): number {
  return calls.sysconf(SC_PAGESIZE);
}

/** Memory of a file that this process shares. */
export interface SharedMemory {
  /** Where the memory is only for reading, writing to it ends the process (SIGSEGV). */
  readonly bytes: ArrayBuffer;
  /** Lets the file go. `bytes` stay readable, as private memory of zeros. Safe to call twice. */
  close(): void;
}

/**
 * Maps a part of a file into memory.
 * @param offset a multiple of the page size
 * @param attempt completes "cannot …" in an error
 * @throws SystemError
 */
export function shareMemory(
  fd: number,
  offset: number,
  length: number,
  access: "read" | "read and write",
  attempt: string,
): SharedMemory {
  const protection = access === "read" ? PROT_READ : PROT_READ | PROT_WRITE;
  const at = BigInt(calls.mmap(0, length, protection, MAP_SHARED, fd, offset));
  if (at === MAP_FAILED) throw lastError(attempt, "mmap");
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    // JavaScript cannot take an ArrayBuffer back: memory that is gone would end the process when
    // somebody looks at it. What takes its place costs addresses only.
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    const placed = BigInt(calls.mmap(at, length, PROT_READ | PROT_WRITE, flags, -1, 0));
    if (placed === MAP_FAILED) throw lastError(attempt, "mmap");
  };
  return { bytes: koffi.view(at, length), close };
}

/** mount(2) of a file system that needs no device. @throws SystemError */
export function mountFilesystem(
  type: string,
  path: string,
  flags: number,
  options: string,
  attempt: string,
): void {
  if (calls.mount(type, path, type, flags, options) < 0) throw lastError(attempt, "mount");
}

export function unmountFilesystem(path: string, attempt: string): void {
  if (calls.umount2(path, 0) < 0) throw lastError(attempt, "umount2");
}

/**
 * Formats a message as C does, its first 64 KiB at most.
 * @param format where the format string lies
 * @param variables where the `va_list` lies: used up by this
 */
export function formatMessage(format: unknown, variables: unknown): string {
  const length: number = calls.vsnprintf(messageText, messageText.length, format, variables);
  const end = Math.min(Math.max(length, 0), messageText.length - 1);
  return new TextDecoder().decode(messageText.subarray(0, end));
}

const messageText = new Uint8Array(65_536);

/** What the system call before this failed with. */
export function lastError(attempt: string, syscall: string): SystemError {
  return new SystemError(attempt, syscall, koffi.errno());
}

/**
 * Where the octets lie, for structures that hold pointers. The garbage collector does not see
 * such pointers: the caller must keep a reference to `bytes` for as long as the kernel may use it.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi.address(bytes);
}
