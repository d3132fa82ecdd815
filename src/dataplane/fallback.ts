import type { AddressPair, Mapping } from "../core/output.ts";
import type { TrafficDirection, TrafficSnapshot } from "../core/traffic.ts";
import type { ContextTag } from "../wire/tag.ts";
import {
  type DataPlane,
  DataPlaneError,
  type DataPlaneEvents,
  type DrilledUplink,
} from "./dataplane.ts";

/**
 * The first plane if it opens here, else the second: `dataplane = "auto"`. Whatever the first one
 * lacks is told once, with the remedy.
 */
export class FallbackDataPlane implements DataPlane {
  #plane: DataPlane;
  readonly #second: DataPlane;
  readonly #fellBack: (reason: DataPlaneError) => void;

  constructor(first: DataPlane, second: DataPlane, fellBack: (reason: DataPlaneError) => void) {
    this.#plane = first;
    this.#second = second;
    this.#fellBack = fellBack;
  }

  get name(): DataPlane["name"] {
    return this.#plane.name;
  }

  get survives(): boolean {
    return this.#plane.survives;
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#plane.counters;
  }

  async open(events: DataPlaneEvents): Promise<void> {
    try {
      await this.#plane.open(events);
    } catch (error) {
      if (!(error instanceof DataPlaneError)) throw error;
      this.#fellBack(error);
      this.#plane = this.#second;
      await this.#plane.open(events);
    }
  }

  close(): Promise<void> {
    return this.#plane.close();
  }

  release(): Promise<void> {
    return this.#plane.release();
  }

  settle(): void {
    this.#plane.settle();
  }

  sendControl(...message: Parameters<DataPlane["sendControl"]>): void {
    this.#plane.sendControl(...message);
  }

  setContext(tag: ContextTag, ulids: AddressPair, forkedInstance?: number): void {
    this.#plane.setContext(tag, ulids, forkedInstance);
  }

  clearContext(tag: ContextTag): void {
    this.#plane.clearContext(tag);
  }

  setMapping(tag: ContextTag, mapping: Mapping): void {
    this.#plane.setMapping(tag, mapping);
  }

  clearMapping(tag: ContextTag): void {
    this.#plane.clearMapping(tag);
  }

  awaitTraffic(tag: ContextTag): void {
    this.#plane.awaitTraffic(tag);
  }

  watch(tag: ContextTag, on: boolean): void {
    this.#plane.watch(tag, on);
  }

  withholdErrors(tag: ContextTag, on: boolean): void {
    this.#plane.withholdErrors(tag, on);
  }

  traffic(tag: ContextTag): TrafficSnapshot | undefined {
    return this.#plane.traffic(tag);
  }

  markTraffic(tag: ContextTag, direction: TrafficDirection): void {
    this.#plane.markTraffic(tag, direction);
  }

  armTrigger(ulids: AddressPair): void {
    this.#plane.armTrigger(ulids);
  }

  repair(): number {
    return this.#plane.repair();
  }

  drill(uplink: DrilledUplink | undefined): Promise<void> {
    return this.#plane.drill(uplink);
  }
}
