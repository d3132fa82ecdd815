import { createHmac, randomBytes } from "node:crypto";
import { Endpoint } from "../core/endpoint.ts";
import { monotonicNow } from "../linux/clock.ts";
import { SystemError } from "../linux/system-error.ts";
import { type Clock, systemClock } from "./clock.ts";
import { ConfigError, type DaemonConfig, loadConfig } from "./config/config.ts";
import { Authority } from "./control/authority.ts";
import { IDENTITY_PRIMITIVES } from "./crypto/primitives.ts";
import { newRsaKey } from "./crypto/rsa-key.ts";
import { findModifier } from "./crypto/search.ts";
import { Daemon } from "./daemon.ts";
import { createDataPlane, planePrivileges } from "./data-plane.ts";
import { EndOfRun } from "./end-of-run.ts";
import { KernelEntries, KernelMonitor } from "./host/kernel.ts";
import { UlidFile } from "./host/ulid-file.ts";
import type { IdentitySystem } from "./identity/address-sets.ts";
import { IdentityFiles } from "./identity/identity-files.ts";
import { createLog, type Logger } from "./log.ts";
import { type ConfinementOptions, confineProcess, PrivilegeError } from "./privileges.ts";

export interface DaemonOptions extends ConfinementOptions {
  readonly jsonLog: boolean;
  readonly version: string;
}

/** Their messages say all that a user needs. */
const EXPLAINED = [ConfigError, PrivilegeError, SystemError];

/**
 * Runs the daemon until a signal or a failure ends it.
 * @returns the exit status: 0 after a signal, 1 after a failure, which has been reported
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  let config: DaemonConfig;
  try {
    config = loadConfig(options.configFile);
    confineProcess(options, planePrivileges(config));
  } catch (error) {
    if (!EXPLAINED.some((type) => error instanceof type)) throw error;
    process.stderr.write(`${(error as Error).message}\n`);
    return 1;
  }
  const log = createLog(config.logLevel, options.jsonLog);
  const end = new EndOfRun(log);
  try {
    await runUntil(end, buildDaemon(config, options, log, end), options.socket);
  } catch (error) {
    end.fail(error);
  }
  log.info("stopped");
  return end.status;
}

async function runUntil(end: EndOfRun, daemon: Daemon, socket: string): Promise<void> {
  try {
    await daemon.start(socket);
    await end.reached;
  } finally {
    await daemon.stop();
  }
}

function buildDaemon(
  config: DaemonConfig,
  options: DaemonOptions,
  log: Logger,
  end: EndOfRun,
): Daemon {
  const plane = createDataPlane(config, log);
  const clock = systemClock(monotonicNow);
  return new Daemon({
    config,
    version: options.version,
    authority: new Authority(),
    clock,
    endpoint: new Endpoint({
      ...config,
      random: randomBytes,
      keyedHash,
      identity: IDENTITY_PRIMITIVES,
    }),
    plane,
    system: {
      monitor: new KernelMonitor(),
      own: new KernelEntries(),
      ulidFile: new UlidFile(options.stateDir),
      identity: identitySystem(options.stateDir, clock),
    },
    log,
    failed: (error) => end.fail(error),
  });
}

/** A search takes one thread, and leaves the others to those who wait for something. */
function identitySystem(stateDir: string, clock: Clock): IdentitySystem {
  return {
    files: new IdentityFiles(stateDir),
    clock,
    crypto: {
      random: randomBytes,
      newKey: newRsaKey,
      findModifier: (sec, start, { signal }) => findModifier(sec, start, { signal, threads: 1 }),
    },
  };
}

function keyedHash(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(data).digest();
}
