import { readFileSync } from "node:fs";
import { lastError, processControl, setCapabilities } from "./libc.ts";

/** In the order of their bits, from linux/capability.h. */
const CAPABILITY_NAMES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

export type CapabilityName = (typeof CAPABILITY_NAMES)[number];

/** The capability sets of a thread (capabilities(7)). */
export interface Privileges {
  readonly inheritable: ReadonlySet<CapabilityName>;
  readonly permitted: ReadonlySet<CapabilityName>;
  readonly effective: ReadonlySet<CapabilityName>;
  readonly bounding: ReadonlySet<CapabilityName>;
  readonly ambient: ReadonlySet<CapabilityName>;
  /** No program that it executes has more than it has. */
  readonly noNewPrivileges: boolean;
}

/** What this process may do, whoever it runs as. */
export function effectiveCapabilities(): ReadonlySet<CapabilityName> {
  return ownPrivileges().effective;
}

/** Those of the main thread, which every thread that it starts gets, too. */
export function ownPrivileges(): Privileges {
  return parsePrivileges(readFileSync("/proc/self/status", "utf8"));
}

/**
 * Reads a /proc/PID/status or /proc/PID/task/TID/status. Bits that we have no name for are left
 * out.
 * @throws Error when one of the lines is missing
 */
export function parsePrivileges(status: string): Privileges {
  const field = (name: string): string => {
    const value = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1];
    if (value === undefined)
      throw new Error(`/proc/PID/status has no line ${name}: it does not tell the capabilities`);
    return value;
  };
  const capabilities = (name: string) => {
    const bits = BigInt(`0x${field(name)}`);
    return new Set(CAPABILITY_NAMES.filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 1n));
  };
  return {
    inheritable: capabilities("CapInh"),
    permitted: capabilities("CapPrm"),
    effective: capabilities("CapEff"),
    bounding: capabilities("CapBnd"),
    ambient: capabilities("CapAmb"),
    noNewPrivileges: field("NoNewPrivs") === "1",
  };
}

/**
 * Gives up all capabilities of the calling thread but these, for good: in the bounding set too,
 * where CAP_SETPCAP allows it, and with no_new_privs. Programs that it executes have these,
 * whatever user it is (ambient set). Other threads of the process keep what they have.
 * @param changeUser becomes another user while there still is the privilege to
 * @throws SystemError EPERM without one of `kept`
 */
export function keepOnly(kept: ReadonlySet<CapabilityName>, changeUser: () => void): void {
  if (effectiveCapabilities().has("CAP_SETPCAP")) dropFromBoundingSet(kept);
  // Without it, another user than root has no capability from the first moment on.
  control(PR_SET_KEEPCAPS, 1, 0, "keep capabilities as another user");
  changeUser();
  setCapabilities(capabilityMask(kept));
  control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, "clear the ambient capabilities");
  for (const name of kept) {
    control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bitOf(name), `pass on ${name}`);
  }
  control(PR_SET_NO_NEW_PRIVS, 1, 0, "forbid new privileges");
}

// From linux/prctl.h
const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;

/** The sets have 64 bits; the kernel refuses to read those that it has no capability for. */
const MOST_CAPABILITIES = 64;

function dropFromBoundingSet(kept: ReadonlySet<CapabilityName>): void {
  const keptBits = new Set([...kept].map(bitOf));
  for (let bit = 0; bit < MOST_CAPABILITIES; bit += 1) {
    const held = processControl(PR_CAPBSET_READ, bit, 0);
    if (held === undefined) return;
    if (held === 1 && !keptBits.has(bit)) {
      control(PR_CAPBSET_DROP, bit, 0, "reduce the capability bounding set");
    }
  }
}

function control(option: number, a: number, b: number, attempt: string): void {
  if (processControl(option, a, b) === undefined) throw lastError(attempt, "prctl");
}

function bitOf(name: CapabilityName): number {
  return CAPABILITY_NAMES.indexOf(name);
}

function capabilityMask(names: ReadonlySet<CapabilityName>): bigint {
  return [...names].reduce((mask, name) => mask | (1n << BigInt(bitOf(name))), 0n);
}
