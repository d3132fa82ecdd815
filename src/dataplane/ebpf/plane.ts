import type { AddressPair, Mapping } from "../../core/output.ts";
import { samePair } from "../../core/output.ts";
import { after } from "../../core/time.ts";
import type { TrafficDirection, TrafficSnapshot } from "../../core/traffic.ts";
import { monotonicNow } from "../../linux/clock.ts";
import type { Egress } from "../../linux/route-lookup.ts";
import { SystemError } from "../../linux/system-error.ts";
import type { Address } from "../../wire/address.ts";
import { MINIMUM_MTU } from "../../wire/ipv6.ts";
import { PAYLOAD_HEADER_LENGTH } from "../../wire/payload-header.ts";
import type { ContextTag } from "../../wire/tag.ts";
import {
  type DataPlane,
  DataPlaneError,
  type DataPlaneEvents,
  DRILL_LEASE,
  type DrilledUplink,
} from "../dataplane.ts";
import { overrunCounters } from "../overrun-counters.ts";
import { ContextMaps, type KernelContext } from "./context-maps.ts";
import {
  knownContexts,
  leadingMapping,
  type PairContexts,
  type PlaneContext,
  PlaneContexts,
} from "./contexts.ts";
import { EbpfCounters } from "./counters.ts";
import { EventReader } from "./event-reader.ts";
import { type HookSettings, Hooks } from "./hooks.ts";
import { encodePair } from "./layout.ts";
import { Slots } from "./slots.ts";
import { type EbpfSystem, LINUX_EBPF } from "./system.ts";

export interface EbpfOptions extends HookSettings {
  /** Gets what went wrong and can be borne. */
  readonly warn: (message: string) => void;
}

/** What is there between `open` and `close`. */
interface Running {
  readonly hooks: Hooks;
  readonly maps: ContextMaps;
  readonly slots: Slots;
  readonly events: DataPlaneEvents;
}

const NO_TRAFFIC: TrafficSnapshot = {
  lastOut: undefined,
  lastIn: undefined,
  firstUnansweredOut: undefined,
  firstUnansweredIn: undefined,
  packetsOut: 0,
  packetsIn: 0,
  bytesOut: 0,
  bytesIn: 0,
};

/**
 * The data plane in the kernel: eBPF programs count and rewrite, and this class tells them what.
 * No packet crosses into user space but those that the kernel's half cannot deal with.
 */
export class EbpfDataPlane implements DataPlane {
  readonly name = "ebpf";
  readonly survives = true;
  readonly #options: EbpfOptions;
  readonly #system: EbpfSystem;
  readonly #contexts = new PlaneContexts();
  readonly #counters = new EbpfCounters();
  /** Contexts of an earlier run that nobody has set again yet. */
  #left = new Map<ContextTag, KernelContext>();
  #running: Running | undefined;

  constructor(options: EbpfOptions, system: EbpfSystem = LINUX_EBPF) {
    this.#options = options;
    this.#system = system;
  }

  get counters(): Readonly<Record<string, number>> {
    const hooks = this.#running?.hooks;
    return {
      ...this.#counters.with(hooks?.kernel.counters ?? {}),
      ...overrunCounters(hooks?.controlOverruns),
    };
  }

  open(events: DataPlaneEvents): Promise<void> {
    return settled(() => this.#open(events));
  }

  close(): Promise<void> {
    return settled(() => this.#end((hooks) => hooks.close()));
  }

  release(): Promise<void> {
    return settled(() => this.#end((hooks) => hooks.release()));
  }

  #open(events: DataPlaneEvents): void {
    const reader = new EventReader({
      contexts: this.#contexts,
      counters: this.#counters,
      events,
      acquaint: (peer) => this.#running?.hooks.acquaint(peer),
      pathMtuFell: ({ ulids }) => this.#publishPair(ulids),
      isLocal: (address) => this.#running?.hooks.isLocal(address) ?? false,
      sendShim6: (message) => this.#running?.hooks.sendShim6(message),
      sendIcmp: (message) => this.#running?.hooks.sendIcmp(message),
      warn: this.#options.warn,
    });
    const hooks = Hooks.open(this.#options, this.#system, {
      event: (record) => reader.handle(record),
      control: (...message) => reader.control(...message),
      icmpError: (message) => reader.icmpError(message),
      networkChanged: () => this.#followNetwork(),
      failed: (error) => events.failed(error),
      warn: this.#options.warn,
    });
    const maps = new ContextMaps(hooks.kernel);
    this.#left = maps.read();
    const taken = [...this.#left.values()].map(({ slot }) => slot);
    const slots = new Slots(hooks.kernel.records.capacity, taken);
    this.#running = { hooks, maps, slots, events };
  }

  #end(end: (hooks: Hooks) => void): void {
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) end(running.hooks);
  }

