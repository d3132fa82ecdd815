import { getSystemErrorMap } from "node:util";

/**
 * A system call failed. `message` says what was tried, what happened and, where we know it,
 * what to do next.
 */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The symbol of `errno`, e.g. "EPERM". */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  /**
   * @param attempt what was tried, e.g. "bind queue 5"
   * @param detail what the kernel said beyond the error number (netlink's extended ACK)
   */
  constructor(attempt: string, syscall: string, errno: number, detail?: string) {
    const [code, text] = describeErrno(errno);
    const remedy = REMEDIES[`${syscall} ${code}`] ?? REMEDIES[code];
    const reason = detail === undefined ? text : `${text}: ${detail}`;
    super(`cannot ${attempt}: ${syscall}: ${code}, ${reason}${remedy ? `; ${remedy}` : ""}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

const NEED_CAPABILITIES =
  "run as root, or give the process CAP_NET_ADMIN and CAP_NET_RAW (systemd: AmbientCapabilities=)";

const NEED_BPF_CAPABILITIES = "run as root, or give the process CAP_BPF and CAP_NET_ADMIN";

/** By error, or by system call and error where that means something else. */
const REMEDIES: Readonly<Record<string, string>> = {
  EPERM: NEED_CAPABILITIES,
  EACCES: NEED_CAPABILITIES,
  "sendmsg EPERM": "a packet filter of this host refuses it: let IPv6 protocol 140 pass",
  EAFNOSUPPORT: "the kernel lacks this socket family: load its module or enable IPv6",
  "bpf EPERM": NEED_BPF_CAPABILITIES,
  "bpf_object__load EPERM": NEED_BPF_CAPABILITIES,
  "bpf_object__load EACCES": "the kernel's verifier refuses a program",
  "bpf_enable_stats EPERM": "run as root: it takes CAP_SYS_ADMIN",
  "mount EPERM": "run as root: it takes CAP_SYS_ADMIN",
  "bpf E2BIG": "the map is full",
  EPROTONOSUPPORT: "the kernel lacks this protocol: load its module (for NFQUEUE: nfnetlink_queue)",
};

/** The kernel's own, which no C library has a name for. */
export const ENOTSUPP = 524;

function describeErrno(errno: number): readonly [code: string, text: string] {
  if (errno === ENOTSUPP) return ["ENOTSUPP", "the kernel has no such operation for this"];
  return getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, "no description"];
}
