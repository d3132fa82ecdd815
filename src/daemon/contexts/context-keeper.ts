import type { Endpoint } from "../../core/endpoint.ts";
import { after, type Duration, type Instant, milliseconds } from "../../core/time.ts";
import type { DataPlane } from "../../dataplane/dataplane.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { Clock } from "../clock.ts";
import type { ContextFiles, KeptContext } from "./context-files.ts";

/**
 * Files written at one go, some milliseconds' worth: where many contexts change at once, as when
 * an uplink fails, packets come first.
 */
const BATCH = 32;
/**
 * ms that a change waits. What follows a switch comes first, such as TCP that is made to send
 * again: of a daemon that is killed meanwhile the data plane has what counts.
 */
const DELAY = milliseconds(20);
/** ms between two parts of much. */
const PAUSE = milliseconds(1);

export interface ContextKeeperParts {
  readonly files: ContextFiles;
  readonly endpoint: Endpoint;
  readonly plane: Pick<DataPlane, "name" | "survives">;
  readonly clock: Clock;
  /** The disk refused something, or gave back what is no good. */
  readonly warn: (error: Error) => void;
}

/** Keeps on disk what a later run needs to go on with, where the data plane survives this one. */
export class ContextKeeper {
  readonly #parts: ContextKeeperParts;
  readonly #changed = new Set<ContextTag>();
  #kept: readonly KeptContext[] = [];
  #isAtWork = false;
  #isFailing = false;
  #cancelTimer: (() => void) | undefined;

  constructor(parts: ContextKeeperParts) {
    this.#parts = parts;
  }

  /** Reads what an earlier run has kept for this one, and removes all else. */
  load(): readonly KeptContext[] {
    const { files, plane, warn } = this.#parts;
    this.#isAtWork = true;
    this.#try(() => {
      if (plane.survives) this.#kept = files.read(plane.name, warn);
      else files.removeAll();
    });
    return this.#kept;
  }

  /** Has the endpoint take over what was read, unless another data plane than expected has opened. */
  restore(now: Instant): void {
    const { endpoint, files, plane, warn } = this.#parts;
    if (!plane.survives) this.#kept = [];
    const refused = endpoint.restore(
      now,
      this.#kept.map(({ state }) => state),
    );
    for (const { name, reason } of refused) {
      warn(new Error(`context ${name} of an earlier run is not restored: ${reason}`));
    }
    this.#kept = [];
    this.#try(() => files.retain((tag) => endpoint.snapshot(tag) !== undefined));
  }

  /** The context has changed, or is gone. */
  note(tag: ContextTag): void {
    if (this.#parts.plane.survives) this.#changed.add(tag);
  }

  /** Writes what has changed in a moment; of much only a part, and the rest a little later. */
  save(): void {
    if (this.#changed.size > 0 && this.#cancelTimer === undefined) this.#saveLater(DELAY);
  }

  /** For a successor. */
  close(): void {
    this.#saveSome(this.#changed.size);
    this.#cancelTimer?.();
  }

  /** There will be nothing to go on with. Leaves alone what this run has not taken charge of. */
  discard(): void {
    this.#cancelTimer?.();
    this.#changed.clear();
    if (this.#isAtWork) this.#try(() => this.#parts.files.removeAll());
    this.#isAtWork = false;
  }

  #saveLater(delay: Duration): void {
    const { clock } = this.#parts;
    this.#cancelTimer = clock.schedule(after(clock.now(), delay), () => {
      this.#cancelTimer = undefined;
      this.#saveSome(BATCH);
      if (this.#changed.size > 0) this.#saveLater(PAUSE);
    });
  }

  #saveSome(count: number): void {
    for (const tag of [...this.#changed].slice(0, count)) {
      this.#changed.delete(tag);
      this.#try(() => this.#saveOne(tag));
    }
  }

  #saveOne(tag: ContextTag): void {
    const { endpoint, files, plane } = this.#parts;
    const state = endpoint.snapshot(tag);
    if (state === undefined) files.remove(tag);
    else files.write(plane.name, state);
    this.#isFailing = false;
  }

  /** A full disk is told of once, not with each context. */
  #try(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!this.#isFailing) {
        const reason = (error as Error).message;
        this.#parts.warn(new Error(`cannot keep contexts for a later run: ${reason}`));
      }
      this.#isFailing = true;
    }
  }
}
