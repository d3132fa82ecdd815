import type { Direction } from "../../linux/bpf-link.ts";
import type { BpfMap } from "../../linux/bpf-map.ts";
import type { BpfProgram } from "../../linux/bpf-program.ts";
import type { InterfaceAddress, Link } from "../../linux/rtnetlink.ts";
import { SystemError } from "../../linux/system-error.ts";
import { type Address, addressFromBytes, addressToBytes } from "../../wire/address.ts";
import { isForShim } from "./unicast.ts";

/** A program on a link. */
export interface AttachedProgram {
  /** Whether its link is still there, and nobody took it off. */
  isInPlace(): boolean;
  /** Takes it off, where it is in place. */
  remove(): void;
  /** Gives up what this process holds of it: the program goes on. */
  release(): void;
}

/**
 * Has a program run on a link's packets, in the network namespace of the plane, from now on and
 * without this process. One of ours that an earlier run left there is replaced without a gap.
 * @param link interface index
 * @param pinPath on a bpffs, for kernels where a program on a link has to be pinned
 * @throws SystemError ENODEV without such a link
 */
export type Attach = (
  program: BpfProgram,
  link: number,
  direction: Direction,
  pinPath: string,
) => AttachedProgram;

export interface AttachmentOptions {
  readonly attach: Attach;
  readonly program: (name: string) => BpfProgram;
  readonly pinPath: (name: string) => string;
  /** The map of the host's own addresses. */
  readonly locals: Pick<BpfMap, "update" | "delete" | "entries">;
  /** Interface indexes of the ULID device: no uplinks. */
  readonly ownLinks: ReadonlySet<number>;
  readonly warn: (message: string) => void;
}

interface HostNetwork {
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
}

/**
 * Has the programs on every link by which packets of a ULID may come or go: each that has, or had,
 * a global address. And tells the kernel's half the host's addresses.
 */
export class Attachments {
  readonly #options: AttachmentOptions;
  readonly #attached = new Map<string, AttachedProgram>();
  readonly #locals = new Set<Address>();

  constructor(options: AttachmentOptions) {
    this.#options = options;
    // Those of an earlier run.
    for (const { key } of options.locals.entries()) this.#locals.add(addressFromBytes(key));
  }

  isLocal(address: Address): boolean {
    return this.#locals.has(address);
  }

  /** Follows the host's network. */
  apply({ links, addresses }: HostNetwork): void {
    const ours = addresses.filter(isForShim);
    this.#setLocals(new Set(ours.map(({ address }) => address)));
    const present = new Set(links.map(({ index }) => index));
    this.#forgetGone(present);
    const wanted = new Set(ours.map(({ link }) => link));
    for (const link of links) {
      if (!wanted.has(link.index) || link.loopback || this.#options.ownLinks.has(link.index))
        continue;
      const suffix = link.ethernet ? "" : "_raw";
      this.#attach(`uplink_in${suffix}`, link.index, "ingress");
      this.#attach(`uplink_out${suffix}`, link.index, "egress");
    }
  }

  /** A program on a link of the plane's own. @throws SystemError */
  attachOwn(program: string, link: number): void {
    this.#take(program, link, "ingress");
  }

  /** Takes all programs off their links. */
  detach(): void {
    for (const attached of this.#attached.values()) attached.remove();
    this.#attached.clear();
  }

  /** What is pinned goes on. */
  release(): void {
    for (const attached of this.#attached.values()) attached.release();
    this.#attached.clear();
  }

  /** A link may be gone by now. */
  #attach(program: string, link: number, direction: Direction): void {
    try {
      this.#take(program, link, direction);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code === "ENODEV") return;
      this.#options.warn(error.message);
    }
  }

  #take(programName: string, link: number, direction: Direction): void {
    const key = attachmentKey(link, direction);
    const held = this.#attached.get(key);
    if (held?.isInPlace()) return;
    // Its interface has gone, and another one has the index.
    held?.remove();
    const { attach, pinPath, program } = this.#options;
    const path = pinPath(`link-${key}`);
    this.#attached.set(key, attach(program(programName), link, direction, path));
  }

  #forgetGone(present: ReadonlySet<number>): void {
    for (const [key, attached] of this.#attached) {
      if (present.has(Number.parseInt(key, 10))) continue;
      attached.remove();
      this.#attached.delete(key);
    }
  }

  #setLocals(wanted: ReadonlySet<Address>): void {
    const { locals } = this.#options;
    for (const address of wanted) {
      if (this.#locals.has(address)) continue;
      locals.update(addressToBytes(address), new Uint8Array(4));
      this.#locals.add(address);
    }
    for (const address of this.#locals) {
      if (wanted.has(address)) continue;
      locals.delete(addressToBytes(address));
      this.#locals.delete(address);
    }
  }
}

function attachmentKey(link: number, direction: Direction): string {
  return `${link}-${direction}`;
}
