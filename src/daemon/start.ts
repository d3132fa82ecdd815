import { SystemError } from "../linux/system-error.ts";
import { ConfigError, type DaemonConfig, loadConfig } from "./config/config.ts";
import { planePrivileges } from "./plane-privileges.ts";
import { type ConfinementOptions, confineProcess, PrivilegeError } from "./privileges.ts";

export interface DaemonOptions extends ConfinementOptions {
  /** A file for the trace, whatever the configuration says. */
  readonly record: string | undefined;
  readonly jsonLog: boolean;
  readonly version: string;
}

/** Their messages say all that a user needs. */
const EXPLAINED = [ConfigError, PrivilegeError, SystemError];

/**
 * Confines the process, which may begin it anew, and runs the daemon until a signal or a failure
 * ends it.
 * @returns the exit status: 0 after a signal, 1 after a failure, which has been reported
 */
export async function startDaemon(options: DaemonOptions): Promise<number> {
  const config = confine(options);
  if (config === undefined) return 1;
  const { runDaemon } = await import("./main.ts");
  return runDaemon(config, options);
}

/**
 * Confines the process, and takes away all that daemons of this network namespace have put into
 * the host.
 * @returns the exit status: 0, or 1 after a failure, which has been reported
 */
export async function startFlush(options: DaemonOptions): Promise<number> {
  const config = confine(options);
  if (config === undefined) return 1;
  const { runFlush } = await import("./main.ts");
  return runFlush(config, options);
}

/**
 * Reads the configuration and says what is wrong with it.
 * @returns the exit status: 0 when a daemon would start with it
 */
export function checkConfig({ configFile }: Pick<DaemonOptions, "configFile">): number {
  return explained(() => loadConfig(configFile)) === undefined ? 1 : 0;
}

/**
 * Comes before most of the program is loaded: the process that is confined loads all of it anew.
 * @returns `undefined` after a failure that has been reported
 */
function confine(options: DaemonOptions): DaemonConfig | undefined {
  return explained(() => {
    const config = loadConfig(options.configFile);
    confineProcess(options, planePrivileges(config));
    return config;
  });
}

/** `undefined` after a failure that has been reported. */
function explained<Value>(action: () => Value): Value | undefined {
  try {
    return action();
  } catch (error) {
    if (!EXPLAINED.some((type) => error instanceof type)) throw error;
    process.stderr.write(`${(error as Error).message}\n`);
    return undefined;
  }
}
