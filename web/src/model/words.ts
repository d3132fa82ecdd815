import { formatSpan } from "../../../src/cli/spans.ts";
import type { ContextStatus, PathStatus } from "../../../src/daemon/api.ts";

/** What the page says of a context, in words. */

/** How something stands; colour and sign follow. */
export type Tone = "good" | "busy" | "bad" | "idle";

/** Signs beside the colours, for those who do not tell these apart. */
export const SIGNS: Readonly<Record<Tone, string>> = {
  good: "●",
  busy: "◐",
  bad: "✕",
  idle: "○",
};

export interface Standing {
  readonly word: string;
  readonly tone: Tone;
}

/** The REAP state of an ESTABLISHED context, else the state of its establishment. */
export function standingOf({ state, reapState }: Pick<ContextStatus, "state" | "reapState">) {
  if (reapState === "Operational") return { word: reapState, tone: "good" } satisfies Standing;
  if (reapState === "Exploring") return { word: reapState, tone: "bad" } satisfies Standing;
  if (reapState !== null) return { word: reapState, tone: "busy" } satisfies Standing;
  const over = state === "E-FAILED" || state === "NO-SUPPORT" || state === "IDLE";
  return { word: state, tone: over ? "idle" : "busy" } satisfies Standing;
}

type Because = NonNullable<PathStatus["because"]>;

const BECAUSE: Readonly<Record<Because, string>> = {
  "send-timeout": "nothing came back within the Send Timeout",
  suspicion: "the path answered no probes",
  "local-locator-lost": "this host lost the address",
  "peer-locator-lost": "the peer lost the address",
  "icmp-error": "a router said that the path is broken",
  "router-lost": "the uplink's router went silent",
  resumed: "this machine had slept",
  command: "somebody asked for it",
  restart: "the daemon's earlier run was exploring",
  peer: "the peer explored",
};

/** Why an exploration began: "nothing came back within the Send Timeout". */
export function formatBecause(cause: Because): string {
  return BECAUSE[cause];
}

const CAUSES: Readonly<Record<PathStatus["cause"], string>> = {
  established: "the path it began on",
  restored: "taken over from the daemon's earlier run",
  exploration: "found by an exploration",
  "fail-back": "a better path, good for long enough",
  command: "asked for",
  "peer-renewed": "the peer made the context anew there",
};

/** Why payload takes the path that it takes. */
export function formatWhy({ path, pin }: Pick<ContextStatus, "path" | "pin">): string {
  if (path === null) return "not established";
  const cause = CAUSES[path.cause];
  const why = path.because === null ? cause : `${cause}: ${formatBecause(path.because)}`;
  return pin === null ? why : `${why}; pinned`;
}

const REASONS: Readonly<Record<NonNullable<ContextStatus["next"]>["reason"], string>> = {
  "i1-retransmission": "answer to I1",
  "i2-retransmission": "answer to I2",
  "update-retransmission": "answer to an Update Request",
  "hold-down": "end of the hold-down",
  "send-timeout": "Send Timeout",
  keepalive: "keepalive to send",
  probe: "next probe",
  "fail-back": "probe of a better path",
  "pair-test": "answer on the current path",
  survey: "survey of the paths",
  "traffic-check": "look at the traffic",
  idle: "end of an unused context",
};

export function formatReason(next: NonNullable<ContextStatus["next"]>): string {
  return REASONS[next.reason];
}

/** Seconds until the time, "now" once it has come. @param now ms since 1970 */
export function formatCountdown(at: string, now: number): string {
  const seconds = (Date.parse(at) - now) / 1000;
  return seconds < 0.05 ? "now" : formatSpan(seconds);
}

/** Octets a second, as bits. */
export function formatRate(bytesPerSecond: number): string {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  let value = bytesPerSecond * 8;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const ADDRESS_ROOM = 24;

/** A long address without its middle: "2001:db8:1:a:…:77bd:1e02". */
export function shorten(address: string): string {
  if (address.length <= ADDRESS_ROOM) return address;
  const groups = address.split(":");
  return `${groups.slice(0, 4).join(":")}:…:${groups.slice(-2).join(":")}`;
}
