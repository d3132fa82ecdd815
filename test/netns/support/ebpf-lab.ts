import type { TriggerPolicy } from "../../../src/dataplane/dataplane.ts";
import type { EbpfDataPlane, EbpfOptions } from "../../../src/dataplane/ebpf/plane.ts";
import { contextTag } from "../../../src/wire/tag.ts";
import { EbpfHosts } from "./ebpf-host.ts";
import { type LabHost, PlaneLab } from "./plane-lab.ts";
import { RecordedEvents } from "./recorded-events.ts";

export const TAG_OF_A = contextTag(0x1234_5678_9abc);
export const TAG_OF_B = contextTag(0x7edc_ba98_7654);

const TRIGGER: TriggerPolicy = { packets: 20, age: undefined };

/** Two hosts in a lab, and planes in the kernel for them. */
export class EbpfLab {
  readonly lab: PlaneLab;
  readonly #hosts = new EbpfHosts();

  private constructor(lab: PlaneLab) {
    this.lab = lab;
  }

  static async create(): Promise<EbpfLab> {
    return new EbpfLab(await PlaneLab.create());
  }

  async destroy(): Promise<void> {
    await this.lab.destroy();
    this.#hosts.remove();
  }

  pinDirectory(host: LabHost): string {
    return this.#hosts.pinDirectory(host);
  }

  async open(
    host: LabHost,
    events = new RecordedEvents(),
    settings: Partial<EbpfOptions> = {},
  ): Promise<EbpfDataPlane> {
    const plane = this.#hosts.create(host, TRIGGER, settings);
    await plane.open(events);
    return plane;
  }

  /** Has the plane of a host send payload on the second locators. */
  map(plane: EbpfDataPlane, host: LabHost): void {
    const [tag, peerTag] = host === this.lab.a ? [TAG_OF_A, TAG_OF_B] : [TAG_OF_B, TAG_OF_A];
    plane.setContext(tag, this.lab.pairs(host).ulids);
    plane.setMapping(tag, { ...this.lab.pairs(host), peerTag });
  }

  /** Opens planes on both hosts, mapped to the second path, and closes them after `use`. */
  async withMappedPlanes(
    use: (a: EbpfDataPlane, b: EbpfDataPlane) => Promise<void>,
    settings: Partial<EbpfOptions> = {},
  ): Promise<void> {
    const events = new RecordedEvents();
    const { a, b } = this.lab;
    const planes = [await this.open(a, events, settings), await this.open(b, events)] as const;
    try {
      this.map(planes[0], a);
      this.map(planes[1], b);
      await use(...planes);
    } finally {
      for (const plane of planes) await plane.close();
    }
    if (events.failures.length > 0) throw new AggregateError(events.failures, "a plane failed");
  }
}
