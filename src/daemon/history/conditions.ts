import type { UplinkEvent, Warning, WarningEvent } from "../api.ts";
import type { Uplink } from "../host/uplinks.ts";

/** Of an uplink whose interface is no more. */
const GONE = "the interface is gone";

/** What holds for a while: the states of uplinks, and warnings. Tells when it begins and ends. */
export class Conditions {
  /** Problems by the uplinks' names. */
  #problems = new Map<string, string | null>();
  #warnings = new Map<string, Warning>();

  /** @returns what has changed since the last look */
  look(
    uplinks: readonly Uplink[],
    warnings: readonly Warning[],
  ): readonly (UplinkEvent | WarningEvent)[] {
    return [...this.#lookAtUplinks(uplinks), ...this.#lookAtWarnings(warnings)];
  }

  #lookAtUplinks(uplinks: readonly Uplink[]): UplinkEvent[] {
    const before = this.#problems;
    const now = uplinks.map(({ interface: name, problem = null }) => [name, problem] as const);
    this.#problems = new Map(now);
    const changed = now.filter(([name, problem]) => before.get(name) !== problem);
    const gone = [...before.keys()].filter((name) => !this.#problems.has(name));
    return [...changed, ...gone.map((name) => [name, GONE] as const)].map(([name, problem]) => ({
      event: "uplink-changed",
      context: null,
      interface: name,
      operational: problem === null,
      problem,
    }));
  }

  #lookAtWarnings(warnings: readonly Warning[]): WarningEvent[] {
    const before = this.#warnings;
    this.#warnings = new Map(
      warnings.map((warning) => [`${warning.code} ${warning.text}`, warning]),
    );
    const over = [...before].filter(([key]) => !this.#warnings.has(key));
    const raised = [...this.#warnings].filter(([key]) => !before.has(key));
    return [
      ...over.map(([, warning]) => warningEvent("warning-over", warning)),
      ...raised.map(([, warning]) => warningEvent("warning", warning)),
    ];
  }
}

function warningEvent(event: WarningEvent["event"], warning: Warning): WarningEvent {
  return { event, context: null, ...warning };
}
