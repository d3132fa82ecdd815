import type { ContextStatus } from "../../../src/daemon/api.ts";

/** Octets a second on one path. */
export interface Rate {
  readonly out: number;
  readonly in: number;
}

/** What passed between two looks at the contexts. */
interface Sample {
  /** Seconds since 1970. */
  readonly time: number;
  /** By `KEY` of each path. */
  readonly rates: ReadonlyMap<string, Rate>;
}

/** Lines of a chart, each with a value for every time; `null` where nothing is known. */
export interface Chart {
  readonly times: readonly number[];
  readonly lines: readonly {
    readonly path: string;
    readonly direction: keyof Rate;
    readonly values: readonly (number | null)[];
  }[];
}

/** Ten minutes at a look a second. */
const SAMPLES_MAX = 600;

interface Count {
  readonly time: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/**
 * Throughput by path, from the counters of the contexts: what a context has carried since the
 * last look went by the path that it is on now.
 */
export class Throughput {
  readonly #counts = new Map<string, Count>();
  readonly #byLocator: Sample[] = [];
  readonly #byContext = new Map<string, Sample[]>();

  /** How many looks there have been. */
  samples = 0;

  /** Takes all contexts that there are. @param now ms since 1970 */
  sample(now: number, contexts: readonly ContextStatus[]): void {
    this.samples += 1;
    const rates = new Map<string, Rate>();
    for (const context of contexts) {
      const rate = this.#rateOf(now, context);
      if (rate === undefined) continue;
      const { localLocator } = context;
      const sum = rates.get(localLocator) ?? { in: 0, out: 0 };
      rates.set(localLocator, { in: sum.in + rate.in, out: sum.out + rate.out });
    }
    if (rates.size > 0) push(this.#byLocator, { time: now / 1000, rates });
    this.#forgetOthers(contexts);
  }

  /** Of all contexts, by the local locator. */
  get host(): Chart {
    return chartOf(this.#byLocator);
  }

  /** Of one context, by its locator pair. */
  of(tag: string): Chart {
    return chartOf(this.#byContext.get(tag) ?? []);
  }

  #rateOf(now: number, context: ContextStatus): Rate | undefined {
    const { localTag, localLocator, peerLocator, bytesIn, bytesOut } = context;
    const before = this.#counts.get(localTag);
    this.#counts.set(localTag, { time: now, bytesIn, bytesOut });
    if (before === undefined || now <= before.time) return undefined;
    const seconds = (now - before.time) / 1000;
    const rate = {
      in: Math.max(0, bytesIn - before.bytesIn) / seconds,
      out: Math.max(0, bytesOut - before.bytesOut) / seconds,
    };
    const samples = this.#byContext.get(localTag) ?? [];
    const path = `${localLocator} > ${peerLocator}`;
    push(samples, { time: now / 1000, rates: new Map([[path, rate]]) });
    this.#byContext.set(localTag, samples);
    return rate;
  }

  #forgetOthers(contexts: readonly ContextStatus[]): void {
    if (this.#counts.size === contexts.length) return;
    const present = new Set(contexts.map(({ localTag }) => localTag));
    for (const tag of this.#counts.keys()) {
      if (present.has(tag)) continue;
      this.#counts.delete(tag);
      this.#byContext.delete(tag);
    }
  }
}

function push(samples: Sample[], sample: Sample): void {
  samples.push(sample);
  if (samples.length > SAMPLES_MAX) samples.shift();
}

function chartOf(samples: readonly Sample[]): Chart {
  const paths = [...new Set(samples.flatMap(({ rates }) => [...rates.keys()]))].sort();
  const directions = ["out", "in"] as const;
  return {
    times: samples.map(({ time }) => time),
    lines: paths.flatMap((path) =>
      directions.map((direction) => ({
        path,
        direction,
        values: samples.map(({ rates }) => rates.get(path)?.[direction] ?? null),
      })),
    ),
  };
}
