import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";

/** The socket cannot be served. */
export class ControlSocketError extends Error {
  override readonly name = "ControlSocketError";
}

const SOCKET_MODE = 0o660;
const SOCKET_GROUP = "l3shim";
const GROUP_FILE = "/etc/group";

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
export async function listenOn(server: Server, path: string): Promise<void> {
  await explainFailure(path, () => bind(server, path));
}

async function bind(server: Server, path: string): Promise<void> {
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
  const group = groupId(SOCKET_GROUP);
  if (group !== undefined) chownSync(path, -1, group);
  chmodSync(path, SOCKET_MODE);
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

function groupId(name: string): number | undefined {
  if (!existsSync(GROUP_FILE)) return undefined;
  const line = readFileSync(GROUP_FILE, "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(":")[2]);
}
