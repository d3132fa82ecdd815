import type { MonitorEvent } from "../../src/daemon/api.ts";
import { client, Refusal } from "./client.ts";
import type { Store } from "./store.ts";

/** ms. */
const STATUS_INTERVAL = 2_000;
const CONTEXT_INTERVAL = 1_000;
const CONTEXTS_INTERVAL = 1_000;
/** Contexts that are asked for at once: more would take the time of several frames. */
const PART = 200;
const RETRY = 2_000;
/** From an event to asking for its context: at once where somebody looks at it. */
const OF_SELECTED = 30;
const OF_OTHERS = 300;

/** Between the parts of a list that is known already, because the daemon has other work. */
const PART_INTERVAL = 600;

/** With more contexts to ask for than this the whole list is asked for, in its turn. */
const ASKED_AT_ONCE = 10;

/** Keeps the store in step with the daemon: by events, and by a look now and then. */
export class Live {
  readonly #store: Store;
  /** Contexts that events have told of. */
  readonly #stale = new Set<string>();
  /** How many contexts of the list have come in this round of asking for its parts. */
  #offset = 0;
  /** Whether the whole list has come. */
  #isKnown = false;

  constructor(store: Store) {
    this.#store = store;
  }

  start(): void {
    this.#follow();
    void this.#repeat(async () => {
      const status = await client.status();
      this.#store.update((store) => {
        store.status = status;
      });
      return STATUS_INTERVAL;
    });
    void this.#repeat(async () => {
      if (this.#store.selected !== undefined) await this.lookAt(this.#store.selected);
      return CONTEXT_INTERVAL;
    });
    void this.#repeat(() => this.#nextPart());
  }

  /** Asks for the next part of the list of contexts. @returns ms until the one after that */
  async #nextPart(): Promise<number> {
    const { contexts } = await client.contexts(this.#offset, PART);
    const isLast = contexts.length < PART;
    this.#store.update((store) => {
      store.takeContexts(contexts, this.#offset === 0);
      if (isLast) store.endContexts(Date.now());
    });
    this.#offset = isLast ? 0 : this.#offset + contexts.length;
    this.#isKnown ||= isLast;
    if (!this.#isKnown) return 0;
    return isLast ? CONTEXTS_INTERVAL : PART_INTERVAL;
  }

  /** Asks for one context out of turn, such as after a command. */
  async lookAt(tag: string): Promise<void> {
    await ignoringLoss(async () => {
      const reply = await client.context(tag);
      this.#store.update((store) => store.takeContext(reply));
    });
  }

  /** Asks for what came before once the stream is open: so nothing is missed. */
  #follow(): void {
    const stream = new EventSource("v1/events");
    let early: MonitorEvent[] | undefined = [];
    stream.onopen = () => {
      const missed: MonitorEvent[] = [];
      early = missed;
      void ignoringLoss(() => this.#catchUp()).then(() => {
        early = undefined;
        for (const event of missed) this.#take(event);
      });
    };
    stream.onmessage = ({ data }) => {
      const event = JSON.parse(data as string) as MonitorEvent;
      if (early === undefined) this.#take(event);
      else early.push(event);
    };
    // A browser tries again by itself, unless it was refused.
    stream.onerror = () => {
      this.#store.update((store) => {
        store.connection = "lost";
      });
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => this.#follow(), RETRY);
    };
  }

  async #catchUp(): Promise<void> {
    const [history, access] = await Promise.all([client.history(), client.access()]);
    this.#store.update((store) => {
      store.access = access;
      store.takeHistory(history);
      store.connection = "live";
    });
  }

  #take(event: MonitorEvent): void {
    this.#store.updateSoon((store) => {
      if (store.takeEvent(event) && event.context !== null) this.#askFor(event.context);
    });
  }

  #askFor(tag: string): void {
    if (tag === this.#store.selected) {
      setTimeout(() => void this.lookAt(tag), OF_SELECTED);
      return;
    }
    if (this.#stale.size === 0) setTimeout(() => void this.#askForStale(), OF_OTHERS);
    this.#stale.add(tag);
  }

  async #askForStale(): Promise<void> {
    const tags = [...this.#stale];
    this.#stale.clear();
    if (tags.length > ASKED_AT_ONCE) return;
    for (const tag of tags) await this.lookAt(tag);
  }

  /** Does it again after as many ms as it says; nobody needs it while the page is hidden. */
  async #repeat(action: () => Promise<number>): Promise<void> {
    let pause = RETRY;
    await ignoringLoss(async () => {
      if (!document.hidden) pause = await action();
    });
    setTimeout(() => void this.#repeat(action), pause);
  }
}

/** What is asked for may be gone by now; and of a daemon that is gone the stream tells. */
async function ignoringLoss(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof TypeError)) throw error;
  }
}
