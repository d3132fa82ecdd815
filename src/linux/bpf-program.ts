import {
  BPF_ENABLE_STATS,
  BPF_PROG_TEST_RUN,
  BpfAttributes,
  infoName,
  openPin,
  pinDescriptor,
  readInfo,
} from "./bpf-syscall.ts";
import { closeDescriptor } from "./libc.ts";
import { SystemError } from "./system-error.ts";

const PROG_INFO_LENGTH = 232;
const BPF_STATS_RUN_TIME = 0;
/** Room that a packet may grow by in a test run. */
const GROWTH = 256;

export interface TestRunOptions {
  /** A `struct __sk_buff`, or its first octets; most fields must be zero (linux/bpf.h). */
  readonly context?: Uint8Array;
  /** Runs in a row, on the same packet: for timing. 1 when it is left out. */
  readonly repeat?: number;
  /** Octets of room for the packet that comes out. 256 over the packet's when it is left out. */
  readonly outputLength?: number;
}

export interface TestRun {
  /** What the program returned. */
  readonly returned: number;
  /** The packet that came out, from its link-layer header on. */
  readonly packet: Uint8Array;
  /** The `struct __sk_buff` that came out; as long as the one that went in. */
  readonly context: Uint8Array;
  /** Of one run, on average. */
  readonly durationNs: number;
}

/** A program in the kernel, checked and translated. It goes when nobody holds or runs it. */
export class BpfProgram {
  readonly fd: number;
  readonly name: string;
  #open = true;

  /** @param fd a program's; this object's own from now on */
  constructor(fd: number, name: string) {
    this.fd = fd;
    this.name = name;
  }

  /** Pins it to a path on a bpffs. @throws SystemError EEXIST */
  pin(path: string): void {
    pinDescriptor(this.fd, path, `program ${this.name}`);
  }

  /**
   * Runs it on a packet, from its link-layer header on, in the network namespace of the calling
   * thread (BPF_PROG_TEST_RUN).
   * @throws SystemError ENOSPC when the packet that came out is longer than there is room for
   */
  run(packet: Uint8Array, options: TestRunOptions = {}): TestRun {
    const output = new Uint8Array(options.outputLength ?? packet.length + GROWTH);
    const context = new Uint8Array(options.context?.length ?? 0);
    const attributes = new BpfAttributes()
      .u32(0, this.fd)
      .u32(8, packet.length)
      .u32(12, output.length)
      .pointer(16, packet)
      .pointer(24, output)
      .u32(32, options.repeat ?? 1)
      .u32(40, context.length)
      .u32(44, context.length)
      .pointer(48, options.context)
      .pointer(56, options.context && context);
    attributes.call(BPF_PROG_TEST_RUN, `run program ${this.name} on a packet`);
    return {
      returned: attributes.get(4) | 0,
      packet: output.subarray(0, attributes.get(12)),
      context,
      durationNs: attributes.get(36),
    };
  }

  /** Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeDescriptor(this.fd);
  }
}

/** @throws SystemError ENOENT when nothing is pinned there, EINVAL when it is no program */
export function bpfProgramFromPin(path: string): BpfProgram {
  const fd = openPin(path, "program");
  return new BpfProgram(fd, programInfo(fd).name);
}

export interface BpfProgramInfo {
  /** The kernel's number for it, as bpftool shows. */
  readonly id: number;
  /** 15 characters at most. */
  readonly name: string;
  /** Since {@link setBpfStats}. */
  readonly runTimeNs: number;
  readonly runCount: number;
  /** How many instructions the verifier looked at; 0 before Linux 5.16. */
  readonly verifiedInstructions: number;
}

/** What the kernel knows of a program. @throws SystemError */
export function programInfo(fd: number): BpfProgramInfo {
  const info = readInfo(fd, PROG_INFO_LENGTH, "read about a program");
  return {
    id: info.getUint32(4, true),
    name: infoName(info, 64),
    runTimeNs: Number(info.getBigUint64(192, true)),
    runCount: Number(info.getBigUint64(200, true)),
    verifiedInstructions: info.getUint32(216, true),
  };
}

let statistics: number | undefined;

/**
 * Has the kernel count the runs of all programs and their time, which costs each run some 20 ns,
 * as long as this process lives or until switched off.
 * @throws SystemError EPERM without CAP_SYS_ADMIN
 */
export function setBpfStats(on: boolean): void {
  if (on === (statistics !== undefined)) return;
  if (statistics !== undefined) closeDescriptor(statistics);
  statistics = on ? enableStatistics() : undefined;
}

function enableStatistics(): number {
  const result = new BpfAttributes().u32(0, BPF_STATS_RUN_TIME).tryCall(BPF_ENABLE_STATS);
  if (result >= 0) return result;
  const attempt = "switch on the statistics of eBPF programs";
  throw new SystemError(attempt, "bpf_enable_stats", -result);
}
