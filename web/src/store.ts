import { useEffect, useState } from "preact/hooks";
import type {
  AccessReply,
  ContextReply,
  ContextStatus,
  HistoryReply,
  MonitorEvent,
  PairStatus,
  StatusReply,
} from "../../src/daemon/api.ts";
import { afterEvent } from "./model/contexts.ts";
import { Throughput } from "./model/throughput.ts";
import { Timeline } from "./model/timeline.ts";

export type Connection = "connecting" | "live" | "lost";

/** ms. Events may come by the hundred: to show each at once would take the frames of a scroll. */
const SOON = 100;

/** What the page knows of the daemon. Views are told of changes once a frame. */
export class Store {
  connection: Connection = "connecting";
  access: AccessReply | undefined;
  status: StatusReply | undefined;
  readonly contexts = new Map<string, ContextStatus>();
  readonly timeline = new Timeline();
  readonly throughput = new Throughput();
  /** Grows with each change of {@link contexts}. */
  contextChanges = 0;
  /** Of contexts that somebody has looked at. */
  readonly pairs = new Map<string, readonly PairStatus[]>();
  /** The tag of the context that is looked at. */
  selected: string | undefined;
  #startedAt: string | undefined;
  /** Contexts from before the list that is coming in, which has not had them yet. */
  #unlisted = new Set<string>();
  readonly #views = new Set<() => void>();
  #frame = 0;
  #soon: ReturnType<typeof setTimeout> | undefined;

  /** The function returned ends it. */
  subscribe(view: () => void): () => void {
    this.#views.add(view);
    return () => this.#views.delete(view);
  }

  /** Takes the change over, and has it shown with the next frame. */
  update(change: (store: this) => void): void {
    change(this);
    this.#show();
  }

  /** As {@link update}, but shown a few times a second only. */
  updateSoon(change: (store: this) => void): void {
    change(this);
    this.#soon ??= setTimeout(() => this.#show(), SOON);
  }

  /** A part of all that there are. @param isFirst whether the list begins with it */
  takeContexts(contexts: readonly ContextStatus[], isFirst: boolean): void {
    this.contextChanges += 1;
    if (isFirst) this.#unlisted = new Set(this.contexts.keys());
    for (const context of contexts) {
      this.contexts.set(context.localTag, context);
      this.#unlisted.delete(context.localTag);
    }
    this.selected ??= contexts[0]?.localTag;
  }

  /** The list was whole: what was not in it is gone. */
  endContexts(now: number): void {
    for (const tag of this.#unlisted) this.#forget(tag);
    this.throughput.sample(now, [...this.contexts.values()]);
  }

  takeContext({ context, pairs }: ContextReply): void {
    this.contextChanges += 1;
    this.contexts.set(context.localTag, context);
    this.pairs.set(context.localTag, pairs);
    this.selected ??= context.localTag;
  }

  takeHistory({ startedAt, events }: HistoryReply): void {
    if (this.#startedAt !== undefined && this.#startedAt !== startedAt) this.timeline.clear();
    this.#startedAt = startedAt;
    for (const event of events) this.timeline.add(event);
  }

  /** @returns whether the context is to be asked for */
  takeEvent(event: MonitorEvent): boolean {
    this.timeline.add(event);
    if (event.context === null) return false;
    this.contextChanges += 1;
    const context = this.contexts.get(event.context);
    const after = context && afterEvent(context, event);
    if (after !== undefined) this.contexts.set(event.context, after);
    else if (event.event === "closed") this.#forget(event.context);
    return event.event !== "closed";
  }

  #show(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      for (const view of this.#views) view();
    });
  }

  #forget(tag: string): void {
    this.contexts.delete(tag);
    this.pairs.delete(tag);
    if (this.selected === tag) this.selected = this.contexts.keys().next().value;
  }
}

/** Has the view shown anew when something has changed. */
export function useStore(store: Store): void {
  const [, show] = useState(0);
  useEffect(() => store.subscribe(() => show((shown) => shown + 1)), [store]);
}
