import type { DaemonConfig } from "./config/config.ts";
import type { ContextFiles } from "./contexts/context-files.ts";
import { claimSocket } from "./control/socket.ts";
import { Host, type HostSystem } from "./host/host.ts";

interface FlushParts {
  readonly config: DaemonConfig;
  /** Of the daemon that must not run. */
  readonly socket: string;
  readonly system: HostSystem;
  readonly contextFiles: ContextFiles;
  /** Of each data plane: takes away what its runs have left. */
  readonly planes: readonly (() => void | Promise<void>)[];
}

/**
 * Takes away all that daemons have put into the host, whichever data plane they had. What fails
 * keeps nothing else from being taken away; but with a daemon at work nothing is touched.
 * @returns what failed
 */
export async function flush(parts: FlushParts): Promise<unknown[]> {
  const { contextFiles, planes, socket } = parts;
  const failures: unknown[] = [];
  const attempt = async (action: () => void | Promise<void>): Promise<void> => {
    try {
      await action();
    } catch (error) {
      failures.push(error);
    }
  };
  await attempt(() => claimSocket(socket));
  if (failures.length > 0) return failures;
  // The data planes first: nothing may be rewritten to addresses that are on their way out.
  for (const plane of planes) await attempt(plane);
  await attempt(() => flushHost(parts, failures));
  await attempt(() => contextFiles.removeAll());
  return failures;
}

function flushHost({ config, system }: FlushParts, failures: unknown[]): void {
  const fail = (error: Error): void => {
    failures.push(error);
  };
  new Host(config, system, {
    looked: () => undefined,
    locatorsChanged: () => undefined,
    addressesChosen: () => undefined,
    repairPlane: () => 0,
    routerLost: () => undefined,
    warning: fail,
    failed: fail,
  }).flush();
}
