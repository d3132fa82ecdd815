import { existsSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { isBpffs, mountBpffs, unmountBpffs } from "../linux/bpffs.ts";
import { SystemError } from "../linux/system-error.ts";

const DIRECTORY = "/run/l3lab-bpf";

/** Where the daemon in that namespace pins its programs: a bpffs of its own. */
export function pinDirectory(namespace: string): string {
  return join(DIRECTORY, namespace);
}

/**
 * Mounts the bpffs out here: `ip netns exec` gives a daemon mounts of its own, and what it mounted
 * itself would go with it. Without the privilege to there is none, and the daemon falls back.
 */
export function providePins(namespace: string): void {
  try {
    mountBpffs(pinDirectory(namespace));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}

/** Forgets what was pinned for a host. */
export function removePins(namespace: string): void {
  const directory = pinDirectory(namespace);
  if (isBpffs(directory)) unmountBpffs(directory);
  if (existsSync(directory)) rmdirSync(directory);
}
