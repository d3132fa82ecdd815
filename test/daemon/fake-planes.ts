import type { Mapping } from "../../src/core/output.ts";
import { TrafficRecord, type TrafficSnapshot } from "../../src/core/traffic.ts";
import type { DataPlane, DataPlaneEvents, DrilledUplink } from "../../src/dataplane/dataplane.ts";
import type { Address } from "../../src/wire/address.ts";
import type { ContextTag } from "../../src/wire/tag.ts";

/** A data plane that remembers what it was told and says what a test wants. */
export class FakePlane implements DataPlane {
  readonly name: "nfqueue" | "ebpf" = "nfqueue";
  readonly survives: boolean = false;
  readonly calls: string[] = [];
  /** What of its routes others have taken away. */
  lost = 0;
  readonly counters = { "fake-dropped": 3 };
  readonly records = new Map<ContextTag, TrafficRecord>();
  readonly sent: { source: Address; destination: Address; bytes: Uint8Array }[] = [];
  /** The uplink that is rehearsed as dead. */
  drilled: string | undefined;
  openError: Error | undefined;
  sendError: Error | undefined;
  #events: DataPlaneEvents | undefined;

  get events(): DataPlaneEvents {
    if (this.#events === undefined) throw new Error("the plane is not open");
    return this.#events;
  }

  open(events: DataPlaneEvents): Promise<void> {
    this.calls.push("open");
    this.#events = events;
    return this.openError === undefined ? Promise.resolve() : Promise.reject(this.openError);
  }

  close(): Promise<void> {
    this.calls.push("close");
    return Promise.resolve();
  }

  release(): Promise<void> {
    this.calls.push("release");
    return Promise.resolve();
  }

  settle(): void {
    this.calls.push("settle");
  }

  sendControl(source: Address, destination: Address, bytes: Uint8Array): void {
    if (this.sendError !== undefined) throw this.sendError;
    this.sent.push({ source, destination, bytes });
  }

  setContext(tag: ContextTag): void {
    this.calls.push("setContext");
    this.records.set(tag, new TrafficRecord());
  }

  clearContext(tag: ContextTag): void {
    this.calls.push("clearContext");
    this.records.delete(tag);
  }

  setMapping(_tag?: ContextTag, _mapping?: Mapping): void {
    this.calls.push("setMapping");
  }

  clearMapping(_tag?: ContextTag): void {
    this.calls.push("clearMapping");
  }

  awaitTraffic(_tag?: ContextTag): void {
    this.calls.push("awaitTraffic");
  }

  watch(_tag: ContextTag, on: boolean): void {
    this.calls.push(`watch ${on}`);
  }

  withholdErrors(_tag: ContextTag, on: boolean): void {
    this.calls.push(`withholdErrors ${on}`);
  }

  traffic(tag: ContextTag): TrafficSnapshot | undefined {
    return this.records.get(tag)?.snapshot;
  }

  markTraffic(_tag: ContextTag, direction: string): void {
    this.calls.push(`markTraffic ${direction}`);
  }

  armTrigger(): void {
    this.calls.push("armTrigger");
  }

  repair(): number {
    return this.lost;
  }

  drill(uplink: DrilledUplink | undefined): Promise<void> {
    this.drilled = uplink?.interface;
    return Promise.resolve();
  }
}

/** What a plane keeps in the kernel, whoever is there. */
export class FakeKernel {
  readonly records = new Map<ContextTag, TrafficRecord>();
  readonly mappings = new Map<ContextTag, Mapping>();
}

/** A data plane that goes on without its daemon. */
export class SurvivingPlane extends FakePlane {
  override readonly name = "ebpf";
  override readonly survives = true;
  readonly #kernel: FakeKernel;
  #left = new Set<ContextTag>();
  /** Called while the plane is being opened. */
  opening: (events: DataPlaneEvents) => void = () => undefined;

  constructor(kernel = new FakeKernel()) {
    super();
    this.#kernel = kernel;
  }

  override async open(events: DataPlaneEvents): Promise<void> {
    await super.open(events);
    this.#left = new Set(this.#kernel.records.keys());
    this.opening(events);
  }

  override settle(): void {
    super.settle();
    for (const tag of this.#left) this.#drop(tag);
  }

  override async close(): Promise<void> {
    await super.close();
    for (const tag of [...this.#kernel.records.keys()]) this.#drop(tag);
  }

  override setContext(tag: ContextTag): void {
    super.setContext(tag);
    if (!this.#left.delete(tag)) this.#kernel.records.set(tag, new TrafficRecord());
  }

  override clearContext(tag: ContextTag): void {
    super.clearContext(tag);
    this.#drop(tag);
  }

  override setMapping(tag: ContextTag, mapping: Mapping): void {
    super.setMapping();
    this.#kernel.mappings.set(tag, mapping);
  }

  override clearMapping(tag: ContextTag): void {
    super.clearMapping();
    this.#kernel.mappings.delete(tag);
  }

  override traffic(tag: ContextTag): TrafficSnapshot | undefined {
    return this.#kernel.records.get(tag)?.snapshot;
  }

  #drop(tag: ContextTag): void {
    this.#kernel.records.delete(tag);
    this.#kernel.mappings.delete(tag);
  }
}
