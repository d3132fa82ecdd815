import { mkdirSync, statfsSync } from "node:fs";
import { mountFilesystem, unmountFilesystem } from "./libc.ts";

/** BPF_FS_MAGIC */
const BPFFS_TYPE = 0xcafe4a11;
const MS_NOSUID = 0x2;
const MS_NODEV = 0x4;
const MS_NOEXEC = 0x8;

/** Whether a path lies on a bpffs, where maps, programs and links are pinned. False without one. */
export function isBpffs(path: string): boolean {
  try {
    return statfsSync(path).type >>> 0 === BPFFS_TYPE;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/**
 * Makes a path a bpffs, unless it lies on one; makes the directory, too.
 * @returns whether it had to be mounted
 * @throws SystemError EPERM without CAP_SYS_ADMIN
 */
export function mountBpffs(path: string): boolean {
  if (isBpffs(path)) return false;
  mkdirSync(path, { recursive: true });
  const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  mountFilesystem("bpf", path, flags, "mode=0700", `mount a bpffs on ${path}`);
  return true;
}

/** @throws SystemError EBUSY while somebody is in it, EINVAL when nothing is mounted there */
export function unmountBpffs(path: string): void {
  unmountFilesystem(path, `unmount the bpffs on ${path}`);
}
