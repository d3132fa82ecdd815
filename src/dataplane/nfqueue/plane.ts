import { randomBytes } from "node:crypto";
import type { AddressPair, Mapping } from "../../core/output.ts";
import type { Instant } from "../../core/time.ts";
import type { TrafficDirection, TrafficSnapshot } from "../../core/traffic.ts";
import type { OutgoingMessage } from "../../linux/raw-socket.ts";
import type { OutgoingShim6 } from "../../linux/shim6-socket.ts";
import { ADDRESS_LENGTH, type Address } from "../../wire/address.ts";
import type { ContextTag } from "../../wire/tag.ts";
import {
  type DataPlane,
  DataPlaneError,
  type DataPlaneEvents,
  type DrilledUplink,
  type TriggerPolicy,
} from "../dataplane.ts";
import { overrunCounters } from "../overrun-counters.ts";
import { Oversize } from "../oversize.ts";
import { BACKOFF_STEPS } from "../tcp-hints.ts";
import { type PlaneContext, PlaneContextTable, pairOctets } from "./context-table.ts";
import { PlaneCounters } from "./counters.ts";
import { type HookSettings, Hooks } from "./hooks.ts";
import { Observer } from "./observer.ts";
import { Rewriter } from "./rewriter.ts";
import { LINUX, type PlaneSystem } from "./system.ts";
import { TriggerTable } from "./trigger-table.ts";

export interface NfqueueOptions extends HookSettings {
  readonly trigger: TriggerPolicy;
  /** Gets what went wrong and can be borne. */
  readonly warn: (message: string) => void;
}

/**
 * The data plane of the paper: netfilter queues packets to user space, where they are
 * rewritten. In the null mapping, where there is nothing to rewrite, packets do not wait: the
 * kernel tells of them in batches (NFLOG).
 */
export class NfqueueDataPlane implements DataPlane {
  readonly name = "nfqueue";
  /** Nobody reads the queue when the process is gone. */
  readonly survives = false;
  readonly #options: NfqueueOptions;
  readonly #system: PlaneSystem;
  readonly #contexts = new PlaneContextTable();
  readonly #counters = new PlaneCounters();
  readonly #trigger: TriggerTable;
  #hooks: Hooks | undefined;
  #rewriter: Rewriter | undefined;
  #events: DataPlaneEvents | undefined;

  constructor(options: NfqueueOptions, system = LINUX) {
    this.#options = options;
    this.#system = system;
    this.#trigger = new TriggerTable(options.trigger);
  }

  get counters(): Readonly<Record<string, number>> {
    return {
      ...this.#counters.values,
      "queue-overrun": this.#hooks?.overruns ?? 0,
      unobserved: this.#hooks?.unobserved ?? 0,
      ...overrunCounters(this.#hooks?.controlOverruns),
    };
  }

  async open(events: DataPlaneEvents): Promise<void> {
    this.#events = events;
    const now = (): Instant => this.#system.now();
    const observer = new Observer(this.#contexts, this.#trigger, events, (peer) =>
      this.#hooks?.acquaint(peer),
    );
    const rewriter = new Rewriter({
      contexts: this.#contexts,
      events,
      counters: this.#counters,
      oversize: this.#createOversize(),
      udpPort: this.#options.udpPort,
    });
    this.#rewriter = rewriter;
    this.#hooks = await Hooks.open(
      this.#options,
      {
        observe: (packets) => observer.handleBatch(now(), packets),
        rewrite: (packets, verdicts) => rewriter.handleBatch(now(), packets, verdicts),
        control: ({ source, destination, bytes }, encapsulated) =>
          events.control(now(), source, destination, bytes, encapsulated),
        icmpError: ({ source, bytes }) => events.icmpError(now(), source, bytes),
        routeFailed: (error) => this.#noteRouteFailure(error),
        failed: (error) => events.failed(error),
      },
      this.#system,
    );
  }

  async close(): Promise<void> {
    const hooks = this.#hooks;
    this.#hooks = undefined;
    await hooks?.close();
  }

  release(): Promise<void> {
    return this.close();
  }

  settle(): void {
    // `open` has removed whatever there was.
  }

  sendControl(
    source: Address,
    destination: Address,
    bytes: Uint8Array,
    encapsulated = false,
  ): void {
    if (this.#hooks === undefined) {
      throw new DataPlaneError("the data plane is closed", "Send only between open and close.");
    }
    this.#hooks.sendShim6({ source, destination, bytes, encapsulated });
  }

  setContext(tag: ContextTag, ulids: AddressPair, forkedInstance = 0): void {
    this.clearContext(tag);
    this.#contexts.set(tag, ulids, forkedInstance !== 0);
    this.#hooks?.acquaint(ulids.peer);
  }

  clearContext(tag: ContextTag): void {
    const context = this.#contexts.delete(tag);
    if (context !== undefined) this.#unmap(context);
  }

