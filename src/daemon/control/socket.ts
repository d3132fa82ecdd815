import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import { CONTROL_GROUP, controlGroup } from "./authority.ts";

/** The socket cannot be served. */
export class ControlSocketError extends Error {
  override readonly name = "ControlSocketError";
}

/** Who may ask what the daemon does; who may change something, {@link Authority} says. */
export type Readers = "group" | "everyone";

const SOCKET_MODES: Readonly<Record<Readers, number>> = { group: 0o660, everyone: 0o666 };

/**
 * Makes sure that the path is free: a socket that a dead daemon left is removed.
 * @throws ControlSocketError when a daemon listens there, or the path cannot be used.
 */
export async function claimSocket(path: string): Promise<void> {
  await explainFailure(path, async () => {
    mkdirSync(dirname(path), { recursive: true });
    await removeStaleSocket(path);
  });
}

/** Listens on a path that is free. @throws ControlSocketError */
export async function listenOn(server: Server, path: string, readers: Readers): Promise<void> {
  await explainFailure(path, () => bind(server, path, SOCKET_MODES[readers]));
}

async function bind(server: Server, path: string, mode: number): Promise<void> {
  // Born without permissions for others; widened to the group only when it is the right one.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } finally {
    process.umask(before);
  }
  const group = controlGroup();
  if (group !== undefined) giveToGroup(path, group);
  chmodSync(path, mode);
}

/** Its owner may do that as a member of the group; CAP_CHOWN the daemon has no more. */
function giveToGroup(path: string, group: number): void {
  try {
    chownSync(path, -1, group);
  } catch (cause) {
    throw new ControlSocketError(
      `cannot give the control socket ${path} to the group ${CONTROL_GROUP}: ` +
        `${(cause as NodeJS.ErrnoException).code}; let the daemon's user join that group ` +
        `(usermod -aG ${CONTROL_GROUP} USER; systemd: SupplementaryGroups=${CONTROL_GROUP})`,
      { cause },
    );
  }
}

async function explainFailure(path: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof ControlSocketError) throw error;
    const reason = (error as Error).message;
    throw new ControlSocketError(`cannot use the control socket ${path}: ${reason}`, {
      cause: error,
    });
  }
}

/** Nobody answers on the socket of a dead daemon; a live one keeps its place. */
async function removeStaleSocket(path: string): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  if (code === undefined) {
    throw new ControlSocketError(
      `a daemon listens on the control socket ${path} already; ` +
        "stop it first, or choose another path with --socket",
    );
  }
  if (code !== "ECONNREFUSED") return;
  if (!lstatSync(path).isSocket()) {
    throw new ControlSocketError(`${path} exists and is no socket; choose another with --socket`);
  }
  rmSync(path);
}
