import { after, type Instant, latest, seconds } from "../core/time.ts";
import type { SimRandom } from "./random.ts";
import type { BurstModel, LinkModel } from "./scenario.ts";

/** One direction of an uplink: says when a packet gets to its other end, if it does. */
export class Link {
  readonly #model: LinkModel;
  readonly #random: SimRandom;
  #bursting = false;
  /** When the last packet's last bit has left. */
  #idleAt: Instant | undefined;
  /** Of packets that were not held back. */
  #lastArrival: Instant | undefined;
  /** Failures in effect. */
  failures = 0;
  /** The shares that failures in effect take, besides the model's. */
  readonly #losses: number[] = [];

  constructor(model: LinkModel, random: SimRandom) {
    this.#model = model;
    this.#random = random;
  }

  /** Neither dead nor lossier than its model says. */
  get isSound(): boolean {
    return this.failures === 0 && this.#losses.length === 0;
  }

  /** A failure that takes `share` of the packets begins (1) or ends (-1). */
  changeLoss(share: number, change: 1 | -1): void {
    if (change === 1) this.#losses.push(share);
    else this.#losses.splice(this.#losses.indexOf(share), 1);
  }

  /** The instants at which the copies of a packet of `bytes` octets arrive: none, one or two. */
  transmit(now: Instant, bytes: number): Instant[] {
    const { loss = 0, burst, duplicate = 0 } = this.#model;
    if (this.failures > 0) return [];
    if (this.#losses.some((share) => this.#random.chance(share))) return [];
    const left = this.#serialize(now, bytes);
    if (left === undefined) return [];
    if (this.#random.chance(loss) || (burst !== undefined && this.#loseInBurst(burst))) return [];
    const arrivals = [this.#arrival(left)];
    if (this.#random.chance(duplicate)) arrivals.push(this.#arrival(left));
    return arrivals;
  }

  #serialize(now: Instant, bytes: number): Instant | undefined {
    const { rate } = this.#model;
    if (rate === undefined) return now;
    const start = this.#idleAt !== undefined && this.#idleAt > now ? this.#idleAt : now;
    if (start - now > seconds(rate.queue)) return undefined;
    this.#idleAt = after(start, seconds((bytes * 8) / rate.bitsPerSecond));
    return this.#idleAt;
  }

  #loseInBurst({ enter, leave, loss }: BurstModel): boolean {
    if (this.#random.chance(this.#bursting ? leave : enter)) this.#bursting = !this.#bursting;
    return this.#bursting && this.#random.chance(loss);
  }

  #arrival(left: Instant): Instant {
    const { delay, jitter = 0, reorder } = this.#model;
    const held =
      reorder !== undefined && this.#random.chance(reorder.share)
        ? this.#random.between(0, reorder.by)
        : 0;
    if (jitter === 0) return after(left, seconds(delay + held));
    const varied = after(left, seconds(delay + this.#random.between(0, jitter)));
    this.#lastArrival = latest(varied, this.#lastArrival);
    return after(this.#lastArrival, seconds(held));
  }
}
