import { SEND_TIMEOUT_JITTER } from "../../core/defaults.ts";
import { longestSearch } from "../../core/exploration.ts";
import { type Duration, scale } from "../../core/time.ts";
import type { RecoveryTime } from "../api.ts";
import { inSeconds } from "../clock.ts";

/** Locators that a peer has that nobody knows yet. */
const PEER_LOCATORS = 2;

/**
 * From the timers and how many pairs there are to try.
 * @param own locators that the host offers to peers; two of a peer are assumed
 */
export function recoveryTime(sendTimeout: Duration, own: number): RecoveryTime {
  const detection = inSeconds(scale(sendTimeout, 1 + SEND_TIMEOUT_JITTER));
  return { detection, ...searchTime(own * PEER_LOCATORS) };
}

/** With a peer whose pairs are known. */
export function searchTime(pairs: number): Pick<RecoveryTime, "exploration" | "pairs"> {
  return { exploration: inSeconds(longestSearch(pairs)), pairs };
}
