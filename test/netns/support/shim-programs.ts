import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelHalf } from "../../../src/dataplane/ebpf/kernel.ts";
import {
  type COUNTERS,
  encodePair,
  encodePairState,
  encodePeerTag,
  encodeTag,
  encodeTagged,
  type RoutedMapping,
} from "../../../src/dataplane/ebpf/layout.ts";
import { mountBpffs } from "../../../src/linux/bpffs.ts";
import { SHIM_OBJECT } from "./ebpf-host.ts";
import { LOCAL_LOCATOR, LOCAL_ULID, LOCATORS, OUR_TAG, PEER_TAG, ULIDS } from "./shim-packets.ts";

const ETHERNET_LENGTH = 14;
/** Octets of a `struct __sk_buff` up to the mark's end, and where that is. */
const CONTEXT_LENGTH = 192;
const MARK_OFFSET = 8;

/** What tc programs return. */
export const PASS = -1;
export const DROP = 2;
export const REDIRECT = 7;

/** The record of the context that there is. */
export const SLOT = 3;

export interface Outcome {
  readonly returned: number;
  /** From the IPv6 header on. */
  readonly packet: Uint8Array;
  readonly mark: number;
  /** Counters that grew, and by how much; nobody reads the ring of events. */
  readonly counted: Partial<Record<(typeof COUNTERS)[number], number>>;
}

/** The programs of bpf/shim6.bpf.c on packets that never were on a link. */
export class ShimPrograms {
  readonly kernel: KernelHalf;
  readonly #directory = mkdtempSync(join(tmpdir(), "l3shim-bpf-"));
  readonly #udpPort: number | undefined;

  /** With one context, whose pair has no entry yet. @param udpPort of Shim6 in UDP, if any */
  constructor(udpPort?: number) {
    mountBpffs(this.#directory);
    const pinDirectory = join(this.#directory, "pins");
    this.kernel = KernelHalf.open({ objectFile: SHIM_OBJECT, pinDirectory, contexts: 64 });
    const { locals, tags, peerTags } = this.kernel;
    for (const local of [LOCAL_ULID, LOCAL_LOCATOR]) locals.update(local, new Uint8Array(4));
    tags.update(encodeTag(OUR_TAG), encodeTagged(SLOT, ULIDS));
    peerTags.update(encodePeerTag(LOCATORS.peer, PEER_TAG), encodeTagged(SLOT, ULIDS));
    this.#udpPort = udpPort;
    this.setTellingInterval(undefined);
  }

  /** @param nanoseconds of processors; the daemon's unless it is given */
  setTellingInterval(nanoseconds: number | undefined): void {
    const trigger = { triggerPackets: 50, triggerAge: undefined, acquaintedPackets: 8 };
    const settings = { ulidDevice: 1, udpPort: this.#udpPort, ...trigger };
    this.kernel.configure(
      nanoseconds === undefined ? settings : { ...settings, tellingInterval: nanoseconds },
    );
  }

  setMapping(mapping: RoutedMapping | undefined, forks = 0): void {
    const plain = { link: 1, gateway: undefined, mtu: 9000 };
    const state = { slot: SLOT, mapping, forks, plain, peerUlid: ULIDS.peer };
    this.kernel.pairs.update(encodePair(ULIDS), encodePairState(state));
    this.kernel.pairsChanged();
  }

  /** Runs a program for links with Ethernet headers on an IPv6 packet. */
  run(program: string, packet: Uint8Array, mark = 0): Outcome {
    const frame = new Uint8Array(ETHERNET_LENGTH + packet.length);
    frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd]);
    frame.set(packet, ETHERNET_LENGTH);
    const outcome = this.runFrame(program, frame, mark);
    return { ...outcome, packet: outcome.packet.subarray(ETHERNET_LENGTH) };
  }

  runFrame(program: string, frame: Uint8Array, mark = 0): Outcome {
    const context = new Uint8Array(CONTEXT_LENGTH);
    new DataView(context.buffer).setUint32(MARK_OFFSET, mark, true);
    const before = this.kernel.counters;
    const run = this.kernel.program(program).run(frame, { context });
    const grown = Object.entries(this.kernel.counters)
      .map(([name, count]) => [name, count - before[name as keyof typeof before]] as const)
      .filter(([name, growth]) => growth > 0 && name !== "event-lost");
    const { returned, packet } = run;
    const markAfter = new DataView(run.context.buffer).getUint32(MARK_OFFSET, true);
    return { returned, packet, mark: markAfter, counted: Object.fromEntries(grown) };
  }

  close(): void {
    this.kernel.remove();
    execFileSync("umount", [this.#directory]);
    rmSync(this.#directory, { recursive: true });
  }
}