  setMapping(tag: ContextTag, mapping: Mapping): void {
    const context = this.#contexts.get(tag);
    if (context === undefined) return;
    const before = context.mapping?.pathMtu ?? Number.POSITIVE_INFINITY;
    const egress = this.#tolerate(() => this.#hooks?.findEgress(mapping.locators));
    context.mapping = {
      mapping,
      addresses: pairOctets(mapping.locators),
      egress,
      pathMtu: egress?.mtu ?? before,
    };
    this.#lead(context.ulids);
    this.#awaitForce(context);
  }

  clearMapping(tag: ContextTag): void {
    const context = this.#contexts.get(tag);
    if (context !== undefined) this.#unmap(context);
  }

  awaitTraffic(tag: ContextTag): void {
    const context = this.#contexts.get(tag);
    context?.traffic.await((now) => this.#events?.trafficResumed(now, tag));
  }

  watch(tag: ContextTag, on: boolean): void {
    const context = this.#contexts.get(tag);
    if (context !== undefined) context.watched = on;
  }

  withholdErrors(tag: ContextTag, on: boolean): void {
    const context = this.#contexts.get(tag);
    if (context !== undefined) context.withholding = on;
  }

  traffic(tag: ContextTag): TrafficSnapshot | undefined {
    return this.#contexts.get(tag)?.traffic.snapshot;
  }

  markTraffic(tag: ContextTag, direction: TrafficDirection): void {
    this.#contexts.get(tag)?.traffic.mark(direction);
  }

  armTrigger(ulids: AddressPair): void {
    this.#trigger.arm(pairOctets(ulids), 0, ADDRESS_LENGTH);
  }

  repair(): number {
    return this.#tolerate(() => this.#hooks?.repairRoutes()) ?? 0;
  }

  /** No lease runs out: whoever would have to see to that decides on each packet here. */
  async drill(uplink: DrilledUplink | undefined): Promise<void> {
    const [hooks, rewriter] = [this.#hooks, this.#rewriter];
    if (hooks === undefined || rewriter === undefined) return;
    if (rewriter.drilledLink === uplink?.link) return;
    rewriter.drilledLink = uplink?.link;
    try {
      await hooks.endDrill();
      if (uplink !== undefined) await hooks.drill(uplink, this.#contexts.pairs);
    } catch (error) {
      rewriter.drilledLink = undefined;
      throw noDrill(error as Error);
    }
  }

  #unmap(context: PlaneContext): void {
    if (context.mapping === undefined) return;
    context.mapping = undefined;
    this.#lead(context.ulids);
    this.#awaitForce(context);
  }

  /**
   * The pair's packets go to the queue while any of its contexts is mapped. What is then not
   * rewritten leaves by the ULID's own uplink all the same.
   */
  #lead(ulids: AddressPair): void {
    const leading = this.#contexts.leading(ulids);
    if (leading === undefined) this.#tolerate(() => this.#hooks?.unmap(ulids));
    else this.#hooks?.map(ulids, leading.egress);
  }

  #tolerate<Value>(action: () => Value): Value | undefined {
    try {
      return action();
    } catch (error) {
      this.#noteRouteFailure(error as Error);
      return undefined;
    }
  }

  /** A locator may have gone since the core decided: it will hear of that and decide anew. */
  #noteRouteFailure({ message }: Error): void {
    this.#counters.add("route-failed");
    this.#options.warn(message);
  }

  /** Tells of it before TCP is hastened: what the old way holds of TCP's must be gone by then. */
  #awaitForce(context: PlaneContext): void {
    const { mapping, tag } = context;
    const hooks = this.#hooks;
    void hooks?.settled().then(() => {
      if (hooks !== this.#hooks || context.mapping !== mapping) return;
      this.#events?.mappingInForce(tag);
      this.#hastenTcp(context, hooks);
    });
  }

  /**
   * Once the packets leave on the new pair, TCP need not wait for a retransmission timer that
   * has backed off while the old pair was dead. Each hint takes back one step.
   */
  #hastenTcp({ flows, localUlid, peerUlid, ulids: { local } }: PlaneContext, hooks: Hooks): void {
    const hints = flows.retransmissionHints(localUlid, peerUlid);
    for (let step = 0; step < BACKOFF_STEPS; step++) {
      for (const bytes of hints) {
        this.#tolerate(() => hooks.sendIcmp({ source: local, destination: local, bytes }));
      }
    }
  }

  #createOversize(): Oversize {
    const sockets = {
      sendShim6: (message: OutgoingShim6) => this.#hooks?.sendShim6(message),
      sendIcmp: (message: OutgoingMessage) => this.#hooks?.sendIcmp(message),
      warn: this.#options.warn,
    };
    return new Oversize(sockets, this.#counters, randomBytes(4).readUInt32BE());
  }
}

function noDrill(cause: Error): DataPlaneError {
  const remedy = "Look whether nft or ip6tables can queue packets at POSTROUTING here.";
  return new DataPlaneError(`cannot rehearse an uplink's death: ${cause.message}`, remedy, {
    cause,
  });
}
