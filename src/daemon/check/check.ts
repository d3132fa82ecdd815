import type { Duration } from "../../core/time.ts";
import type { CheckReply, Finding, Warning } from "../api.ts";
import {
  ConfigError,
  configWarnings,
  type DaemonConfig,
  loadConfig,
  parseConfig,
} from "../config/config.ts";
import { type HostFacts, readHostFacts } from "./host-facts.ts";
import { hostFindings, sourceRoutingFindings, startFindings, userSpace } from "./host-findings.ts";
import { recoveryTime } from "./recovery.ts";

/** A reply without what every reply has in common. */
export type Check = Omit<CheckReply, "schemaVersion">;

/** What a daemon at work knows beyond the facts. */
export interface AtWork {
  readonly config: DaemonConfig;
  readonly dataplane: string;
  /** At this moment. */
  readonly sendTimeout: Duration;
  /** How many work, and are offered to peers. */
  readonly locators: number;
  readonly warnings: readonly Warning[];
}

/** Those that are findings with a remedy here. */
const UPLINK_WARNINGS = ["uplink-down", "no-uplink", "one-uplink"];

/** Of a host whose daemon is at work. */
export function checkAtWork(
  facts: HostFacts,
  { config, dataplane, sendTimeout, locators, warnings }: AtWork,
): Check {
  const others = warnings.filter(({ code }) => !UPLINK_WARNINGS.includes(code));
  const fellBack = config.dataplane === "auto" && dataplane !== "ebpf";
  return {
    findings: [
      ...hostFindings(facts),
      ...sourceRoutingFindings(facts),
      ...(fellBack ? [userSpace("the daemon's log names what the other one lacks")] : []),
      ...others.map(fromWarning),
    ],
    recovery: recoveryTime(sendTimeout, locators),
  };
}

/**
 * Of a host without a daemon: as one would find it that this process started.
 * @param configFile `undefined`: the default file, if there is one
 */
export async function checkWithoutDaemon(configFile: string | undefined): Promise<Check> {
  const { config, problem } = readConfig(configFile);
  const facts = await readHostFacts(config);
  return {
    findings: [
      noDaemon(),
      ...(problem === undefined ? [] : [badConfiguration(problem)]),
      ...startFindings(facts, config),
      ...hostFindings(facts),
      ...configWarnings(config).map(fromWarning),
    ],
    recovery: recoveryTime(config.sendTimeout, expectedLocators(facts, config)),
  };
}

/** The defaults in place of a bad file. */
function readConfig(file: string | undefined): { config: DaemonConfig; problem?: string } {
  try {
    return { config: loadConfig(file) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { config: parseConfig("", "defaults"), problem: error.message };
  }
}

/** Where they must be proven the daemon makes one for each uplink. */
function expectedLocators({ uplinks }: HostFacts, { security }: DaemonConfig): number {
  const working = uplinks.filter(({ problem }) => problem === undefined);
  if (security === "verified") return working.length;
  return working.flatMap(({ locators }) => locators.filter(({ operational }) => operational))
    .length;
}

function fromWarning({ code, severity, text }: Warning): Finding {
  return { id: code, severity, subject: null, sentence: `${text}.`, remedy: null };
}

function noDaemon(): Finding {
  return {
    id: "no-daemon",
    severity: "info",
    subject: null,
    sentence: "No daemon runs here: no session is protected yet.",
    remedy: "Start one: systemctl start l3shim, or l3shim daemon.",
  };
}

function badConfiguration(problem: string): Finding {
  return {
    id: "bad-configuration",
    severity: "error",
    subject: null,
    sentence: `No daemon starts with this configuration: ${problem}.`,
    remedy: "Put it right; l3shim daemon --check-config reads it.",
  };
}
