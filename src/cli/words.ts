import type { ContextStatus, ExplorationStatus, PathStatus } from "../daemon/api.ts";
import { green, red, yellow } from "./colour.ts";
import { formatSpan } from "./format.ts";

/** The states and causes of the protocol in words for people. */

/** What became of a context, as far as its user is concerned. */
export type Health = "works" | "looking" | "beginning" | "plain";

const HEALTH: Readonly<Record<ContextStatus["state"], Health>> = {
  IDLE: "beginning",
  "I1-SENT": "beginning",
  "I2-SENT": "beginning",
  "I2BIS-SENT": "beginning",
  ESTABLISHED: "works",
  "E-FAILED": "plain",
  "NO-SUPPORT": "plain",
};

export function healthOf({ state, reapState }: ContextStatus): Health {
  return state === "ESTABLISHED" && reapState !== "Operational" ? "looking" : HEALTH[state];
}

/** "works", "looks for a path for 3 s" … @param now ms since 1970 */
export function stateInWords(context: ContextStatus, now: number): string {
  switch (healthOf(context)) {
    case "works":
      return green("works");
    case "looking":
      return red(`looks for a path${spanOf(context.path?.exploration, now)}`);
    case "beginning":
      return yellow("being established");
    case "plain":
      return context.state === "NO-SUPPORT" ? "the peer has no Shim6" : "the peer does not answer";
  }
}

function spanOf(exploration: ExplorationStatus | null | undefined, now: number): string {
  if (exploration === null || exploration === undefined) return "";
  return ` for ${formatSpan(Math.max(0, now - Date.parse(exploration.startedAt)) / 1000)}`;
}

const EXPLORATIONS: Readonly<Record<ExplorationStatus["cause"], string>> = {
  "send-timeout": "no answer within the Send Timeout",
  "local-locator-lost": "the link or address was lost",
  "peer-locator-lost": "the peer lost its link or address",
  "icmp-error": "a router reported an error",
  "router-lost": "the router did not answer",
  resumed: "the machine had slept",
  suspicion: "answers ceased to come",
  command: "by command",
  restart: "the daemon was replaced meanwhile",
  peer: "the peer looked for another path",
};

/** Why somebody looked for another path. */
export function causeInWords(cause: ExplorationStatus["cause"]): string {
  return EXPLORATIONS[cause];
}

const PATHS: Readonly<Record<PathStatus["cause"], string>> = {
  established: "it began there",
  restored: "an earlier run of the daemon left it there",
  exploration: "an exploration found it",
  "fail-back": "this pair is better, and works again",
  command: "by command",
  "peer-renewed": "the peer made the context anew there",
};

/** Why a context is on its pair. */
export function pathInWords({ cause, because }: PathStatus): string {
  return because === null ? PATHS[cause] : causeInWords(because);
}

/** How long payload had no path before it came to this one, in seconds; `null` if that is not so. */
export function outageBefore({ since, because, exploration }: PathStatus): number | null {
  if (because === null || exploration === null) return null;
  // A later one ended where it began.
  if (Date.parse(exploration.startedAt) > Date.parse(since)) return null;
  return outageOf(exploration);
}

/** What was noticed by answers that did not come: packets were lost before, too. */
const SILENT: readonly ExplorationStatus["cause"][] = ["send-timeout", "suspicion"];

/** How long payload had no path, in seconds; `null` while it has none. */
export function outageOf({ cause, detection, duration }: ExplorationStatus): number | null {
  if (detection === null || duration === null) return null;
  return SILENT.includes(cause) ? detection + duration : duration;
}

/** "for 10 s" */
export function outageInWords(outage: number): string {
  return outage < 0.1 ? "for less than 0.1 s" : `for ${formatSpan(outage)}`;
}
