import type { Probe } from "../wire/message.ts";
import type { AddressPair, ExplorationCause } from "./output.ts";
import type { ReapEvent } from "./reap.ts";
import type { TrafficSnapshot } from "./traffic.ts";

/** Something that happened to the context, to be handled with a fresh traffic snapshot. */
export interface Occurrence {
  readonly event: ReapEvent;
  readonly probe?: { readonly message: Probe; readonly arrival: AddressPair };
  readonly cause?: ExplorationCause;
  /** The pair that an exchange of I2bis or I2 with R2 has proven. */
  readonly proven?: AddressPair;
}

/** What only the host itself can know or want, and nobody else can feign. */
const OWN_CAUSES: readonly ExplorationCause[] = [
  "command",
  "local-locator-lost",
  "router-lost",
  "resumed",
];

/** The host itself has something to send, or asks for it; nobody else can feign that. */
export function isOwnCause(
  cause: ExplorationCause | undefined,
  traffic: TrafficSnapshot | undefined,
): boolean {
  if (cause === "send-timeout" || cause === "suspicion") {
    return traffic?.firstUnansweredOut !== undefined;
  }
  return cause !== undefined && OWN_CAUSES.includes(cause);
}