  settle(): void {
    if (this.#running === undefined) return;
    const { maps, slots } = this.#running;
    for (const { slot, ulids } of this.#left.values()) {
      slots.give(slot);
      this.#publishPair(ulids);
    }
    this.#left.clear();
    maps.deleteStale(this.#contexts);
    for (const { ulids } of this.#contexts.pairs()) this.#publishPair(ulids);
  }

  sendControl(
    source: Address,
    destination: Address,
    bytes: Uint8Array,
    encapsulated = false,
  ): void {
    if (this.#running === undefined) {
      throw new DataPlaneError("the data plane is closed", "Send only between open and close.");
    }
    this.#running.hooks.sendShim6({ source, destination, bytes, encapsulated });
  }

  setContext(tag: ContextTag, ulids: AddressPair, forkedInstance = 0): void {
    this.clearContext(tag);
    const left = this.#left.get(tag);
    const isSame = left !== undefined && samePair(left.ulids, ulids);
    const slot = isSame ? this.#resume(left) : this.#begin(tag, ulids);
    const forked = forkedInstance !== 0;
    const state = { watched: false, withholding: false, active: undefined };
    const context: PlaneContext = { tag, ulids, forked, slot, ...state };
    this.#contexts.add(context);
    this.#running?.hooks.acquaint(ulids.peer);
    this.#showFlags(context);
    // Its mapping is in force, and may be set again in a moment: `settle` waits for that.
    if (isSame) this.#left.delete(tag);
    else this.#publishPair(ulids);
  }

  clearContext(tag: ContextTag): void {
    const context = this.#contexts.get(tag);
    if (context === undefined) return;
    this.#running?.maps.deleteTag(tag);
    this.#running?.maps.deletePeerTag(context);
    this.#contexts.delete(context);
    this.#publishPair(context.ulids);
    if (context.slot !== undefined) this.#running?.slots.give(context.slot);
  }

  setMapping(tag: ContextTag, mapping: Mapping): void {
    const context = this.#contexts.get(tag);
    if (context === undefined) return;
    const before = context.active?.way;
    const way = this.#findWay(mapping.locators) ?? before;
    this.#map(context, { mapping, way });
  }

  clearMapping(tag: ContextTag): void {
    const context = this.#contexts.get(tag);
    if (context?.active !== undefined) this.#map(context, undefined);
  }

  awaitTraffic(tag: ContextTag): void {
    const slot = this.#contexts.get(tag)?.slot;
    if (slot !== undefined) this.#running?.hooks.kernel.records.await(slot);
  }

  watch(tag: ContextTag, on: boolean): void {
    const context = this.#contexts.get(tag);
    if (context === undefined) return;
    context.watched = on;
    this.#showFlags(context);
  }

  withholdErrors(tag: ContextTag, on: boolean): void {
    const context = this.#contexts.get(tag);
    if (context === undefined) return;
    context.withholding = on;
    this.#showFlags(context);
  }

  traffic(tag: ContextTag): TrafficSnapshot | undefined {
    const context = this.#contexts.get(tag);
    if (context === undefined) return undefined;
    const records = this.#running?.hooks.kernel.records;
    return context.slot === undefined ? NO_TRAFFIC : records?.snapshot(context.slot);
  }

  markTraffic(tag: ContextTag, direction: TrafficDirection): void {
    const slot = this.#contexts.get(tag)?.slot;
    if (slot !== undefined) this.#running?.hooks.kernel.records.mark(slot, direction);
  }

  armTrigger(ulids: AddressPair): void {
    this.#running?.hooks.kernel.candidates.delete(encodePair(ulids));
  }

  repair(): number {
    return this.#tolerate(() => this.#running?.hooks.repairRoutes()) ?? 0;
  }

  drill(uplink: DrilledUplink | undefined): Promise<void> {
    const until = after(monotonicNow(), DRILL_LEASE);
    return settled(() => this.#running?.hooks.kernel.drill(uplink && { link: uplink.link, until }));
  }

  /** Its record and tag; `undefined` where the kernel's maps have no room. */
  #begin(tag: ContextTag, ulids: AddressPair): number | undefined {
    const running = this.#running;
    const slot = running?.slots.take();
    if (running === undefined || slot === undefined) return this.#refuse();
    running.hooks.kernel.records.reset(slot, ulids);
    try {
      running.maps.setTag(tag, { slot, ulids });
      return slot;
    } catch (error) {
      running.slots.give(slot);
      if (!(error instanceof SystemError) || error.code !== "E2BIG") throw error;
      return this.#refuse();
    }
  }

  #resume({ slot, ulids }: KernelContext): number {
    this.#running?.hooks.kernel.records.adopt(slot, ulids);
    return slot;
  }

  #refuse(): undefined {
    this.#counters.add("context-refused");
  }

  /** One write to a map has the kernel send on the new locators; the rest only follows it. */
  #map(context: PlaneContext, active: PlaneContext["active"]): void {
    if (context.slot === undefined) return;
    this.#running?.maps.deletePeerTag(context);
    context.active = active;
    this.#running?.maps.setPeerTag(context);
    this.#publishPair(context.ulids);
    this.#awaitForce(context);
  }

