import { randomBytes } from "node:crypto";
import type { EndpointConfig } from "../core/config.ts";
import { Endpoint } from "../core/endpoint.ts";
import { bootTimeNow, monotonicNow } from "../linux/clock.ts";
import { openPackets } from "../linux/packet-socket.ts";
import { SocketDiagnostics, type TcpSession } from "../linux/socket-diag.ts";
import { recordEndpoint } from "../sim/replay/recorder.ts";
import type { Address } from "../wire/address.ts";
import { readHostFacts } from "./check/host-facts.ts";
import { LINUX_ECHOES } from "./check/linux-echoes.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { DaemonConfig } from "./config/config.ts";
import { ContextFiles } from "./contexts/context-files.ts";
import { Authority } from "./control/authority.ts";
import { IDENTITY_PRIMITIVES, keyedHash } from "./crypto/primitives.ts";
import { newRsaKey } from "./crypto/rsa-key.ts";
import { findModifier } from "./crypto/search.ts";
import { Daemon } from "./daemon.ts";
import { createDataPlane, planeFlushes } from "./data-plane.ts";
import { describeFailure, EndOfRun } from "./end-of-run.ts";
import { flush } from "./flush.ts";
import { Hooks } from "./hooks.ts";
import type { HostSystem } from "./host/host.ts";
import { KernelEntries, KernelMonitor } from "./host/kernel.ts";
import { UlidFile } from "./host/ulid-file.ts";
import type { IdentitySystem } from "./identity/address-sets.ts";
import { IdentityFiles } from "./identity/identity-files.ts";
import { createLog, type Logger } from "./log.ts";
import { executeAnew } from "./privileges.ts";
import type { DaemonOptions } from "./start.ts";
import {
  describeStatus,
  type ManagerSettings,
  managerSettings,
  Supervision,
} from "./supervision.ts";
import { TraceFile } from "./trace-file.ts";

/**
 * Runs the daemon, in a confined process, until a signal or a failure ends it.
 * @returns the exit status: 0 after a signal, 1 after a failure, which has been reported
 */
export async function runDaemon(config: DaemonConfig, options: DaemonOptions): Promise<number> {
  const log = createLog(config.logLevel, options.jsonLog);
  const end = new EndOfRun(log);
  const settings = managerSettings(process.env, process.pid);
  let trace: TraceFile | undefined;
  try {
    const clock = systemClock(monotonicNow);
    trace = openTrace(config, options, log);
    const daemon = buildDaemon(config, options, { log, clock, end, trace });
    const supervision = settings && superviseDaemon(daemon, { settings, clock, log });
    await runUntil(end, daemon, options.socket, supervision);
    // The service manager waits for this very process: so that is the successor, too.
    if (end.handsOver && supervision !== undefined) {
      await trace?.close();
      executeAnew();
    }
  } catch (error) {
    end.fail(error);
  }
  await trace?.close();
  log.info("stopped");
  return end.status;
}

/**
 * Takes away all that daemons of this network namespace have put into the host, and ends.
 * @returns the exit status: 0, or 1 after a failure, which has been reported
 */
export async function runFlush(config: DaemonConfig, options: DaemonOptions): Promise<number> {
  const log = createLog(config.logLevel, options.jsonLog);
  const clock = systemClock(monotonicNow);
  const failures = await flush({
    config,
    socket: options.socket,
    system: linuxHost(options.stateDir, clock),
    contextFiles: new ContextFiles(options.stateDir),
    planes: planeFlushes(config),
  });
  for (const failure of failures) log.error(describeFailure(failure));
  if (failures.length === 0) log.info("nothing of l3shim is left");
  return failures.length === 0 ? 0 : 1;
}

async function runUntil(
  end: EndOfRun,
  daemon: Daemon,
  socket: string,
  supervision: Supervision | undefined,
): Promise<void> {
  try {
    await daemon.start(socket);
    supervision?.ready();
    await end.reached;
  } finally {
    if (end.handsOver) {
      supervision?.handingOver();
      await daemon.release();
    } else {
      supervision?.stopping();
      await daemon.stop();
    }
  }
}

function superviseDaemon(
  daemon: Daemon,
  { settings, clock, log }: { settings: ManagerSettings; clock: Clock; log: Logger },
): Supervision {
  return new Supervision({
    settings,
    clock,
    describe: () => describeStatus(daemon.status()),
    warn: (error) => log.warn(error.message),
  });
}

interface DaemonSurroundings {
  readonly log: Logger;
  readonly clock: Clock;
  readonly end: EndOfRun;
  readonly trace: TraceFile | undefined;
}

/** @throws TraceFileError */
function openTrace(
  { record }: DaemonConfig,
  { record: named }: DaemonOptions,
  log: Logger,
): TraceFile | undefined {
  const file = named ?? record.file;
  if (file === undefined) return undefined;
  const trace = new TraceFile(file, record.maxSize, (text) => log.warn(text));
  log.info({ file }, "recording");
  return trace;
}

function makeEndpoint(
  config: EndpointConfig,
  { version }: DaemonOptions,
  { clock, trace }: DaemonSurroundings,
): Endpoint {
  if (trace === undefined) return new Endpoint(config);
  const about = { l3shim: version, wall: clock.wall(), at: clock.now() };
  return recordEndpoint(config, about, trace.write);
}

function buildDaemon(
  config: DaemonConfig,
  options: DaemonOptions,
  surroundings: DaemonSurroundings,
): Daemon {
  const { log, clock, end } = surroundings;
  const plane = createDataPlane(config, log);
  return new Daemon({
    config,
    version: options.version,
    authority: new Authority(),
    clock,
    bootTime: bootTimeNow,
    endpoint: makeEndpoint(
      { ...config, random: randomBytes, keyedHash, identity: IDENTITY_PRIMITIVES },
      options,
      surroundings,
    ),
    plane,
    system: linuxHost(options.stateDir, clock),
    echoes: LINUX_ECHOES,
    readFacts: (uplinks) => readHostFacts(config, uplinks),
    contextFiles: new ContextFiles(options.stateDir),
    tcpSessions,
    openPackets,
    log,
    hooks: new Hooks({ directory: config.hookDirectory, log, isRoot: process.getuid?.() === 0 }),
    failed: (error) => end.fail(error),
  });
}

function tcpSessions(local: Address): TcpSession[] {
  const diagnostics = new SocketDiagnostics();
  try {
    return diagnostics.tcpSessions(local);
  } finally {
    diagnostics.close();
  }
}

function linuxHost(stateDir: string, clock: Clock): HostSystem {
  return {
    monitor: new KernelMonitor(),
    own: new KernelEntries(),
    ulidFile: new UlidFile(stateDir),
    identity: identitySystem(stateDir, clock),
  };
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
