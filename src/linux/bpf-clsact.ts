/**
 * eBPF programs on network interfaces of kernels before 6.6, which have no tcx: as direct-action
 * filters on a clsact qdisc. Filters outlive the process that made them.
 */
import type { Direction } from "./bpf-link.ts";
import type { BpfProgram } from "./bpf-program.ts";
import {
  attributeText,
  BodyWriter,
  decodeAttributes,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  requireLength,
  viewOf,
} from "./netlink.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { NETLINK_ROUTE } from "./rtnetlink-constants.ts";
import { SystemError } from "./system-error.ts";

// From linux/rtnetlink.h and pkt_sched.h
const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
const TCMSG_LENGTH = 20;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TC_H_CLSACT = 0xffff_fff1;
const CLSACT_HANDLE = 0xffff_0000;
const PARENTS = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;

// From linux/pkt_cls.h
const TCA_BPF_FD = 6;
const TCA_BPF_NAME = 7;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_FLAG_ACT_DIRECT = 1;

/** ETH_P_ALL in network byte order: for packets of every protocol. */
const EVERY_PROTOCOL = 0x0300;

/** How the names of our filters start; and where the qdisc, too, is ours to remove. */
const OURS = "l3shim:";
const OURS_WITH_QDISC = "l3shim:clsact:";

/** Where a filter stands among others. */
export interface FilterPlace {
  /** From 1; lower runs first. */
  readonly priority: number;
  /** Positive; unique within the priority. */
  readonly handle: number;
}

/** A program as a filter of an interface. */
export interface ClsactFilter {
  /** Whether its interface is still there, and nobody took the filter off. */
  isAttached(): boolean;
  /** Takes the filter off, and the qdisc when we made it and nothing else is on it. */
  detach(): void;
  /** Leaves the filter where it is. */
  close(): void;
}

/**
 * Runs a program on a network interface's packets, in the network namespace of the calling
 * thread. A filter of ours that is at this place is replaced, without a gap.
 * @param link interface index
 * @throws SystemError EEXIST when somebody else's filter is at this place, ENODEV without such an
 *   interface
 */
export function attachClsact(
  program: BpfProgram,
  link: number,
  direction: Direction,
  place: FilterPlace,
): ClsactFilter {
  const clsact = new Clsact(link);
  try {
    clsact.attach(program, direction, place);
  } catch (error) {
    clsact.close();
    throw error;
  }
  const detach = (): void => {
    clsact.detach(direction, place);
    clsact.close();
  };
  const isAttached = (): boolean => clsact.has(direction, place);
  return { isAttached, detach, close: () => clsact.close() };
}

/**
 * Takes a filter off that an earlier process of ours left, in the network namespace of the calling
 * thread; the qdisc, too, when that process made it and nothing else is on it.
 * @param link interface index
 * @returns false when there is none of ours at this place
 */
export function detachClsact(link: number, direction: Direction, place: FilterPlace): boolean {
  const clsact = new Clsact(link);
  try {
    return clsact.detach(direction, place);
  } finally {
    clsact.close();
  }
}

interface Filter extends FilterPlace {
  /** What an eBPF filter is called. */
  readonly name: string | undefined;
}

