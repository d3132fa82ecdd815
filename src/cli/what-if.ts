import { InvalidArgumentError } from "commander";
import type { Detection } from "../core/config.ts";
import type { TraceHeader } from "../sim/replay/trace-format.ts";
import {
  canBeModelled,
  type ModelledOutage,
  modelOutage,
  type RecordedOutage,
  type WhatIfSettings,
} from "../sim/replay/what-if.ts";

/** Each takes the simulator a second or so. */
const MODELLED = 10;

/** How an outage of a trace would have gone. */
export interface WhatIf {
  readonly recorded: RecordedOutage;
  /** With the settings of the trace: what the model is worth. */
  readonly asRecorded: ModelledOutage;
  readonly changed: ModelledOutage;
}

/** "send-timeout=3s" or "detect=rfc", after others. */
export function parseSetting(
  text: string,
  others: Partial<WhatIfSettings> = {},
): Partial<WhatIfSettings> {
  const [name, value = "", ...rest] = text.split("=");
  if (rest.length === 0 && name === "send-timeout") {
    return { ...others, sendTimeout: parseSeconds(value) };
  }
  if (rest.length === 0 && name === "detect") return { ...others, detect: parseDetection(value) };
  throw new InvalidArgumentError("It must be send-timeout=SECONDS, detect=rfc or detect=adaptive.");
}

function parseSeconds(text: string): number {
  const value = Number(text.replace(/s$/, ""));
  if (Number.isInteger(value) && value >= 1 && value <= 100) return value;
  throw new InvalidArgumentError(
    "The Send Timeout must be a whole number of seconds from 1 to 100.",
  );
}

function parseDetection(text: string): Detection {
  if (text === "rfc" || text === "adaptive") return text;
  throw new InvalidArgumentError('Detection is "rfc" or "adaptive".');
}

/** The longest outages of the trace that depend on the settings, in the order of time. */
export function whatIf(
  { settings }: TraceHeader,
  outages: readonly RecordedOutage[],
  changes: Partial<WhatIfSettings>,
): WhatIf[] {
  const then: WhatIfSettings = {
    sendTimeout: settings.sendTimeout / 1000,
    detect: settings.detect ?? "rfc",
  };
  const longest = outages
    .filter(({ outage }) => canBeModelled(outage))
    .toSorted((a, b) => lengthOf(b) - lengthOf(a))
    .slice(0, MODELLED);
  return outages
    .filter((outage) => longest.includes(outage))
    .map((recorded) => ({
      ...{ recorded, asRecorded: modelOutage(recorded, then) },
      changed: modelOutage(recorded, { ...then, ...changes }),
    }));
}

function lengthOf({ outage }: RecordedOutage): number {
  return outage.detection + outage.exploration;
}
