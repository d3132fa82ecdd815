import { chmodSync, existsSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { isBpffs, mountBpffs, unmountBpffs } from "../linux/bpffs.ts";
import { SystemError } from "../linux/system-error.ts";

/**
 * One for all labs. A host's processes see it too, though `ip netns exec` gives them mounts of
 * their own: what is pinned here outlives them.
 */
const BPFFS = "/run/l3lab-bpf";

/** Where the daemon in that namespace pins its programs. */
export function pinDirectory(namespace: string): string {
  return join(BPFFS, namespace);
}

/** Without the privilege to there is none, and the daemons fall back to user space. */
export function providePins(): void {
  try {
    mountBpffs(BPFFS);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}

/** Lets daemons of other users than the lab's in, each to its own directory. */
export function admitOthers(): void {
  if (isBpffs(BPFFS)) chmodSync(BPFFS, 0o711);
}

/** Forgets what was pinned for a host; the last one takes the bpffs along. */
export function removePins(namespace: string): void {
  const directory = pinDirectory(namespace);
  if (!isBpffs(BPFFS)) return;
  if (existsSync(directory)) {
    for (const name of readdirSync(directory)) unlinkSync(join(directory, name));
    rmdirSync(directory);
  }
  if (readdirSync(BPFFS, { withFileTypes: true }).some((entry) => entry.isDirectory())) return;
  try {
    unmountBpffs(BPFFS);
    rmdirSync(BPFFS);
  } catch (error) {
    // Another lab is about to use it.
    if (!(error instanceof SystemError) || error.code !== "EBUSY") throw error;
  }
}