/** The clsact qdisc of one interface. */
class Clsact {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);
  readonly #link: number;

  constructor(link: number) {
    this.#link = link;
  }

  attach(program: BpfProgram, direction: Direction, place: FilterPlace): void {
    const isNew = this.#addQdisc();
    const ours = this.#filters().filter(({ name }) => name?.startsWith(OURS));
    const withQdisc = isNew || ours.some(({ name }) => name?.startsWith(OURS_WITH_QDISC));
    const name = `${withQdisc ? OURS_WITH_QDISC : OURS}${program.name}`;
    const flags = this.#find(direction, place) === undefined ? NLM_F_EXCL : NLM_F_REPLACE;
    const body = this.#filterBody(direction, place)
      .nested(TCA_OPTIONS, filterOptions(program.fd, name))
      .finish();
    const attempt = `attach program ${program.name} to the ${direction} of link ${this.#link}`;
    try {
      this.#socket.request(RTM_NEWTFILTER, NLM_F_CREATE | flags, body, attempt);
    } catch (error) {
      if (isNew) this.#removeQdisc();
      throw error;
    }
  }

  has(direction: Direction, place: FilterPlace): boolean {
    return this.#find(direction, place) !== undefined;
  }

  /** @returns false when there is no filter of ours */
  detach(direction: Direction, place: FilterPlace): boolean {
    const filter = this.#find(direction, place);
    if (filter === undefined) return false;
    const attempt = `take a program off the ${direction} of link ${this.#link}`;
    const body = this.#filterBody(direction, place).finish();
    this.#socket.request(RTM_DELTFILTER, 0, body, attempt);
    const isOurs = filter.name?.startsWith(OURS_WITH_QDISC) ?? false;
    if (isOurs && this.#filters().length === 0) this.#removeQdisc();
    return true;
  }

  close(): void {
    this.#socket.close();
  }

  /** @returns whether there was none before */
  #addQdisc(): boolean {
    const attempt = `add a clsact qdisc to link ${this.#link}`;
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    try {
      this.#socket.request(RTM_NEWQDISC, flags, this.#qdiscBody(), attempt);
      return true;
    } catch (error) {
      if (error instanceof SystemError && error.code === "EEXIST") return false;
      throw error;
    }
  }

  #removeQdisc(): void {
    const attempt = `remove the clsact qdisc of link ${this.#link}`;
    this.#socket.request(RTM_DELQDISC, 0, this.#qdiscBody(), attempt);
  }

  #find(direction: Direction, { priority, handle }: FilterPlace): Filter | undefined {
    return this.#list(direction).find(
      (each) => each.priority === priority && each.handle === handle && each.name?.startsWith(OURS),
    );
  }

  #filters(): Filter[] {
    return [...this.#list("ingress"), ...this.#list("egress")];
  }

  #list(direction: Direction): Filter[] {
    const body = trafficControlHeader(this.#link, 0, PARENTS[direction], 0);
    const attempt = `read the filters of link ${this.#link}`;
    return this.#socket.dump(RTM_GETTFILTER, body, attempt).map(decodeFilter);
  }

  #qdiscBody(): Uint8Array {
    const header = trafficControlHeader(this.#link, CLSACT_HANDLE, TC_H_CLSACT, 0);
    return new BodyWriter(header).text(TCA_KIND, "clsact").finish();
  }

  #filterBody(direction: Direction, { priority, handle }: FilterPlace): BodyWriter {
    const info = ((priority << 16) | EVERY_PROTOCOL) >>> 0;
    const header = trafficControlHeader(this.#link, handle, PARENTS[direction], info);
    return new BodyWriter(header).text(TCA_KIND, "bpf");
  }
}

function filterOptions(fd: number, name: string): BodyWriter {
  return new BodyWriter(new Uint8Array(0))
    .u32(TCA_BPF_FD, fd)
    .text(TCA_BPF_NAME, name)
    .u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
}

/** struct tcmsg */
function trafficControlHeader(
  link: number,
  handle: number,
  parent: number,
  info: number,
): Uint8Array {
  const header = new Uint8Array(TCMSG_LENGTH);
  const view = viewOf(header);
  view.setInt32(4, link, true);
  view.setUint32(8, handle, true);
  view.setUint32(12, parent, true);
  view.setUint32(16, info, true);
  return header;
}

/** A filter of any kind; the kernel also lists each priority's classifier, with handle 0. */
function decodeFilter({ body }: NetlinkMessage): Filter {
  requireLength(body, TCMSG_LENGTH);
  const view = viewOf(body);
  const attributes = decodeAttributes(body, TCMSG_LENGTH);
  const kind = attributes.get(TCA_KIND);
  const options = attributes.get(TCA_OPTIONS);
  const isBpf = kind !== undefined && attributeText(kind) === "bpf";
  const name = isBpf && options ? decodeAttributes(options).get(TCA_BPF_NAME) : undefined;
  return {
    handle: view.getUint32(8, true),
    priority: view.getUint32(16, true) >>> 16,
    name: name && attributeText(name),
  };
}