  #publishPair(ulids: AddressPair): void {
    const pair = this.#contexts.pair(ulids);
    if (pair === undefined || knownContexts(pair).length === 0) {
      this.#tolerate(() => this.#running?.hooks.unlead(ulids));
      this.#running?.maps.withdraw(ulids);
    } else {
      this.#publish(pair);
    }
  }

  #publish(pair: PairContexts): void {
    const { ulids } = pair;
    const leading = leadingMapping(pair);
    if (leading !== undefined) pair.led = true;
    const plain = pair.led ? this.#findWay(ulids) : undefined;
    if (this.#running?.maps.publish(pair, plain) === false) this.#counters.add("fork-refused");
    if (leading === undefined) {
      if (pair.led) this.#tolerate(() => this.#running?.hooks.unlead(ulids));
      return;
    }
    const mtu = leading.way?.mtu ?? MINIMUM_MTU;
    this.#tolerate(() => this.#running?.hooks.lead(ulids, mtu));
  }

  #findWay(locators: AddressPair): Egress | undefined {
    return this.#tolerate(() => this.#running?.hooks.findWay(locators));
  }

  /** After the step of the core in which the mapping was set. */
  #awaitForce(context: PlaneContext): void {
    const { active, tag } = context;
    queueMicrotask(() => {
      const running = this.#running;
      if (running === undefined || context.active !== active) return;
      running.events.mappingInForce(tag);
      this.#nudgeTcp(context, running.hooks);
    });
  }

  /** TCP need not wait for a retransmission timer that has backed off while the old pair was dead. */
  #nudgeTcp({ ulids, active }: PlaneContext, hooks: Hooks): void {
    const way = active === undefined ? this.#findWay(ulids) : active.way;
    // Without the mapping it is what packets had while there was one.
    const mtu = Math.max(MINIMUM_MTU, (way?.mtu ?? MINIMUM_MTU) - PAYLOAD_HEADER_LENGTH);
    const isSmaller = active !== undefined && way !== undefined;
    this.#tolerate(() => hooks.nudgeTcp(ulids, { mtu, isSmaller }));
  }

  /** Next hops and MTUs of mapped pairs may have changed. */
  #followNetwork(): void {
    for (const pair of this.#contexts.pairs()) {
      const mapped = [pair.main, ...pair.forks].flatMap((context) => context?.active ?? []);
      if (mapped.length === 0) continue;
      for (const active of mapped)
        active.way = this.#findWay(active.mapping.locators) ?? active.way;
      this.#publish(pair);
    }
  }

  #showFlags({ slot, watched, withholding }: PlaneContext): void {
    if (slot === undefined) return;
    this.#running?.hooks.kernel.records.setFlags(slot, { watched, withholding });
  }

  /** A locator may have gone since the core decided: it will hear of that and decide anew. */
  #tolerate<Value>(action: () => Value): Value | undefined {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#counters.add("route-failed");
      this.#options.warn(error.message);
      return undefined;
    }
  }
}

/** What an action that needs no time comes to, as a promise. */
function settled(action: () => void): Promise<void> {
  return new Promise((resolve) => {
    action();
    resolve();
  });
}
