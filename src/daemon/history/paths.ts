import type { AddressPair, ContextEvent, ExplorationCause } from "../../core/output.ts";
import type { Duration, Instant } from "../../core/time.ts";
import type { ContextView } from "../../core/view.ts";
import type { ContextTag } from "../../wire/tag.ts";
import type { ExplorationStatus, PathStatus } from "../api.ts";
import { type Clock, inSeconds, isoTime } from "../clock.ts";
import { locatorPair } from "../control/report.ts";

interface Path {
  readonly cause: PathStatus["cause"];
  readonly because: PathStatus["because"];
  readonly from: AddressPair | undefined;
  readonly exploration: Exploration | undefined;
}

interface Exploration {
  readonly cause: ExplorationCause | "peer";
  readonly startedAt: Instant;
  /** What it has come to; `undefined` while it lasts. */
  readonly end: { readonly at: Instant; readonly detection: Duration } | undefined;
}

/** Why each context is on the pair that it is on, and since when, from its events. */
export class Paths {
  readonly #paths = new Map<ContextTag, Path>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `null` for a context that has not been established. */
  of({ tag, establishedAt, lastSwitchAt }: ContextView): PathStatus | null {
    const path = this.#paths.get(tag);
    const since = lastSwitchAt ?? establishedAt;
    if (path === undefined || since === undefined) return null;
    return pathStatus(path, since, this.#clock);
  }

  handleEvent(event: ContextEvent): void {
    if (event.event === "closed") this.#paths.delete(event.tag);
    else if (event.event === "established" || event.event === "restored") {
      this.#begin(event.tag, event.event);
    } else this.#goOn(event);
  }

  #begin(tag: ContextTag, cause: "established" | "restored"): void {
    this.#paths.set(tag, { cause, because: null, from: undefined, exploration: undefined });
  }

  #goOn(event: ContextEvent): void {
    const path = this.#paths.get(event.tag);
    const change = path && changeOf(path, event);
    if (change !== undefined) this.#paths.set(event.tag, { ...path, ...change } as Path);
  }
}

function changeOf({ exploration }: Path, event: ContextEvent): Partial<Path> | undefined {
  const { at } = event;
  const underWay = exploration?.end === undefined ? exploration : undefined;
  switch (event.event) {
    case "exploring":
      return { exploration: underWay ?? { cause: event.cause, startedAt: at, end: undefined } };
    case "inboundok":
      // Without an exploration of ours the peer has begun one.
      return { exploration: underWay ?? { cause: "peer", startedAt: at, end: undefined } };
    case "switched": {
      const because = event.cause === "exploration" ? (exploration?.cause ?? null) : null;
      return { cause: event.cause, because, from: event.from };
    }
    case "recovered": {
      const { detection } = event;
      return underWay && { exploration: { ...underWay, end: { at, detection } } };
    }
    default:
      return undefined;
  }
}

function pathStatus(path: Path, since: Instant, clock: Clock): PathStatus {
  const { cause, because, from, exploration } = path;
  return {
    since: isoTime(clock, since),
    cause,
    because,
    from: from === undefined ? null : locatorPair(from),
    exploration: exploration === undefined ? null : explorationStatus(exploration, clock),
  };
}

function explorationStatus(
  { cause, startedAt, end }: Exploration,
  clock: Clock,
): ExplorationStatus {
  return {
    cause,
    startedAt: isoTime(clock, startedAt),
    endedAt: end === undefined ? null : isoTime(clock, end.at),
    detection: end === undefined ? null : inSeconds(end.detection),
    duration: end === undefined ? null : inSeconds(end.at - startedAt),
  };
}
