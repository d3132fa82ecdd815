import type { Shim6Socket } from "../linux/shim6-socket.ts";

/** Control messages that found a buffer full, under the names that they have in the control API. */
export function overrunCounters(
  overruns: Shim6Socket["overruns"] | undefined,
): Readonly<Record<string, number>> {
  return {
    "control-overrun": overruns?.context ?? 0,
    "acquaintances-overrun": overruns?.acquaintances ?? 0,
    "strangers-overrun": overruns?.strangers ?? 0,
  };
}
