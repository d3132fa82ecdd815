import type { MonitorEvent } from "../api.ts";
import { Ring } from "./ring.ts";

/** Events of contexts that are kept, 1.8 to 2.5 MB of them as measured. */
export const CONTEXT_EVENTS_KEPT = 10_000;
/** Events of the host: uplinks, locators and warnings. */
export const HOST_EVENTS_KEPT = 1_000;

/** Which events to tell of. */
export interface HistoryQuery {
  /** Only events after the one of this number. */
  readonly after: number;
  /** Only those of the context with this tag, in 12 hex digits. */
  readonly context: string | undefined;
}

/**
 * The newest events of the daemon's life. Those of the host have a place of their own, so that what
 * happens to many sessions at once does not push out why.
 */
export class History {
  readonly #contexts = new Ring<MonitorEvent>(CONTEXT_EVENTS_KEPT);
  readonly #host = new Ring<MonitorEvent>(HOST_EVENTS_KEPT);

  /** How many have been pushed out. */
  get dropped(): number {
    return this.#contexts.dropped + this.#host.dropped;
  }

  keep(event: MonitorEvent): void {
    if (!isKept(event)) return;
    (event.context === null ? this.#host : this.#contexts).push(event);
  }

  /** The oldest first. */
  select({ after, context }: HistoryQuery): MonitorEvent[] {
    const events = [...this.#host, ...this.#contexts];
    return events
      .filter((event) => event.sequence > after)
      .filter((event) => context === undefined || event.context === context)
      .sort((a, b) => a.sequence - b.sequence);
  }
}

/** The host's own locators tell the same as those that each context is told of. */
function isKept({ event }: MonitorEvent): boolean {
  return event !== "message" && event !== "local-locators-changed";
}
