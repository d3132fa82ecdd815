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
  /** Contexts whose failure is there already. */
  readonly #exploring = new Set<string>();

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
    this.#entries.push(entryOf(event, this.#told(event)));
    this.#note(event);
    // Rarely, because it moves all of them.
    if (this.#entries.length > 1.1 * ENTRIES_MAX) this.#entries = this.#entries.slice(-ENTRIES_MAX);
  }

  /** Another run of the daemon counts its events anew. */
  clear(): void {
    this.#entries = [];
    this.#paths.clear();
    this.#exploring.clear();
  }

  #told({ context }: MonitorEvent): Told {
    if (context === null) return { path: undefined, isExploring: false };
    return { path: this.#paths.get(context), isExploring: this.#exploring.has(context) };
  }

  #note(event: MonitorEvent): void {
    switch (event.event) {
      case "established":
      case "restored":
        this.#paths.set(event.context, event);
        return;
      case "switched":
        this.#paths.set(event.context, event.to);
        return;
      case "exploring":
      case "inboundok":
        this.#exploring.add(event.context);
        return;
      case "recovered":
        this.#exploring.delete(event.context);
        return;
      case "closed":
        this.#paths.delete(event.context);
        this.#exploring.delete(event.context);
        return;
      default:
        return;
    }
  }
}

type Shown = Exclude<MonitorEvent, { event: "message" }>;

/** What earlier events told of a context. */
interface Told {
  readonly path: LocatorPairStatus | undefined;
  readonly isExploring: boolean;
}

function entryOf(event: Shown, told: Told): Entry {
  return {
    sequence: event.sequence,
    time: Date.parse(event.time),
    context: event.context,
    ...titleOf(event, told),
    subject: subjectOf(event),
    details: detailsOf(event, told),
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

function titleOf(event: Shown, { isExploring }: Told): { title: string; tone: Tone } {
  if (event.event === "exploring" && HARMLESS.includes(event.cause)) {
    return { title: "Exploring", tone: "busy" };
  }
  if (event.event === "inboundok" && !isExploring) return { title: "Peer explores", tone: "bad" };
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

function detailsOf(event: Shown, { path, isExploring }: Told): string {
  switch (event.event) {
    case "established":
    case "restored":
      return `on ${formatArrow(event)}`;
    case "failed":
      return `${FAILURES[event.cause]}; not tried again until ${new Date(event.holdUntil).toLocaleTimeString()}`;
    case "exploring":
      return `${where(path)}${formatBecause(event.cause)}; exploring`;
    case "inboundok":
      return isExploring
        ? "packets come in again; ours may not arrive yet"
        : `${where(path)}it hears nothing of ours there, or was asked to explore`;
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

function where(path: LocatorPairStatus | undefined): string {
  return path === undefined ? "" : `${formatArrow(path)}: `;
}

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
