import type { BpfProgram } from "./bpf-program.ts";
import {
  BPF_LINK_CREATE,
  BPF_LINK_DETACH,
  BPF_LINK_UPDATE,
  BpfAttributes,
  openPin,
  pinDescriptor,
  readInfo,
} from "./bpf-syscall.ts";
import { closeDescriptor } from "./libc.ts";

/** From enum bpf_attach_type. */
const ATTACH_TYPES = { ingress: 46, egress: 47 } as const;

/** struct bpf_link_info, of which the kind's own part begins here: for tcx, the interface index. */
const INTERFACE_INDEX = 16;
const LINK_INFO_LENGTH = 32;

export type Direction = keyof typeof ATTACH_TYPES;

/** A program at its place. It is taken off when nobody holds the link, by descriptor or by pin. */
export interface BpfLink {
  readonly fd: number;
  /** Pins it to a path on a bpffs. @throws SystemError EEXIST */
  pin(path: string): void;
  /** Has another program in place of its own, without a packet that meets neither. */
  update(program: BpfProgram): void;
  /** Whether its interface is still there, and nobody took the program off. */
  isAttached(): boolean;
  /** Takes the program off at once, whoever else holds the link. */
  detach(): void;
  /** Safe to call twice. */
  close(): void;
}

/**
 * Runs a program on a network interface's packets, after those that are there (tcx), in the
 * network namespace of the calling thread.
 * @param link interface index
 * @throws SystemError EINVAL before Linux 6.6, ENODEV without such an interface, EEXIST when the
 *   same program is there
 */
export function attachTcx(program: BpfProgram, link: number, direction: Direction): BpfLink {
  const fd = new BpfAttributes()
    .u32(0, program.fd)
    .u32(4, link)
    .u32(8, ATTACH_TYPES[direction])
    .call(BPF_LINK_CREATE, `attach program ${program.name} to the ${direction} of link ${link}`);
  return new HeldLink(fd);
}

/** @throws SystemError ENOENT when nothing is pinned there, EINVAL when it is no link */
export function bpfLinkFromPin(path: string): BpfLink {
  return new HeldLink(openPin(path, "link"));
}

class HeldLink implements BpfLink {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  pin(path: string): void {
    pinDescriptor(this.fd, path, "a link");
  }

  update(program: BpfProgram): void {
    new BpfAttributes()
      .u32(0, this.fd)
      .u32(4, program.fd)
      .call(BPF_LINK_UPDATE, `run program ${program.name} in place of a link's own`);
  }

  isAttached(): boolean {
    const info = readInfo(this.fd, LINK_INFO_LENGTH, "read where a program is attached");
    return info.getUint32(INTERFACE_INDEX, true) !== 0;
  }

  detach(): void {
    new BpfAttributes().u32(0, this.fd).call(BPF_LINK_DETACH, "take a program off its link");
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeDescriptor(this.fd);
  }
}
