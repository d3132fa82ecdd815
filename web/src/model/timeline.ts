import { formatPair, formatSpan } from "../../../src/cli/spans.ts";
import type { LocatorPairStatus, MonitorEvent } from "../../../src/daemon/api.ts";
import { formatBecause, shorten, type Tone } from "./words.ts";

/** Something that happened, ready to be shown. */
export interface Entry {
  /** Of its event: grows with time. */
  readonly sequence: number;
  /** ms since 1970. */
  readonly time: number;
  /** The context's local tag; `null` for the host. */
  readonly context: string | null;
  readonly title: string;
  readonly tone: Tone;
  /** Whom it concerns: a pair of ULIDs, an interface. */
  readonly subject: string;
  readonly details: string;
}

/** As many as the daemon keeps, and what comes while the page is open. */
const ENTRIES_MAX = 20_000;

/** What has happened since the start of the daemon, oldest first, each event once. */
export class Timeline {
  #entries: Entry[] = [];
  /** Where each context's payload went last: events of failures do not say. */
  readonly #paths = new Map<string, LocatorPairStatus>();

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** The sequence number of the last one; 0 when there is none. */
  get newest(): number {
    return this.#entries.at(-1)?.sequence ?? 0;
  }

  /** Takes an event unless it has come before. */
  add(event: MonitorEvent): void {
    const last = this.#entries.at(-1);
    if (event.event === "message" || (last && event.sequence <= last.sequence)) return;
    const path = event.context === null ? undefined : this.#paths.get(event.context);
    this.#entries.push(entryOf(event, path));
    this.#note(event);
    // Rarely, because it moves all of them.
    if (this.#entries.length > 1.1 * ENTRIES_MAX) this.#entries = this.#entries.slice(-ENTRIES_MAX);
  }

  /** Another run of the daemon counts its events anew. */
  clear(): void {
    this.#entries = [];
    this.#paths.clear();
  }

  #note(event: MonitorEvent): void {
    if (event.event === "established" || event.event === "restored") {
      this.#paths.set(event.context, event);
    } else if (event.event === "switched") {
      this.#paths.set(event.context, event.to);
    } else if (event.event === "closed") {
      this.#paths.delete(event.context);
    }
  }
}

type Shown = Exclude<MonitorEvent, { event: "message" }>;

function entryOf(event: Shown, path: LocatorPairStatus | undefined): Entry {
  return {
    sequence: event.sequence,
    time: Date.parse(event.time),
    context: event.context,
    ...titleOf(event),
    subject: subjectOf(event),
    details: detailsOf(event, path),
  };
}

const TITLES: Readonly<Record<Shown["event"], readonly [string, Tone]>> = {
  established: ["Established", "good"],
  restored: ["Restored", "good"],
  failed: ["Not established", "idle"],
  exploring: ["Path failed", "bad"],
  inboundok: ["Heard again", "busy"],
  switched: ["Switched", "busy"],
  recovered: ["Recovered", "good"],
  "local-locators-changed": ["Locators", "idle"],
  "peer-locators-changed": ["Peer's locators", "idle"],
  closed: ["Closed", "idle"],
  "host-locators-changed": ["Host's locators", "idle"],
  "uplink-changed": ["Uplink", "idle"],
  warning: ["Warning", "bad"],
  "warning-over": ["Warning over", "good"],
  "host-warning": ["Trouble", "bad"],
};

/** Explorations for which nothing need have failed. */
const HARMLESS = ["command", "restart", "resumed"];

function titleOf(event: Shown): { title: string; tone: Tone } {
  if (event.event === "exploring" && HARMLESS.includes(event.cause)) {
    return { title: "Exploring", tone: "busy" };
  }
  if (event.event === "uplink-changed") {
    return event.operational
      ? { title: "Uplink works", tone: "good" }
      : { title: "Uplink failed", tone: "bad" };
  }
  if (event.event === "warning" && event.severity === "info")
    return { title: "Note", tone: "idle" };
  const [title, tone] = TITLES[event.event];
  return { title, tone };
}

function subjectOf(event: Shown): string {
  if (event.context !== null) return `${shorten(event.localUlid)} → ${shorten(event.peerUlid)}`;
  return event.event === "uplink-changed" ? event.interface : "this host";
}

function detailsOf(event: Shown, path: LocatorPairStatus | undefined): string {
  switch (event.event) {
    case "established":
    case "restored":
      return `on ${formatArrow(event)}`;
    case "failed":
      return `${FAILURES[event.cause]}; not tried again until ${new Date(event.holdUntil).toLocaleTimeString()}`;
    case "exploring": {
      const where = path === undefined ? "" : `${formatArrow(path)}: `;
      return `${where}${formatBecause(event.cause)}; exploring`;
    }
    case "inboundok":
      return "packets come in again; ours may not arrive yet";
    case "switched":
      return `${formatArrow(event.from)} left for ${formatArrow(event.to)} (${event.cause})`;
    case "recovered":
      return (
        `on ${formatArrow(event)}: noticed after ${formatPrecise(event.detection)}, ` +
        `found in ${formatPrecise(event.exploration)}, ${event.probesSent} probes sent`
      );
    case "closed":
      return event.cause;
    case "warning":
    case "warning-over":
    case "host-warning":
      return event.text;
    case "uplink-changed":
      return event.problem ?? "";
    case "local-locators-changed":
    case "peer-locators-changed":
      return event.locators.join(", ");
    case "host-locators-changed":
      return event.locators
        .map(({ address, operational }) => (operational ? address : `${address} (down)`))
        .join(", ");
  }
}

const FAILURES = {
  "no-answer": "the peer does not answer",
  "no-support": "the peer has no Shim6",
  rejected: "the peer refused",
} as const;

/** "A → B", with long addresses shortened. */
export function formatArrow(pair: LocatorPairStatus): string {
  const { localLocator, peerLocator } = pair;
  const shortened = {
    ...pair,
    localLocator: shorten(localLocator),
    peerLocator: shorten(peerLocator),
  };
  return formatPair(shortened).replace(">", "→");
}

/** Spans of protocol steps: "12 ms", "10.2 s". */
export function formatPrecise(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : formatSpan(seconds);
}
